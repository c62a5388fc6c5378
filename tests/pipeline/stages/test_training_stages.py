"""Stages 2 and 3 as the engine runs them: inputs from stage 1's files, outputs that a later stage can read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.engine.tiny_stages import TinyVoice, tiny_voice
from tests.training.finetune.conftest import QUICK, slices_of
from timbre.core.base import Base, read_base
from timbre.core.errors import InfrastructureError
from timbre.core.recipe import FinetuneRecipe, Recipe
from timbre.evaluation.strengths import StrengthTrial, TradeOff
from timbre.pipeline.engine.engine import Engine, StageOutcome
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.stages.strength import scale_adapter
from timbre.pipeline.stages.table import BASE, STAGES, StageContext, StageRow, stage_row


class Sliced:
    """Stands in for stage 1: slices of the sample voice, and validation.json as stage 1 writes it."""

    version = 1

    def run(self, context: StageContext) -> dict[str, Any]:
        pieces = slices_of("wren", context.output / "slices")
        rows = [
            {
                **dataclasses.asdict(piece),
                "file": f"slices/{piece.path.name}",
                "file_16k": f"slices/{piece.path.name}",
                "path": "",
                "path_16k": "",
            }
            for piece in pieces
        ]
        (context.output / "validation.json").write_text(json.dumps({"slices": rows}))
        return {}


FIRST = StageRow(1, "validate", "", "", "", (), ("validate",), "tests.pipeline.stages.test_training_stages:Sliced")
ROWS = (FIRST, *(row for row in STAGES if row.name in ("extract", "finetune")))


def engine_at(root: Path, **changes: object) -> Engine:
    recipe = dataclasses.replace(QUICK, max_steps=4, **changes)  # type: ignore[arg-type]
    return Engine(Workspace(root), dataclasses.replace(Recipe(), finetune=recipe), rows=ROWS)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, pico_base: Path) -> tuple[Path, TinyVoice, Base, list[StageOutcome]]:
    root, base = tmp_path_factory.mktemp("repository"), read_base(pico_base)
    voice = tiny_voice(root)
    (voice.path / "lexicon.txt").write_text("fox F AO1 K S\n", encoding="utf-8")
    return root, voice, base, engine_at(root).run(voice, base)


def test_both_stages_run_and_say_what_they_did(done: tuple[Path, TinyVoice, Base, list[StageOutcome]]) -> None:
    root, _, _, outcomes = done
    assert [outcome.state for outcome in outcomes] == ["done"] * 3
    extract, finetune = outcomes[1], outcomes[2]
    assert extract.facts["slices"] == 10
    assert extract.facts["held_out"] == 3
    assert finetune.facts["sovits_steps"] == finetune.facts["t2s_steps"] == 4
    assert finetune.path is not None
    names = {path.name for path in finetune.path.iterdir()}
    assert {"t2s", "sovits", "prompt.safetensors", "prompt.json", "training.json", "stage.json", "report"} <= names
    assert (finetune.path / "lexicon.txt").read_text() == "fox F AO1 K S\n"
    report = root / ".timbre" / "reports" / "ada" / "finetune"
    assert {path.name for path in report.iterdir()} == {"training.json", "training.png", "training.svg"}
    assert not list((root / ".timbre" / "work" / "ada").rglob("*.ckpt")), "checkpoints go when the stage is done"


def test_a_second_run_skips_and_another_seed_trains_again(
    done: tuple[Path, TinyVoice, Base, list[StageOutcome]],
) -> None:
    root, voice, base, _ = done
    assert [outcome.state for outcome in engine_at(root).run(voice, base)] == ["skipped"] * 3
    # How often a checkpoint is written is no part of the key, the seed is.
    again = engine_at(root, checkpoint_every_steps=1).run(voice, base)
    assert [outcome.state for outcome in again] == ["skipped"] * 3
    other = engine_at(root, seed=5).run(voice, base)
    assert [outcome.state for outcome in other] == ["skipped", "skipped", "done"]


def test_damaged_output_of_stage_one_is_named(
    done: tuple[Path, TinyVoice, Base, list[StageOutcome]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(self: Sliced, context: StageContext) -> dict[str, Any]:
        (context.output / "validation.json").write_text('{"slices": [{"id": "1"}]}')
        return {}

    monkeypatch.setattr(Sliced, "run", run)
    with pytest.raises(InfrastructureError, match=r"validation\.json"):
        engine_at(tmp_path).run(tiny_voice(tmp_path), done[2])


def test_the_table_knows_both_stages() -> None:
    assert stage_row("extract").inputs == ("validate", BASE)
    assert type(stage_row("finetune").load()).__name__ == "FinetuneStage"


def test_figures_describe_the_adapters_that_are_kept(
    done: tuple[Path, TinyVoice, Base, list[StageOutcome]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both trained adapters improve on the base; what is kept of them by ear is measured by itself."""

    def settle(context: StageContext, recipe: FinetuneRecipe) -> TradeOff:
        scale_adapter(context.output / "t2s", 0.0)
        scale_adapter(context.output / "sovits", 0.5)
        return TradeOff(1, "as a test has it", (StrengthTrial(0.0, 0.0, 0.1, 0.5), StrengthTrial(0.0, 0.5, 0.1, 0.6)))

    def retained(outcome: StageOutcome) -> dict[str, dict[str, float]]:
        assert outcome.path is not None
        networks = json.loads((outcome.path / "training.json").read_text(encoding="utf-8"))["networks"]
        return {name: networks[name]["retained"] for name in ("sovits", "t2s")}

    trained = retained(done[3][-1])
    assert trained["t2s"]["held_out_loss"] < 1
    monkeypatch.setattr("timbre.pipeline.stages.strength.settle_strengths", settle)
    outcome = engine_at(tmp_path).run(tiny_voice(tmp_path), done[2])[-1]
    kept = retained(outcome)
    assert kept["t2s"]["held_out_loss"] == kept["t2s"]["memorisation"] == 1.0
    assert trained["sovits"]["held_out_loss"] < kept["sovits"]["held_out_loss"] < 1
    assert outcome.facts["held_out_loss"] == kept["sovits"]["held_out_loss"]
    assert outcome.facts["memorisation"] == max(item["memorisation"] for item in kept.values())
