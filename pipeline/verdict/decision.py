"""measurements.json of stage 4, gates of the base, production's measurements -> a verdict on every gate."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from timbre.core.digests import digest_file
from timbre.core.errors import CheckFailedError
from timbre.core.recipe import EvaluateRecipe
from timbre.evaluation.gates import Verdicts, decide
from timbre.evaluation.gates_yaml import GATES_FILE, read_gates
from timbre.evaluation.measurements import Measurements, read_measurements
from timbre.evaluation.metrics.summary import Interval
from timbre.pipeline.stages.table import StageContext
from timbre.pipeline.verdict.production import Production, production_measurements


@dataclass(frozen=True)
class Decision:
    """The verdict on every gate, with what it was decided on."""

    measured: Measurements
    """What stage 4 measured, under the name that the voice has now."""
    verdicts: Verdicts
    """One a gate of the base."""
    production: Production
    """What relative gates were compared with."""


def decide_gates(context: StageContext, measured: Path) -> Decision:
    """Decides every gate. measured: output directory of stage 4. Raises what production_measurements raises."""
    # Equal recordings have one key, so these may have been measured under another name.
    values = dataclasses.replace(read_measurements(measured), voice=context.voice.name)
    limits = context.base.folder / GATES_FILE
    gates = read_gates(limits)
    recipe = context.section(EvaluateRecipe)
    interval = Interval(recipe.bootstrap_samples, recipe.confidence)
    production = production_measurements(context.registry, context.voice.name)
    if production.left_out:
        about = {"voice": context.voice.name, "reason": production.left_out}
        context.log.warning("not compared with production", extra=about)
    verdicts = decide(gates, values, production.measured, interval)
    overrides = {name: dict(values) for name, values in context.voice.recipe.items() if values}
    digest = digest_file(limits) if limits.is_file() else ""
    verdicts = dataclasses.replace(verdicts, left_out=production.left_out, gates_digest=digest, overrides=overrides)
    return Decision(values, verdicts, production)


def require_passed(decision: Decision, report: Path) -> None:
    """Raises CheckFailedError naming the red gates. report: the page that says what to do about each."""
    verdicts = decision.verdicts
    if not verdicts.passed:
        reasons = "; ".join(item.reason for item in verdicts.red)
        raise CheckFailedError(
            f"{decision.measured.voice}: {len(verdicts.red)} of {len(verdicts.verdicts)} gates are red: {reasons}",
            f"open {report}: it says what to do about each",
        )
