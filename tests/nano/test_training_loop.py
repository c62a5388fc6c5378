"""The loop of the trainings: the steps that it makes, what it skips, and checkpoints of earlier versions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.nano.test_content import TRAINING
from tests.nano.tone_corpus import tone_source, write_tones
from timbre.core.errors import ConfigurationError
from timbre.nano.checkpointing import WeightAverage, read_checkpoint
from timbre.nano.content import CHECKPOINT, ContentTrainer, load_averaged
from timbre.nano.training_loop import LoopSettings, StepLosses, TrainingLoop

SETTINGS = LoopSettings(steps=5, clip_norm=0.5, checkpoint_steps=2, report_steps=2)


def rows_of(step: int) -> Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(step))


def network() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(3, 2)


def rate(step: int, group: Any) -> float:
    return 0.1 / (step + 1)


def loop_of(folder: Path, settings: LoopSettings = SETTINGS) -> TrainingLoop:
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), 1.0)
    return TrainingLoop(folder / "a.pt", model, {"a": optimizer}, WeightAverage(model, 0.9), settings)


def losses_of(loop: TrainingLoop) -> Any:
    def losses(step: int) -> StepLosses:
        loss = loop.network(rows_of(step)).square().mean()
        return StepLosses(loss, {"loss": loss, "ratio": (loss * 3, torch.tensor(float(step + 1)))})

    return losses


def test_the_loop_equals_its_steps_written_out(tmp_path: Path) -> None:
    loop = loop_of(tmp_path)
    loop.run(losses_of(loop), rate)
    model = network()
    optimizer, average = torch.optim.AdamW(model.parameters(), 1.0), WeightAverage(model, 0.9)
    for step in range(5):
        optimizer.param_groups[0]["lr"] = rate(step, None)
        optimizer.zero_grad()
        model(rows_of(step)).square().mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        average.update(model)
    stored = torch.load(tmp_path / "a.pt", weights_only=True)
    assert set(stored) == {"network", "optimizers", "average", "clock", "random", "extra"}
    for name, value in model.state_dict().items():
        assert torch.equal(stored["network"][name], value), name
        assert torch.equal(stored["average"]["state"][name], average.state[name]), name
    assert loop.finish() == tmp_path / "a.pt"
    assert torch.equal(loop.network.weight, average.state["weight"])


def test_the_log_has_means_over_steps_and_over_counts(tmp_path: Path) -> None:
    loop = loop_of(tmp_path)
    loop.run(losses_of(loop), rate, lambda: {"measured": float(loop.network.training)})
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 5]
    assert all(row["measured"] == 0.0 for row in rows)
    assert loop.network.training
    # A mean of two losses, and three times their sum over 1 + 2.
    assert rows[0]["ratio"] == pytest.approx(rows[0]["loss"] * 2, abs=2e-4)


def test_a_gradient_that_is_not_finite_changes_no_weight(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, replace(SETTINGS, steps=1))
    before = loop.network.weight.detach().clone()
    loop.run(lambda step: StepLosses(loop.network(rows_of(0)).mean() * float("nan"), {}), rate)
    assert torch.equal(loop.network.weight, before)
    assert "norm" not in json.loads((tmp_path / "a.jsonl").read_text())


def test_a_finished_run_writes_nothing_again(tmp_path: Path) -> None:
    first = loop_of(tmp_path)
    first.run(losses_of(first), rate)
    before = [(tmp_path / name).read_bytes() for name in ("a.pt", "a.jsonl")]
    again = loop_of(tmp_path)
    assert again.resume()
    again.run(losses_of(again), rate)
    assert [(tmp_path / name).read_bytes() for name in ("a.pt", "a.jsonl")] == before


def test_a_content_checkpoint_of_an_earlier_version_is_continued(tmp_path: Path) -> None:
    """They had the fields of the encoder's own loop: encoder, optimizer, average, step, seconds."""
    torch.set_num_threads(1)
    corpus = write_tones(tmp_path / "corpus", clips=12)
    config = replace(TRAINING, steps=4)
    whole = ContentTrainer(config, tone_source(corpus), tmp_path / "whole")
    whole.train()
    half = ContentTrainer(config, tone_source(corpus), tmp_path / "half")
    half.train(until=2)
    path = tmp_path / "half" / CHECKPOINT
    stored = read_checkpoint(path)
    earlier = {
        "encoder": stored["network"], "optimizer": stored["optimizers"]["content"],
        "average": stored["average"]["state"], "step": 2, "seconds": 30.0,
    }  # fmt: skip
    torch.save(earlier, path)
    averaged = load_averaged(tmp_path / "half", config.network)
    assert torch.equal(averaged.frame_head.weight, earlier["average"]["frame_head.weight"])
    second = ContentTrainer(config, tone_source(corpus), tmp_path / "half")
    assert second.loop.resume()
    assert (second.loop.clock.step, second.loop.clock.minutes) == (2, 0.5)
    second.train()
    for name, value in whole.loop.average.state.items():
        assert torch.equal(value, second.loop.average.state[name]), name


def test_a_missing_checkpoint_names_the_command_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"content\.ckpt: not found") as caught:
        load_averaged(tmp_path / "content")
    assert caught.value.remedy == "timbre pretrain content"
