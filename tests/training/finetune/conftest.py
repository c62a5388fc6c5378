"""A voice of ten short slices, cut from the sample voice of this repository, and its features on the generated base."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from timbre.audio.reader import read, write
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.base import Base, read_base
from timbre.core.recipe import ExtractRecipe, FinetuneRecipe
from timbre.training.features import SliceSource, extract_features
from timbre.training.finetune.voice import Finetuning

VOICES = Path(__file__).parents[3] / "voices"
SLICES, HELD_OUT, LONGEST_S = 10, 3, 3.2

QUICK = FinetuneRecipe(
    rank=4, alpha=8.0, learning_rate=5e-3, batch=3, min_steps=4, max_steps=12, warmup_steps=2, validate_every_steps=4,
    checkpoint_every_steps=3, precision="fp32", segment_s=0.2, max_minutes=10.0,
)  # fmt: skip


@pytest.fixture(autouse=True, scope="session")
def _one_thread_for_what_tests_share() -> None:
    """Fixtures of a session are made before those of a test: a training that is shared would have more threads."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _one_thread(_one_thread_for_what_tests_share: None) -> None:
    torch.set_num_threads(1)


def slices_of(name: str, folder: Path, rate_hz: int = 16_000) -> list[SliceSource]:
    """The first slices of a sample voice, cut short, as stage 1 would have written them."""
    with (VOICES / name / "metadata.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="|"))[:SLICES]
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, row in enumerate(rows, 1):
        whole = resample(read(VOICES / name / row["file"]), 16_000)
        wave = Waveform(whole.samples[: round(LONGEST_S * 16_000)], 16_000)
        path = path_16k = folder / f"{number:05d}.wav"
        write(path_16k, wave)
        if rate_hz != 16_000:
            path = folder / f"{number:05d}_{rate_hz}.wav"
            write(path, resample(wave, rate_hz))
        # Three seconds hold about the first half of the sentence.
        words = row["text"].split()
        text = " ".join(words[: max(2, len(words) // 2)]) + "." if len(words) > 2 else row["text"][:8] + "。"
        held_out = number > SLICES - HELD_OUT
        found.append(
            SliceSource(
                id=f"{number:05d}",
                path=path,
                path_16k=path_16k,
                text=text,
                language="zh" if name == "lian" else "en",
                duration_s=wave.duration_s,
                speech_s=wave.duration_s * 0.9,
                prompt=wave.duration_s >= 3.0,
                held_out=held_out,
            )
        )
    return found


@pytest.fixture(scope="session")
def wren(tmp_path_factory: pytest.TempPathFactory) -> list[SliceSource]:
    return slices_of("wren", tmp_path_factory.mktemp("wren"))


@pytest.fixture(scope="session")
def base(pico_base: Path) -> Base:
    return read_base(pico_base)


@pytest.fixture(scope="session")
def features(base: Base, wren: list[SliceSource], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    extract_features(base, wren, folder, ExtractRecipe())
    return folder


@pytest.fixture
def finetune(base: Base, features: Path, tmp_path: Path) -> Callable[..., Path]:
    """finetune(name, resume=name, **recipe) -> the output folder of a quick run."""

    def run(name: str = "out", resume: str = "", **changes: object) -> Path:
        job = job_for(base, features, tmp_path, name, resume, **changes)
        job.run()
        return job.output

    return run


def job_for(base: Base, features: Path, root: Path, name: str, resume: str = "", **changes: object) -> Finetuning:
    """A quick job in folders below root."""
    options = {key: changes.pop(key) for key in ("cancel", "progress") if key in changes}
    recipe = dataclasses.replace(QUICK, **changes)  # type: ignore[arg-type]
    output, kept = root / name, root / (resume or f"{name}-resume")
    output.mkdir(exist_ok=True)
    kept.mkdir(exist_ok=True)
    return Finetuning(base, features, output, kept, recipe, cpu=True, **options)  # type: ignore[arg-type]
