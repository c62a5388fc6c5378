"""What denoising is worth: PESQ wide band of clean speech in real noise, before, by RNNoise and by DeepFilterNet 3.

speech and noise beside the checkout (../shared or $TIMBRE_SHARED) -> mixtures at 5 dB -> PESQ against the clean clip

python -m benchmarks.denoise [--clips 6] [--snr 5]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from timbre.audio.denoise import RnNoise
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.evaluation.metrics.perceptual import pesq
from timbre.pipeline.stages.validate.deepfilter_library import NAME, DeepFilterLibrary

LIMIT = 2.2
_RATE_HZ = 16_000
_CORPORA = ("vctk", "ljspeech")


def speech_folder() -> Path:
    """Where the licensed speech lies."""
    return Path(os.environ.get("TIMBRE_SHARED", Path(__file__).parents[2] / "shared")) / "speech"


def clips(folder: Path, count: int) -> Iterator[Waveform]:
    """`count` clips of 3 s or more, as many of each corpus, at their own rates."""
    for corpus in _CORPORA:
        lines = (folder / corpus / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]
        long = [line.split("|")[0] for line in lines if float(line.split("|")[-1]) >= 3.0]
        step = max(1, len(long) // max(1, count // len(_CORPORA)))
        for name in long[::step][: count // len(_CORPORA)]:
            yield read(folder / corpus / name)


def mixed(clean: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """clean in noise (repeated to its length) at that ratio of powers."""
    other = np.resize(resample(noise, clean.rate_hz).samples, len(clean.samples))
    power = float(np.mean(np.square(clean.samples, dtype=np.float64)))
    gain = np.sqrt(power / 10 ** (snr_db / 10) / max(float(np.mean(np.square(other, dtype=np.float64))), 1e-12))
    return Waveform(np.asarray(clean.samples + gain * other, np.float32), clean.rate_hz)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--snr", type=float, default=5.0)
    given = parser.parse_args()
    folder = speech_folder()
    denoisers = (RnNoise(), DeepFilterLibrary())
    kinds = sorted(path for path in (folder / "noise").iterdir() if path.is_dir())
    found: dict[str, list[list[float]]] = {kind.name: [] for kind in kinds}
    for clean in clips(folder, given.clips):
        reference = resample(clean, _RATE_HZ).samples
        for kind in kinds:
            file = min(path for path in kind.iterdir() if path.suffix in (".ogg", ".wav", ".flac", ".opus"))
            dirty = mixed(clean, read(file), given.snr)
            sounds = [dirty, *(denoiser.denoise(dirty) for denoiser in denoisers)]
            found[kind.name].append([pesq(reference, resample(sound, _RATE_HZ).samples, band="wb") for sound in sounds])
    print(f"PESQ wide band, {given.clips} clips, noise at {given.snr:g} dB")
    print(f"{'noise':<16} {'noisy':>7} {'RNNoise':>8} {NAME:>16}")
    for name, rows in found.items():
        noisy, other, library = np.mean(rows, axis=0)
        print(f"{name:<16} {noisy:7.2f} {other:8.2f} {library:16.2f}")
    noisy, other, library = np.mean([row for rows in found.values() for row in rows], axis=0)
    verdict = "met" if library >= LIMIT else "missed"
    print(f"{'all':<16} {noisy:7.2f} {other:8.2f} {library:16.2f}  (limit {LIMIT:g}: {verdict})")


if __name__ == "__main__":
    main()
