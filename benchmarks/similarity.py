"""Does a voice sound like its speaker? Unseen speakers, fine-tuned on about 70 s, against held-out recordings of all.

python -m benchmarks.similarity [--base nano] [--count 12] [--steps 60] [--minutes 3] [--rate 2e-4] [--curve SPEAKER]

A row a speaker as it comes: GE2E cosine of what the voice says to the speaker's held-out recordings, over the mean
cosine of these among themselves; the same for the base without adapter (same prompt); who of all speakers is nearest;
held-out losses before and after. Then the table of everybody against everybody. Limits: 0.9 of the real-to-real value
and nearest to the own speaker, on at least 6 speakers; held-out loss falls. --curve trains one speaker with early
stopping off, and once with it, and prints both ends. Trainings are those of `timbre gates calibrate` with the same
--steps, --minutes and --rate, and kept in the same place; what was made is found again.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.speakers import RECIPE, RECIPE_TEXT, write_speakers
from timbre.core.atomic import write_json
from timbre.core.base import Base
from timbre.core.digests import digest_value
from timbre.core.progress import PlainProgress
from timbre.core.recipe import FinetuneRecipe, Recipe, load_recipe
from timbre.evaluation.judge import without_adapter
from timbre.evaluation.metrics.speaker import cosine, real_to_real
from timbre.evaluation.rendition import Recording, Renderer, Sentence, sentences_for
from timbre.inference.engine import Engine as Speaking
from timbre.inference.exported_base import ExportedBase
from timbre.inference.speaker import SpeakerEncoder
from timbre.inference.voice import Voice, load_voice
from timbre.pipeline.bases.exported import exported_base
from timbre.pipeline.calibration.measure import CalibrationPlan, calibration_folder
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.evaluate import held_out_recordings
from timbre.pipeline.voice.folder import open_voice
from timbre.registry.address import RegistryAddress

Vectors = NDArray[np.float32]
RATIO_LIMIT, SPEAKERS_LIMIT = 0.9, 6
_FIXED, _SEEDS = 3, (1,)
_NETWORKS = ("sovits", "t2s")


@dataclass(frozen=True)
class Row:
    """One speaker. real, spoken, plain: GE2E vectors [N, 256] of held-out recordings, of the voice and of the base
    without adapter. losses: network -> (before, after). seconds: of the training.
    """

    speaker: str
    real: Vectors
    spoken: Vectors
    plain: Vectors
    losses: dict[str, tuple[float, float]]
    seconds: float

    @property
    def own(self) -> float:
        """Mean cosine of the recordings among themselves."""
        return real_to_real(self.real)

    def towards(self, other: Row) -> float:
        """Mean cosine of what this voice says to another's recordings."""
        return float(cosine(self.spoken, other.real).mean())

    def ratio(self, said: Vectors) -> float:
        """Mean cosine to the own recordings over their own."""
        return float(cosine(said, self.real).mean()) / self.own


