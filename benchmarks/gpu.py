"""Everything worth knowing of a CUDA machine, in one run of a few minutes, beside the limits.

python -m benchmarks.gpu [--minutes 8] [--recording FILE] [--json FILE]

engine: nano through the whole engine on the device and on the processor (real-time factor, first sound), and batches of
1, 8 and 32 requests; acoustic decoders of official v2 size alone. training: a LoRA step of v2Pro at batch 4 (seconds of
1,000 steps, peak memory), a step of all weights of nano as pretraining makes it. Random weights where no base is named.
Without a CUDA device it says "not run: no CUDA device" and ends with 0: nothing was measured, so nothing is claimed.

A part that would begin after --minutes is named as not run. A part that fails is named with its error, and ends with 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

NOT_RUN = "not run: no CUDA device"
RECORDING = Path("voices/awb/wavs/0001.flac")
KEEP = Path(".timbre/benchmarks")
_BATCHES = (1, 8, 32)
_STEPS = 20
_CODES = 100


@dataclass(frozen=True)
class Row:
    """One figure. limit: the largest value that is allowed, None where there is none."""

    name: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def verdict(self) -> str:
        """ok, MISS, or nothing without a limit."""
        if self.limit is None:
            return ""
        return "ok" if self.value <= self.limit else "MISS"

    def line(self) -> str:
        """For people."""
        limit = "" if self.limit is None else f"<= {self.limit:g}"
        return f"{self.name:<58}{self.value:>12.4g} {self.unit:<9}{limit:>9}  {self.verdict}"


Part = Callable[[], Iterator[Row]]


def cuda_device() -> str:
    """What is missing for a run, "" when nothing is."""
    from timbre.inference.device import choose_device
    from timbre.pipeline.engine.accelerator import find_accelerator

    found = find_accelerator()
    if not found.gpus:
        return NOT_RUN
    if not found.torch_cuda:
        return f"not run: torch {found.torch_version or 'is missing'} was not built for CUDA"
    return f"not run: {fallback}" if (fallback := choose_device("cuda").fallback) else ""


def speaking(recording: Path) -> Iterator[Row]:
    """nano through the engine: device and processor."""
    from benchmarks.nano_engine import SENTENCE, benchmark_voices, exported_nano
    from timbre.inference.device import choose_device
    from timbre.inference.engine import Engine
    from timbre.inference.engine_settings import EngineSettings
    from timbre.inference.request import SpeechRequest
    from timbre.inference.sampling import Sampling

    base = exported_nano(KEEP)
    voice = benchmark_voices(base, 1, recording)[0]
    for name in ("cuda", "cpu"):
        with Engine(base, EngineSettings(device=choose_device(name), slots=max(_BATCHES))) as engine:

            def ask(seed: int) -> SpeechRequest:
                return SpeechRequest(SENTENCE, sampling=Sampling(seed=seed), check=False)

            engine.speak(ask(99), voice)
            factors, first = [], []
            for seed in range(5):
                began = time.perf_counter()
                seconds = engine.speak(ask(seed), voice).wave.duration_s
                factors.append((time.perf_counter() - began) / seconds)
                began = time.perf_counter()
                with closing(engine.stream(ask(seed), voice)) as stream:
                    next(stream)
                    first.append(time.perf_counter() - began)
            yield Row(f"nano on {name}: real-time factor, batch 1", statistics.median(factors), "", 0.03)
            yield Row(f"nano on {name}: first sound", 1e3 * statistics.median(first), "ms", 60)
            for count in _BATCHES:
                spoken: list[float] = []

                def speak(seed: int, spoken: list[float] = spoken) -> None:
                    spoken.append(engine.speak(ask(seed), voice).wave.duration_s)

                threads = [threading.Thread(target=speak, args=(seed,)) for seed in range(count)]
                began = time.perf_counter()
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                if len(spoken) != count:
                    raise RuntimeError(f"{count - len(spoken)} of {count} requests failed")
                wall_s = time.perf_counter() - began
                yield Row(f"nano on {name}: real-time factor, {count} at once", wall_s / sum(spoken), "")


def official_size() -> Iterator[Row]:
    """Graphs of official v2 size with random weights: a token, and the decoders of 4 s of audio on the device."""
    import numpy as np

    from benchmarks.engine import export
    from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
    from timbre.gptsovits.acoustic.synthesizer import Synthesizer
    from timbre.gptsovits.text_to_semantic.configuration import T2S_V2
    from timbre.gptsovits.text_to_semantic.network import TextToSemantic
    from timbre.inference.acoustic import resampling
    from timbre.inference.device import choose_device
    from timbre.inference.session import open_session
    from timbre.inference.t2s_slots import T2SSlots
    from timbre.training.export.base_export import t2s_shape

    rng = np.random.default_rng(0)
    t2s, acoustic = TextToSemantic(T2S_V2).eval(), Synthesizer(SynthesizerConfig.v2(), with_posterior=False).eval()
    with tempfile.TemporaryDirectory() as folder:
        paths = export(Path(folder), t2s, acoustic.fold())
        for rows in _BATCHES:
            slots = T2SSlots(paths["fp32"], t2s_shape(t2s), slots=rows, capacity=512)
            for _ in range(rows):
                slots.admit(rng.integers(0, 732, 80), rng.integers(0, 1024, 100))
            began = time.perf_counter()
            for _ in range(_CODES):
                slots.step(rng.integers(0, 1024, rows))
            milliseconds = 1e3 * (time.perf_counter() - began) / _CODES / rows
            yield Row(f"v2 size, text to semantic on the processor, batch {rows}", milliseconds, "ms/token")
        device = choose_device("cuda")
        prior, generator = (open_session(paths[name], device=device) for name in ("prior", "generator"))
        condition = rng.standard_normal((1, SynthesizerConfig.v2().condition_channels, 1)).astype(np.float32)
        left, blend = resampling(2 * _CODES, 1.0)
        feeds = {
            "codes": rng.integers(0, 1024, (1, _CODES)), "phones": rng.integers(0, 732, (1, 40)),
            "condition": condition, "left": left, "blend": blend,
            "noise": np.zeros((1, SynthesizerConfig.v2().latent_channels, 2 * _CODES), np.float32),
        }  # fmt: skip

        def decode() -> None:
            generator.run(None, {"z": prior.run(None, feeds)[0], "condition": condition})

        seconds = _median_s(decode, 10)
        yield Row(f"v2 size, acoustic decoders on {device.name}, 4 s of audio", 1e3 * seconds, "ms")
        yield Row("v2 size, acoustic decoders: real-time factor", seconds / 4, "", 0.02)


def training(size: str, network: str, batch: int, *, full: bool) -> Iterator[Row]:
    """Steps on the device."""
    import torch

    from benchmarks.finetune import step_of

    torch.cuda.reset_peak_memory_stats()
    step, _ = step_of(size, network, batch, full, "cuda")

    def whole_step() -> None:
        step()
        torch.cuda.synchronize()

    seconds = _median_s(whole_step, _STEPS)
    what = "all weights" if full else "LoRA"
    name = f"{size} {network}, {what}, batch {batch}"
    if full:
        yield Row(f"{name}: steps a second", 1 / seconds, "1/s")
    else:
        yield Row(f"{name}: 1,000 steps", 1000 * seconds, "s", 120)
    peak = torch.cuda.max_memory_allocated() / 2**30
    yield Row(f"{name}: peak memory of the device", peak, "GiB", None if full else 16)


def _median_s(run: Callable[[], None], rounds: int) -> float:
    """Median seconds of a run; the first, which compiles and fills caches, is not counted."""
    taken = []
    for number in range(rounds + 1):
        began = time.perf_counter()
        run()
        if number:
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def measure(
    parts: dict[str, Part], minutes: float, clock: Callable[[], float] = time.monotonic
) -> tuple[list[Row], bool]:
    """Runs the parts in order, printing each figure as it comes -> the figures, and whether all parts ran."""
    rows: list[Row] = []
    sound, end_s = True, clock() + 60 * minutes
    for name, part in parts.items():
        if clock() >= end_s:
            print(f"{name}: not run: {minutes:g} minutes are over", flush=True)
            sound = False
            continue
        try:
            for row in part():
                rows.append(row)
                print(row.line(), flush=True)
        except Exception as error:
            print(f"{name}: failed: {error!r}", flush=True)
            sound = False
    return rows, sound


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything ran, or nothing could; 1 when a part failed or had no time. Missed limits are printed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--recording", type=Path, default=RECORDING)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    if missing := cuda_device():
        print(missing)
        return 0
    about = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout.strip()
    print(about)
    parts: dict[str, Part] = {
        "LoRA, acoustic": partial(training, "v2Pro", "sovits", 4, full=False),
        "LoRA, text to semantic": partial(training, "v2Pro", "t2s", 4, full=False),
        "official size": official_size,
        "nano": partial(speaking, given.recording),
        "pretraining, acoustic": partial(training, "nano", "sovits", 16, full=True),
        "pretraining, text to semantic": partial(training, "nano", "t2s", 16, full=True),
    }
    rows, sound = measure(parts, given.minutes)
    if given.json:
        given.json.write_text(json.dumps({"machine": about, "rows": [asdict(row) for row in rows]}, indent=2))
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
