"""`timbre gates`: shows and calibrates the limits of a base."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import click

from timbre.cli.commands.options import output_options, recipe_option, registry_option
from timbre.cli.invocation import Invocation, cancel_on_signals
from timbre.cli.recipes import chosen_recipe
from timbre.core.atomic import write_json, write_text
from timbre.core.cancellation import Cancellation
from timbre.core.errors import CheckFailedError
from timbre.core.table import Table
from timbre.evaluation.calibration import calibrate as find_limits
from timbre.evaluation.gates_yaml import GATES_FILE, read_gates
from timbre.evaluation.metrics.catalogue import metric
from timbre.evaluation.reports.calibration_note import calibration_sentence
from timbre.evaluation.reports.calibration_report import CalibrationContext, gates_yaml, markdown_report, plain_report


@click.group()
def gates() -> None:
    """Show or calibrate the gates of a base."""


@gates.command()
@click.argument("base")
@output_options
@click.pass_obj
def show(invocation: Invocation, base: str, as_json: bool, as_markdown: bool) -> None:
    """Show the gates of BASE: limits and calibration results."""
    found_base = invocation.workspace().load_base(base)
    found = read_gates(found_base.folder / GATES_FILE)
    if as_json:
        plain = {
            "gates": [dataclasses.asdict(gate) for gate in found.gates],
            "min_sentences": found.min_sentences,
            "calibration": dict(found.calibration),
        }
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False, default=str))
        return
    rows = []
    for gate in found.gates:
        sign = ">=" if metric(gate.metric).direction == "higher" else "<="
        unit = metric(gate.metric).unit.replace("1", "")
        limit = "relative" if gate.limit is None else f"{sign} {gate.limit:g} {unit}".rstrip()
        rows.append((gate.name, limit, "yes" if gate.blocks else "no", gate.why))
    table = Table(("gate", "limit", "blocks", "why"), rows)
    click.echo(table.markdown() if as_markdown else table.text())
    digest = found_base.digest if found_base.locked else ""
    click.echo(f"\n{calibration_sentence(found.calibration, digest)[0]}")


@gates.command()
@click.argument("base")
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    metavar="FOLDER...",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
)
@click.option("--steps", type=click.IntRange(1), default=60, show_default=True, help="Training steps of each network.")
@click.option("--minutes", type=float, default=3.0, show_default=True, help="Maximum training time of a voice.")
@click.option("--rate", type=float, help="Learning rate. [default: the recipe's]")
@click.option(
    "--degraded",
    "degradations",
    type=click.IntRange(0),
    default=0,
    help="Degradations to apply to each voice. [default: all]",
)
@click.option(
    "--margin",
    type=float,
    default=2.0,
    show_default=True,
    help="Distance from the worst good voice to the limit, in spreads.",
)
@click.option("--copies", type=click.IntRange(2), default=5, show_default=True, help="Held-out recordings per voice.")
@click.option("--fixed", type=click.IntRange(0), default=3, show_default=True, help="Fixed sentences per voice.")
@click.option("--write", "overwrite", is_flag=True, help="Overwrite bases/BASE/gates.yaml with the result.")
@recipe_option
@registry_option
@output_options
@click.pass_obj
def calibrate(
    invocation: Invocation,
    base: str,
    folders: tuple[Path, ...],
    steps: int,
    minutes: float,
    rate: float | None,
    degradations: int,
    margin: float,
    copies: int,
    fixed: int,
    overwrite: bool,
    recipe_file: Path | None,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Calibrate the limits of BASE on good voices (each FOLDER is a voice folder) and on degraded copies of them.

    Half of the speakers set the limits, the other half tests them; the report has both results. Exit code 20 if a
    degraded voice of the test half passes, or fewer than nine in ten good ones do. An interrupted run resumes. Output:
    .timbre/calibration/BASE/.
    """
    from timbre.pipeline.calibration.measure import CalibrationPlan, Measuring

    workspace, cancel = invocation.workspace(), Cancellation()
    found_base = workspace.load_base(base)
    recipe = chosen_recipe(invocation, recipe_file)
    usual = recipe.for_base(found_base.recipe, str(found_base.folder)).finetune.learning_rate
    plan = CalibrationPlan(
        steps=steps, minutes=minutes, rate=usual if rate is None else rate, copies=copies, fixed=fixed,
        kinds_per_voice=degradations,
    )  # fmt: skip
    run = Measuring(
        found_base, workspace.root, invocation.registry(registry), plan, recipe, invocation.progress(), cancel,
        lambda line: click.echo(line, err=True),
    )  # fmt: skip
    with cancel_on_signals(cancel):
        specimens, left_out = run.specimens([folder.resolve() for folder in folders])
    found = find_limits(specimens, margin=margin)
    about = CalibrationContext(
        found_base.name, found_base.digest, datetime.now(UTC).date().isoformat(), dataclasses.asdict(plan), left_out
    )
    report = markdown_report(found, about)
    write_text(run.folder / GATES_FILE, gates_yaml(found, about))
    write_text(run.folder / "report.md", report)
    write_json(run.folder / "report.json", plain_report(found, about))
    if overwrite:
        write_text(found_base.folder / GATES_FILE, gates_yaml(found, about))
    click.echo(json.dumps(plain_report(found, about), indent=2, ensure_ascii=False) if as_json else report)
    if not (as_json or as_markdown):
        click.echo(f"written: {(run.folder / 'report.md').relative_to(workspace.root)}, report.json, {GATES_FILE}")
    if not found.holds:
        raise CheckFailedError(
            f"calibration of {base}: in the test half {found.judging.good[1]} of {found.judging.good[0]} good and "
            f"{found.judging.degraded[1]} of {found.judging.degraded[0]} degraded voices pass",
            "see the report; use more speakers, another --margin or a better base",
        )