@dataclass(frozen=True)
class Bench:
    """root: of the repository; folder: where results are kept."""

    base: Base
    root: Path
    folder: Path
    recipe: Recipe
    registry: str

    def train(self, voice: Path, recipe: FinetuneRecipe) -> tuple[Path, Path, str]:
        """(output of stage 3, output of stage 1, key)."""
        whole = dataclasses.replace(self.recipe, finetune=recipe)
        progress = PlainProgress(lambda line: click.echo(line, err=True), every_s=60.0)
        address = RegistryAddress(self.registry, os.environ)
        engine = Engine(Workspace(self.folder), whole, progress=progress, registry=address)
        outcomes = engine.run(open_voice(voice, whole), self.base, until="finetune")
        paths = {outcome.row.name: outcome.path for outcome in outcomes}
        trained, validated = paths["finetune"], paths["validate"]
        assert trained is not None
        assert validated is not None
        return trained, validated, outcomes[-1].key

    def exported(self) -> ExportedBase:
        """The graphs of the base."""
        progress = PlainProgress(lambda line: click.echo(line, err=True), every_s=60.0)
        return exported_base(self.base, self.root, RegistryAddress(self.registry, os.environ), progress=progress)

    def row(self, voice: Path, engine: Speaking, exported: ExportedBase) -> Row:
        """The row of a speaker, measured or found."""
        trained, validated, key = self.train(voice, self.recipe.finetune)
        graphs = {name: {p: entry["sha256"] for p, entry in files.items()} for name, files in exported.graphs.items()}
        place = self.folder / "rows" / f"{voice.name}-{digest_value([key, graphs, _FIXED, _SEEDS])[:16]}.json"
        if not place.is_file():
            write_json(place, self._measured(voice.name, trained, held_out_recordings(validated), engine, exported))
        return read_row(place)

    def _measured(
        self, name: str, trained: Path, held_out: Sequence[Recording], engine: Speaking, exported: ExportedBase
    ) -> dict[str, Any]:
        encoder, renderer = SpeakerEncoder(exported), Renderer(engine)
        voice = load_voice(trained, exported, name=name)
        plain = without_adapter(voice)
        sentences = sentences_for(held_out, _FIXED)

        def said(speaker: Voice) -> list[list[float]]:
            return _spoken(renderer, encoder, sentences, speaker)

        training = json.loads((trained / "training.json").read_text(encoding="utf-8"))
        runs = training["networks"]
        return {
            "speaker": name,
            "real": encoder.embed_many([item.wave for item in held_out]).tolist(),
            "spoken": said(voice),
            "plain": said(plain),
            "losses": {net: [runs[net]["held_out_before"], runs[net]["held_out_best"]] for net in _NETWORKS},
            "seconds": sum(runs[net]["seconds"] for net in _NETWORKS),
        }


def _spoken(
    renderer: Renderer, encoder: SpeakerEncoder, sentences: Sequence[Sentence], voice: Voice
) -> list[list[float]]:
    found = []
    for sentence in sentences:
        for seed in _SEEDS:
            wave = renderer.speak(sentence, seed, voice).wave
            if wave is not None and float(np.abs(wave.samples).max()) > 1e-4:
                found.append(encoder.embed(wave).tolist())
    return found


def read_row(path: Path) -> Row:
    """A row as it was kept."""
    data = json.loads(path.read_text(encoding="utf-8"))
    real, spoken, plain = (np.asarray(data[name], np.float32) for name in ("real", "spoken", "plain"))
    losses = {name: (pair[0], pair[1]) for name, pair in data["losses"].items()}
    return Row(data["speaker"], real, spoken, plain, losses, data["seconds"])


def row_text(row: Row) -> str:
    """A row without the others, as it comes."""
    losses = "  ".join(f"{name} {before:.3f} -> {after:.3f}" for name, (before, after) in row.losses.items())
    return (
        f"{row.speaker:8s} real-to-real {row.own:.3f}  voice {row.ratio(row.spoken):.3f} of it "
        f"(base alone {row.ratio(row.plain):.3f})  held-out loss {losses}  {row.seconds:.0f} s"
    )


def summary(rows: Sequence[Row]) -> tuple[list[str], bool]:
    """Lines of the table of everybody against everybody, and whether the limits hold."""
    lines = ["", "cosine of what each voice says (rows) to the held-out recordings of each speaker (columns):"]
    lines.append(" " * 10 + "  ".join(f"{row.speaker[-6:]:>6s}" for row in rows))
    good = learnt = 0
    for row in rows:
        towards = [row.towards(other) for other in rows]
        nearest = rows[int(np.argmax(towards))].speaker
        enough = row.ratio(row.spoken) >= RATIO_LIMIT and nearest == row.speaker
        fell = all(after < before for before, after in row.losses.values())
        good, learnt = good + enough, learnt + fell
        cells = "  ".join(f"{value:6.3f}" for value in towards)
        lines.append(f"{row.speaker:10s}{cells}  nearest {nearest} {'ok' if enough else 'MISSED'}")
    held = good >= SPEAKERS_LIMIT and learnt >= SPEAKERS_LIMIT
    lines.append(
        f"{good} of {len(rows)} speakers: at least {RATIO_LIMIT} of the own real-to-real value and nearest to "
        f"themselves; held-out losses of both networks fell for {learnt} (limit {SPEAKERS_LIMIT}): "
        f"{'passed' if held else 'FAILED'}"
    )
    return lines, held


