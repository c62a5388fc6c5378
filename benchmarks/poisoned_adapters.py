"""Which of a base's own gates refuse which kind of degraded adapter?

    python -m benchmarks.poisoned_adapters nano FOLDER FOLDER... [--steps 20] [--minutes 3] [--degraded 0]

Each FOLDER is a voice folder, at least two. Good adapters are trained shortly and degraded in every way that a
calibration knows (pipeline/calibration/degraded_adapters.py); the limits are those of bases/BASE/gates.yaml, as they
ship: nothing is calibrated. A row a kind: how many were measured and refused, and by which gates. Measurements are
shared with `timbre gates calibrate` of the same plan. Exit code 20 when a degraded adapter passes or a good one is
refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from timbre.core.atomic import write_json
from timbre.core.errors import CheckFailedError
from timbre.core.progress import PlainProgress
from timbre.core.recipe import Recipe, load_recipe
from timbre.core.table import Table
from timbre.evaluation.calibration import GOOD, Specimen, red_gates
from timbre.evaluation.gates import GateSet
from timbre.evaluation.gates_yaml import GATES_FILE, read_gates
from timbre.pipeline.calibration.degraded_adapters import KINDS, TONAL, degradations_in_turn
from timbre.pipeline.calibration.measure import CalibrationPlan, Measuring
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.address import RegistryAddress


@dataclass(frozen=True)
class KindRow:
    """One kind. refused: how many of `measured`; by: gate -> how many; passed: speakers whose adapter got through."""

    kind: str
    measured: int
    refused: int
    by: dict[str, int]
    passed: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Whether every good one passed, or every degraded one was refused."""
        return self.refused == (0 if self.kind == GOOD else self.measured)


def rows_of(gates: GateSet, specimens: Sequence[Specimen]) -> list[KindRow]:
    """A row a kind that was measured: good ones first, then in the order of KINDS."""
    rows = []
    for kind in (GOOD, *KINDS, *TONAL):
        own = [(item.speaker, red_gates(gates, item)) for item in specimens if item.kind == kind]
        counts: dict[str, int] = {}
        for name in (name for _, red in own for name in red):
            counts[name] = counts.get(name, 0) + 1
        if own:
            passed = tuple(speaker for speaker, red in own if not red)
            rows.append(KindRow(kind, len(own), len(own) - len(passed), counts, passed))
    return rows


def table(rows: Sequence[KindRow]) -> str:
    """Markdown; what should not be is in bold."""
    cells = []
    for row in rows:
        refused = f"{row.refused} of {row.measured}"
        by = ", ".join(f"{name} {count}" for name, count in sorted(row.by.items(), key=lambda item: -item[1]))
        cells.append((row.kind, refused if row.right else f"**{refused}**", by or "-"))
    return Table(("adapter", "refused", "by"), cells).markdown()


def silent_gates(gates: GateSet, rows: Sequence[KindRow]) -> list[str]:
    """Blocking gates that refused no degraded adapter here."""
    red = {name for row in rows if row.kind != GOOD for name in row.by}
    return [gate.name for gate in gates.gates if gate.blocks and gate.name not in red]


@click.command(help=__doc__)
@click.argument("base")
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="FOLDER"
)
@click.option("--steps", default=20, show_default=True, help="Training steps of each network.")
@click.option("--minutes", default=3.0, show_default=True, help="Longest training of a voice.")
@click.option("--degraded", default=0, help="Degradations of each voice, in turn. [default: all]")
@click.option("--copies", default=5, show_default=True, help="Held-out recordings of each voice.")
@click.option("--fixed", default=1, show_default=True, help="Fixed sentences of each voice.")
@click.option("--recipe", "recipe_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "target", type=click.Path(path_type=Path, dir_okay=False), help="Write the rows there too.")
def main(
    base: str,
    folders: tuple[Path, ...],
    steps: int,
    minutes: float,
    degraded: int,
    copies: int,
    fixed: int,
    recipe_file: Path | None,
    target: Path | None,
) -> None:
    """Print the table."""

    def report(line: str) -> None:
        click.echo(line, err=True)

    workspace = Workspace.find(Path.cwd())
    found = workspace.load_base(base)
    gates = read_gates(found.folder / GATES_FILE)
    plan = CalibrationPlan(steps=steps, minutes=minutes, copies=copies, fixed=fixed, kinds_per_voice=degraded)
    measuring = Measuring(
        found, workspace.root, RegistryAddress(str(workspace.default_registry), {}), plan,
        load_recipe(recipe_file) if recipe_file else Recipe(), PlainProgress(report, every_s=60.0), say=report,
        degradations=degradations_in_turn,
    )  # fmt: skip
    specimens, left_out = measuring.specimens([folder.resolve() for folder in folders])
    rows = rows_of(gates, specimens)
    click.echo(table(rows))
    if silent := silent_gates(gates, rows):
        click.echo(f"\nrefused none of these: {', '.join(silent)}")
    for line in left_out:
        click.echo(f"left out: {line}")
    if target is not None:
        write_json(target, json.loads(json.dumps([asdict(row) for row in rows])))
    if not all(row.right for row in rows):
        sys.exit(CheckFailedError.exit_code)


if __name__ == "__main__":
    main()
