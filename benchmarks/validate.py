"""How fast stage 1 is, and how much memory it takes: python -m benchmarks.validate [--minutes 1 --minutes 120]

Every figure comes from a separate process. Speed is seconds of sound for a second of processor time on one core, so
that other work on the machine does not count; memory is the growth of the peak over what imports and models take.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import soundfile as sf

from timbre.audio.reader import read

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SAMPLE = Path(__file__).parents[1] / "voices" / "awb"
_HISS = 0.004


def make_input(folder: Path, minutes: float, noisy: bool) -> Path:
    """One long recording: the sentences of the sample voice awb again and again, with their text."""
    (folder / "wavs").mkdir(parents=True)
    rows = [line.split("|") for line in (_SAMPLE / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]]
    waves = [read(_SAMPLE / file) for file, _ in rows]
    hiss = np.random.default_rng(0)
    said: list[str] = []
    count = 0
    with sf.SoundFile(str(folder / "wavs/long.flac"), "w", waves[0].rate_hz, 1) as stream:
        while count < minutes * 60 * waves[0].rate_hz:
            turn = len(said) % len(waves)
            samples = waves[turn].samples
            if noisy:
                samples = samples + np.float32(_HISS) * hiss.standard_normal(len(samples)).astype(np.float32)
            stream.write(samples)
            said.append(rows[turn][1])
            count += len(samples)
    table = f"file|text\nwavs/long.flac|{' '.join(said)}\n"
    (folder / "metadata.csv").write_text(table, encoding="utf-8")
    (folder / "voice.yaml").write_text("language: en\nconsent: {kind: synthetic, rights: none}\n", encoding="utf-8")
    return folder


def listen(folder: Path, work: Path) -> None:
    """Decoding, loudness and VAD only."""
    from timbre.audio.level import active_level_dbfs
    from timbre.audio.reader import blocks, probe, to_mono
    from timbre.audio.resample import StreamResampler
    from timbre.audio.vad import RATE_HZ, ActivityStream

    path = folder / "wavs/long.flac"
    speech, resampler = ActivityStream(), StreamResampler(probe(path).rate_hz, RATE_HZ)
    for block in blocks(path):
        speech.push(resampler.push(to_mono(block)))
    found = speech.finish()
    active_level_dbfs(found.levels_dbfs, found.speech)


def _whole(denoise: str) -> Callable[[Path, Path], None]:
    def validate(folder: Path, work: Path) -> None:
        from benchmarks.stage_one import run_stage_one

        recipe = {"denoise": denoise, "max_effective_s": 1e6, "min_snr_db": 0.0, "min_snr_before_denoise_db": 0.0}
        outcome = run_stage_one(folder, work, recipe=recipe)
        report = json.loads((outcome.report / "validation.json").read_text(encoding="utf-8"))
        cut_s = sum(piece["duration_s"] for piece in report["slices"])
        # A stage that gave up early would look fast.
        if cut_s < 0.5 * report["effective_s"]:
            raise click.ClickException(f"only {cut_s:.0f} s of {report['effective_s']:.0f} s were cut into slices")

    return validate


PARTS = {
    "decoding, loudness, VAD": (listen, 40.0),
    "whole stage, no denoising": (_whole("off"), 10.0),
    "whole stage, RNNoise": (_whole("rnnoise"), 4.0),
}


def measure(name: str, folder: Path) -> dict[str, float]:
    """Runs one part in this process: processor seconds and growth of the peak in MB, imports and models taken out."""
    part, _ = PARTS[name]
    with tempfile.TemporaryDirectory() as place:
        # A first run on half a minute loads every library and model.
        part(make_input(Path(place) / "warm", 0.5, True), Path(place))
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        part(folder, Path(place))
        seconds = time.process_time() - started
        return {"seconds": seconds, "mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


@click.command()
@click.option("--minutes", multiple=True, type=float, default=(1.0, 5.0, 120.0), show_default=True)
@click.option("--one", nargs=2, type=str, default=None, hidden=True)
def main(minutes: tuple[float, ...], one: tuple[str, str] | None) -> None:
    """Measure stage 1 on recordings of some lengths."""
    if one is not None:
        click.echo(json.dumps(measure(one[0], Path(one[1]))))
        return
    click.echo("| part | recording min | processor s | times real time | goal | memory growth MB | limit |")
    click.echo("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        for length in minutes:
            folder = make_input(Path(place) / f"m{length:g}", length, True)
            sound_s = sf.info(str(folder / "wavs/long.flac")).duration
            for name, (_, goal) in PARTS.items():
                command = [sys.executable, "-m", "benchmarks.validate", "--one", name, str(folder)]
                environment = os.environ | dict.fromkeys(_THREADS, "1")
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                found = json.loads(done.stdout.splitlines()[-1])
                cells = (
                    name,
                    f"{length:g}",
                    f"{found['seconds']:.1f}",
                    f"{sound_s / found['seconds']:.0f}",
                    f"{goal:g}",
                    f"{found['mb']:.0f}",
                    "300",
                )
                click.echo("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