def curve(bench: Bench, voice: Path, steps: int) -> list[str]:
    """Both trainings of one speaker: with early stopping, and on and on without."""
    long = dataclasses.replace(
        bench.recipe.finetune, max_steps=steps, min_steps=steps // 5,
        validate_every_steps=max(1, steps // 20),
    )  # fmt: skip
    lines = []
    for stopping in (False, True):
        folder, _, _ = bench.train(voice, dataclasses.replace(long, early_stopping=stopping))
        training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        for name, run in training["networks"].items():
            seen = [(entry["step"], entry["held_out"]["total"]) for entry in run["history"] if "held_out" in entry]
            best = min(seen, key=lambda item: item[1])
            lines.append(
                f"early stopping {'on ' if stopping else 'off'} {name:7s} held-out loss {seen[0][1]:.3f} at 0, "
                f"{best[1]:.3f} at {best[0]}, {seen[-1][1]:.3f} at {seen[-1][0]} (ended by {run['ended_by']}); "
                f"kept step {run['best_step']}; memorisation {run['retained']['memorisation']:.3f}"
            )
        lines.append(f"  curve: {folder / 'training.svg'}")
    return lines


@click.command()
@click.option("--base", "name", default="nano", show_default=True)
@click.option("--count", default=12, show_default=True, help="Speakers.")
@click.option("--seconds", default=90.0, show_default=True, help="Speech of each, held-out sentences included.")
@click.option("--steps", default=60, show_default=True, help="Steps of each network.")
@click.option("--minutes", default=3.0, show_default=True, help="Longest training of a speaker.")
@click.option("--rate", default=CalibrationPlan.rate, show_default=True, help="Learning rate.")
@click.option("--curve", "curve_of", default="", metavar="SPEAKER", help="Show over-training of this one instead.")
@click.option("--json", "as_json", is_flag=True)
def main(
    name: str, count: int, seconds: float, steps: int, minutes: float, rate: float, curve_of: str, as_json: bool
) -> None:
    """Measure, and end with 1 when a limit is missed."""
    workspace = Workspace.find(Path.cwd())
    base = workspace.load_base(name)
    whole = load_recipe(workspace.default_recipe) if workspace.default_recipe.is_file() else Recipe()
    whole = whole.with_overrides(yaml.safe_load(RECIPE_TEXT), RECIPE)
    recipe = CalibrationPlan(steps=steps, minutes=minutes, rate=rate).recipe(whole)
    folder = calibration_folder(workspace.root, name)
    speakers = workspace.private / "calibration" / "speakers"
    bench = Bench(base, workspace.root, folder, recipe, str(workspace.default_registry))
    if curve_of:
        (voice,) = write_speakers(speakers, 1, seconds, [curve_of])
        click.echo("\n".join(curve(bench, voice, steps)))
        return
    rows = []
    exported = bench.exported()
    with Speaking(exported) as engine:
        for voice in write_speakers(speakers, count, seconds):
            rows.append(bench.row(voice, engine, exported))
            if not as_json:
                click.echo(row_text(rows[-1]))
    lines, held = summary(rows)
    if as_json:
        plain = [
            {"speaker": row.speaker, "real_to_real": row.own, "voice": row.ratio(row.spoken),
             "base_alone": row.ratio(row.plain), "losses": row.losses, "seconds": row.seconds,
             "towards": {other.speaker: row.towards(other) for other in rows}}
            for row in rows
        ]  # fmt: skip
        click.echo(json.dumps({"passed": held, "speakers": plain}, indent=2))
    else:
        click.echo("\n".join(lines))
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
