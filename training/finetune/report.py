"""Reports of a training: training.json, a plot of the curves, event files for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from timbre.core.atomic import write_json
from timbre.training.finetune.memorisation import Retention

SCHEMA = 1
TRAINING_FILE = "training.json"
CURVES = ("training.png", "training.svg")
EVENTS = "tensorboard"
_TITLES = {"sovits": "acoustic model", "t2s": "text to semantic"}


@dataclass(frozen=True)
class NetworkReport:
    """One network's run."""

    name: str
    """Key of its part in training.json: "sovits" or "t2s"."""
    steps: int
    """Updates done."""
    best_step: int
    """Step of the kept adapter."""
    ended: str
    """"early stopping", "max_steps" or "max_minutes"."""
    history: Sequence[Mapping[str, Any]]
    """An entry an evaluation, the first before any step: step, learning rate, mean losses."""
    seconds: float
    """Of training, over all restarts."""
    rows_per_step: int
    """Slices of an update, over all processes."""
    rows: int
    """Slices in memory at once at the end."""
    checkpointing: bool
    """Whether activations were recomputed at the end."""
    fallbacks: int
    """How often memory ran out."""
    parameters: Mapping[str, int]
    """Values of the adapter by group."""
    adapter_bytes: int
    """Of adapter_model.safetensors."""
    peak_mib: float
    """Of memory (the GPU's where there is one)."""
    retained: Retention | None = None
    """What it learned, None without held-out slices."""

    def held_out(self, step: int) -> float | None:
        """Held-out loss at the look of that step."""
        for entry in self.history:
            if entry["step"] == step and "held_out" in entry:
                return float(entry["held_out"]["total"])
        return None

    def plain(self) -> dict[str, Any]:
        """Its part of training.json."""
        first, best = self.held_out(self.history[0]["step"]), self.held_out(self.best_step)
        return {
            "steps": self.steps,
            "best_step": self.best_step,
            "ended_by": self.ended,
            "held_out_before": first,
            "held_out_best": best,
            "seconds": round(self.seconds, 3),
            "seconds_per_step": round(self.seconds / max(1, self.steps), 4),
            "slices_per_second": round(self.rows_per_step * self.steps / max(1e-9, self.seconds), 3),
            "rows_at_once": self.rows,
            "gradient_checkpointing": self.checkpointing,
            "memory_fallbacks": self.fallbacks,
            "trainable_parameters": {**self.parameters, "total": sum(self.parameters.values())},
            "adapter_bytes": self.adapter_bytes,
            "peak_memory_mib": round(self.peak_mib, 1),
            "retained": None if self.retained is None else self.retained.plain(),
            "history": list(self.history),
        }


def write_training(
    folder: Path, voice: Mapping[str, Any], reports: Sequence[NetworkReport], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes all three; returns the content of training.json. voice: what is said about the voice and the machine."""
    content = {
        "schema": SCHEMA,
        **voice,
        "recipe": dict(settings),
        **outcome_figures(report.retained for report in reports),
        "networks": {report.name: report.plain() for report in reports},
    }
    write_json(folder / TRAINING_FILE, content)
    draw_curves(folder, reports)
    write_events(folder / EVENTS, reports)
    return content


def write_retention(folder: Path, retained: Mapping[str, Retention | None]) -> None:
    """Puts what other adapters than those at the end of training retained into training.json, by network."""
    content: dict[str, Any] = json.loads((folder / TRAINING_FILE).read_text(encoding="utf-8"))
    for name, item in retained.items():
        content["networks"][name]["retained"] = None if item is None else item.plain()
    write_json(folder / TRAINING_FILE, content | outcome_figures(retained.values()))


def outcome_figures(retained: Iterable[Retention | None]) -> dict[str, float | None]:
    """The two figures that stage 4 gates: the larger memorisation, and the held-out loss of the network that improved
    more (one of the two may rightly stay as the base has it).
    """
    known = [item for item in retained if item is not None]
    return {
        "memorisation": round(max(item.memorisation for item in known), 6) if known else None,
        "held_out_loss": round(min(item.held_out_loss for item in known), 6) if known else None,
    }


def draw_curves(folder: Path, reports: Sequence[NetworkReport]) -> None:
    """Training and held-out loss against steps, the least of these marked; one panel a network, PNG and SVG."""
    figure = Figure(figsize=(6.0 * len(reports), 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    for place, report in enumerate(reports, 1):
        axes = figure.add_subplot(1, len(reports), place)
        for kind, label in (("training", "training"), ("held_out", "held out")):
            points = [(entry["step"], entry[kind]["total"]) for entry in report.history if kind in entry]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
        axes.axvline(report.best_step, color="grey", linestyle=":", label=f"least: step {report.best_step}")
        axes.set_title(f"{_TITLES.get(report.name, report.name)}: {report.steps} steps, {report.ended}")
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend()
    for name in CURVES:
        figure.savefig(folder / name, dpi=110, metadata={"Date": None} if name.endswith("svg") else None)


def write_events(folder: Path, reports: Sequence[NetworkReport]) -> None:
    """The same figures as TensorBoard reads them: <network>/<training or held_out>/<term>."""
    writer = SummaryWriter(str(folder))
    try:
        for report in reports:
            for entry in report.history:
                values = {f"{report.name}/learning_rate": entry["learning_rate"]}
                for kind in ("training", "held_out"):
                    values |= {f"{report.name}/{kind}/{term}": value for term, value in entry.get(kind, {}).items()}
                for name, value in values.items():
                    writer.add_scalar(name, value, entry["step"])
    finally:
        writer.close()
