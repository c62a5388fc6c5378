"""Pictures for the model card: training curves from the stages' logs, spectrograms of real and spoken clips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from timbre.core.errors import ConfigurationError
from timbre.core.extras import needed_by

Floats = npt.NDArray[np.float32]

CURVES = (
    ("content/content.log.jsonl", "content encoder", ("frame", "ctc")),
    ("acoustic/autoencoder.jsonl", "copy synthesis", ("pesq_nb", "pesq_wb")),
    ("acoustic/autoencoder.jsonl", "autoencoder, losses", ("magnitude", "wave", "pitch")),
    ("acoustic/joint.jsonl", "prior and flow, nats a channel", ("kl",)),
    ("acoustic/joint.jsonl", "generator", ("magnitude", "wave")),
    ("semantic/t2s.jsonl", "text to codes", ("nats", "dev_nats")),
)
"""(log below the work folder, title, keys)."""


def read_log(path: Path) -> list[dict[str, Any]]:
    """Lines of a log; a last line that was cut off is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def plot_curves(work: Path, target: Path) -> int:
    """One panel a log that is there, value over minutes of training; returns the number of panels."""
    pyplot = _pyplot()
    found = [(read_log(work / name), title, keys) for name, title, keys in CURVES if (work / name).is_file()]
    if not found:
        raise ConfigurationError(f"{work}: no training logs", remedy="timbre pretrain content, acoustic, t2s")
    figure, axes = pyplot.subplots(-(-len(found) // 4), 4, figsize=(14, 3 * -(-len(found) // 4)), squeeze=False)
    for axis, (rows, title, keys) in zip(axes.flat, found, strict=False):
        for key in keys:
            points = [(row["minutes"], row[key]) for row in rows if key in row and "minutes" in row]
            axis.plot([x for x, _ in points], [y for _, y in points], label=key)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("minutes", fontsize=8)
        axis.legend(fontsize=7)
    for axis in list(axes.flat)[len(found) :]:
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(target, dpi=70)
    pyplot.close(figure)
    return len(found)


def plot_spectrograms(clips: Sequence[tuple[str, Floats]], target: Path, rate_hz: int = 16_000) -> None:
    """One row a clip (title, wave [T]): magnitude in dB over time."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(len(clips), 1, figsize=(9, 1.9 * len(clips)), squeeze=False)
    for axis, (title, wave) in zip(axes[:, 0], clips, strict=True):
        axis.specgram(wave + 1e-7, NFFT=512, noverlap=384, Fs=rate_hz, vmin=-120, vmax=-30, cmap="magma")
        axis.set_title(title, fontsize=8)
        axis.tick_params(labelsize=7)
    figure.tight_layout()
    figure.savefig(target, dpi=60)
    pyplot.close(figure)


def _pyplot() -> Any:
    with needed_by("curves"):
        import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot
