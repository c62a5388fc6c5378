"""Stage 3: features of stage 2 -> adapters, prompt, record of the training."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from timbre.core.recipe import FinetuneRecipe
from timbre.pipeline.stages.table import StageContext
from timbre.pipeline.voice.folder import LEXICON


class FinetuneStage:
    """Stage 3 of the table in pipeline/stages/table.py."""

    version = 12

    def run(self, context: StageContext) -> Mapping[str, Any]:
        """Writes t2s/, sovits/, prompt.safetensors, prompt.json, training.json, and lexicon.txt if the voice has it.

        Resumes from the checkpoints in context.resume. Raises what Finetuning.run raises.
        """
        from timbre.pipeline.stages.strength import TRADE_OFF, settle_strengths, write_trade_off
        from timbre.training.finetune.parallel import launch
        from timbre.training.finetune.report import CURVES, TRAINING_FILE
        from timbre.training.finetune.voice import Finetuning

        work = Finetuning(
            context.base, context.inputs["extract"], context.output, context.resume, context.section(FinetuneRecipe),
            progress=context.progress, cancel=context.cancel, log=context.log,
        )  # fmt: skip
        launch(work.run)
        # What is judged next, and published, speaks with the voice's own readings too.
        if (context.voice.path / LEXICON).is_file():
            shutil.copyfile(context.voice.path / LEXICON, context.output / LEXICON)
        settled = settle_strengths(context, context.section(FinetuneRecipe))
        if settled is not None and not settled.best.as_trained:
            launch(work.measure_kept)
        training = write_trade_off(context.output, TRAINING_FILE, settled)
        for name in (TRAINING_FILE, *CURVES, *([TRADE_OFF] if settled else [])):
            shutil.copyfile(context.output / name, context.report / name)
        return facts_of(training)


def facts_of(training: Mapping[str, Any]) -> dict[str, Any]:
    """The few figures of training.json for stage.json and the run's summary."""
    facts: dict[str, Any] = {"device": training["device"], "precision": training["precision"]}
    for name, run in training["networks"].items():
        keys = ("steps", "best_step", "ended_by", "held_out_before", "held_out_best", "memory_fallbacks")
        facts |= {f"{name}_{key}": run[key] for key in keys}
    facts |= {key: training[key] for key in ("memorisation", "held_out_loss")}
    if training.get("trade_off"):
        best = training["trade_off"]["tried"][training["trade_off"]["chosen"]]
        facts |= {f"strength_{name}": best[name] for name in ("t2s", "acoustic")}
        facts["level_dbfs"] = best["level_dbfs"]
    facts["adapter_bytes"] = sum(run["adapter_bytes"] for run in training["networks"].values())
    return facts
