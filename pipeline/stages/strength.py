"""The last step of stage 3: checkpoint, strengths and pace, as far as the words allow by what a recogniser hears.

adapters, held-out slices of stage 2 -> evaluation/strengths.py -> adapter_config.json, training.json, trade_off.svg
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from timbre.audio.waveform import Waveform
from timbre.core.atomic import remove_tree, write_json
from timbre.core.recipe import FinetuneRecipe
from timbre.evaluation.recorded import misheard_of
from timbre.evaluation.rendition import Recording
from timbre.evaluation.strengths import TradeOff, Trials, choose
from timbre.inference.engine import Engine
from timbre.inference.exported_base import ExportedBase
from timbre.inference.voice import Voice, load_voice
from timbre.pipeline.bases.exported import exported_base
from timbre.pipeline.stages.table import StageContext
from timbre.training.shards import FOLDER, read_shards

RECOGNISER = "recogniser"
EARLY_FOLDER = "early"
"""Where training/finetune/voice.py leaves them; named here too, since that module loads torch."""
TRADE_OFF = "trade_off.svg"
PROMPT_TENSORS = "prompt.safetensors"
"""Of training/finetune/voice.py too."""
_SAME_PACE = (0.75, 1.33)
_FEWEST = 2


def held_out_of(features: Path, rate_hz: int) -> list[Recording]:
    """The held-out slices of stage 2's output."""
    about = json.loads((features / "extract.json").read_text(encoding="utf-8"))
    tensors = read_shards(features / FOLDER)
    found = []
    for row in about["slices"]:
        if row["held_out"]:
            wave = np.asarray(tensors[row["id"]]["wave"], np.float32) / np.float32(32768.0)
            found.append(Recording(row["id"], row["text"], row["language"], Waveform(wave, rate_hz)))
    return found


def settle_strengths(context: StageContext, recipe: FinetuneRecipe) -> TradeOff | None:
    """Keeps the adapters in context.output that are heard best, scaled; removes those of half way. None, and nothing
    else changed, for a base without a recogniser of its own, with too little held out, or when the recipe switches it
    off.
    """
    try:
        return _settled(context, recipe)
    finally:
        remove_tree(context.output / EARLY_FOLDER)


def _settled(context: StageContext, recipe: FinetuneRecipe) -> TradeOff | None:
    if not recipe.listen_sentences or not any(item.role == RECOGNISER for item in context.base.files):
        return None
    recordings = held_out_of(context.inputs["extract"], context.base.rate_hz)
    if len(recordings) < _FEWEST:
        return None
    exported = exported_base(context.base, context.root, context.registry, progress=context.progress)
    with Engine(exported) as engine:
        if engine.recogniser is None:
            return None
        voice = load_voice(context.output, exported, name=context.voice.name, version=context.key[:12])
        with context.progress.task("adapter strength", total=None, unit="") as task:
            recorded = misheard_of(recordings, engine.recogniser, voice.lexicon)
            trials = Trials(
                engine, engine.recogniser, voice, recordings, recipe.listen_sentences,
                lambda line: _said(task, context, line), _early_voice(context, exported),
            )  # fmt: skip
            tried = trials.strengths()
            if context.base.speaking.follow_text:
                tried += trials.paces(tried, choose(tried, recipe.max_error_rise, recorded).best)
    found = replace(choose(tried, recipe.max_error_rise, recorded), recorded_dbfs=round(trials.level_dbfs, 2))
    if found.best.early:
        for folder in _adapters(context.output / EARLY_FOLDER):
            remove_tree(context.output / folder.name)
            folder.rename(context.output / folder.name)
    scale_adapter(context.output / "t2s", found.best.t2s)
    scale_adapter(context.output / "sovits", found.best.acoustic)
    keep_pace(context.output, found.best.pace, found.best.stretch)
    keep_gain(context.output, found.gain)
    return found


def _adapters(folder: Path) -> list[Path]:
    return sorted(item for item in folder.iterdir() if item.is_dir()) if folder.is_dir() else []


