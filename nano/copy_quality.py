"""Copy synthesis measured while training: PESQ and STOI of a few eval clips (never trained on)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from timbre.core.extras import needed_by
from timbre.nano.corpus import RATE_HZ, evaluation_files, read_audio, resampled

JUDGE_HZ = 16_000
"""The rate at which PESQ and STOI are defined here."""

Floats = npt.NDArray[np.float32]


def evaluation_waves(
    speech: Path, per_corpus: int, hop: int, corpora: Sequence[str] = ("ljspeech", "vctk")
) -> list[Floats]:
    """The first eval clips of each corpus, cut to whole frames."""
    waves = []
    for corpus in corpora:
        for file in evaluation_files(speech, [corpus])[:per_corpus]:
            wave = read_audio(speech / file.path)
            waves.append(wave[: len(wave) // hop * hop])
    return waves


def copy_quality(copy: Callable[[Floats], Floats], waves: Sequence[Floats]) -> dict[str, float]:
    """Mean PESQ narrow and wide band and STOI of ``copy(wave)`` against ``wave``, all [T] at the corpus's rate."""
    with needed_by("quality of copies"):
        from pesq import pesq
        from pystoi import stoi
    rows = []
    for wave in waves:
        real, made = (resampled(sound, RATE_HZ, JUDGE_HZ) for sound in (wave, copy(wave)))
        rows.append((pesq(JUDGE_HZ, real, made, "nb"), pesq(JUDGE_HZ, real, made, "wb"), stoi(real, made, JUDGE_HZ)))
    means = np.mean(rows, axis=0)
    return {name: round(float(mean), 4) for name, mean in zip(("pesq_nb", "pesq_wb", "stoi"), means, strict=True)}