def _early_voice(context: StageContext, exported: ExportedBase) -> Voice | None:
    """The voice with the adapters of half way; a network without one of those keeps its last."""
    early = _adapters(context.output / EARLY_FOLDER)
    if not early:
        return None
    with tempfile.TemporaryDirectory(dir=context.output.parent) as place:
        whole = Path(place) / "voice"
        shutil.copytree(context.output, whole, ignore=shutil.ignore_patterns(EARLY_FOLDER, *(f.name for f in early)))
        for folder in early:
            shutil.copytree(folder, whole / folder.name)
        return load_voice(whole, exported, name=context.voice.name, version=f"{context.key[:12]}-{EARLY_FOLDER}")


def _said(task: Any, context: StageContext, line: str) -> None:
    context.cancel.check()
    task.note(line)
    context.log.info("adapter strength", extra={"heard": line})


def scale_adapter(folder: Path, strength: float) -> None:
    """Multiplies what a PEFT folder adds to its base. A folder that is not there stays so."""
    path = folder / "adapter_config.json"
    if strength == 1.0 or not path.is_file():
        return
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    config["lora_alpha"] = strength * config["lora_alpha"]
    config["alpha_pattern"] = {name: strength * value for name, value in (config.get("alpha_pattern") or {}).items()}
    write_json(path, config)


def keep_pace(folder: Path, ratio: float, stretch: float = 1.0) -> None:
    """Write into the prompt how far a voice's codes are drawn out, and let one that still does not take over its
    owner's pace expect its own: seconds a sound and around a sentence times ratio. Otherwise every sentence of an owner
    who reads at a third of the usual pace counts as failed, being too short. Ratios within _SAME_PACE change nothing.
    """
    same = _SAME_PACE[0] <= ratio <= _SAME_PACE[1]
    if same and stretch == 1.0:
        return
    path = folder / PROMPT_TENSORS
    tensors = load_file(path)
    if stretch != 1.0:
        tensors["stretch"] = np.asarray(stretch, np.float32)
    if not same:
        tensors["rate"] = np.asarray(ratio * tensors["rate"], np.float32)
        if "pauses" in tensors:
            tensors["pauses"] = (tensors["pauses"] * np.array([1.0, 1.0, ratio])).astype(np.float32)
    save_file(tensors, path)


def keep_gain(folder: Path, gain: float) -> None:
    """Write into the prompt what makes the voice as loud as its recordings."""
    path = folder / PROMPT_TENSORS
    save_file(load_file(path) | {"gain": np.asarray(gain, np.float32)}, path)


def write_trade_off(folder: Path, training_file: str, found: TradeOff | None) -> Mapping[str, Any]:
    """Adds `trade_off` to training.json and draws it; returns what training.json now holds."""
    path = folder / training_file
    training: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    training["trade_off"] = None if found is None else found.plain()
    write_json(path, training)
    if found is not None:
        _draw(folder / TRADE_OFF, found)
    return training


def _draw(path: Path, found: TradeOff) -> None:
    """Likeness against phone errors, a point a pair of strengths, the chosen one ringed; squares: half way, crosses: at
    another pace."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for mark, some in (
        ("o", [item for item in found.tried if not item.early and item.stretch == 1.0]),
        ("s", [item for item in found.tried if item.early and item.stretch == 1.0]),
        ("x", [item for item in found.tried if item.stretch != 1.0]),
    ):
        axes.plot([100 * item.error_rate for item in some], [item.likeness for item in some], mark)
    for item in found.tried:
        place = (100 * item.error_rate, item.likeness)
        axes.annotate(item.title, place, xytext=(5, 3), textcoords="offset points", fontsize=8)
    best = found.best
    axes.plot([100 * best.error_rate], [best.likeness], "o", markersize=14, fillstyle="none", label="kept")
    axes.margins(x=0.2)
    axes.set_title("adapter strength: text to semantic, acoustic; x: drawn out", fontsize=10)
    axes.set_xlabel("phone errors [%]")
    axes.set_ylabel("likeness")
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
