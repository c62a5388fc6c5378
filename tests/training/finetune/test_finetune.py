"""Stage 3 on the generated base: it learns, resumes to the same bits, survives lack of memory, stops in time."""

from __future__ import annotations

import dataclasses
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.training.finetune.conftest import QUICK, job_for, slices_of
from timbre.core.base import Base
from timbre.core.cancellation import Cancellation, Interrupted
from timbre.core.errors import InfrastructureError
from timbre.core.progress import SilentProgress
from timbre.core.recipe import ExtractRecipe
from timbre.gptsovits.files.base_networks import load_synthesizer, load_text_to_semantic
from timbre.gptsovits.files.pico import make_pico
from timbre.training.features import extract_features
from timbre.training.finetune.checkpoint import State, load_state, save_state
from timbre.training.finetune.data import Draws, VoiceData, load_voice_data
from timbre.training.finetune.loop import Environment, Loop
from timbre.training.finetune.memorisation import measure_retention
from timbre.training.finetune.memory import MAX_FALLBACKS, is_out_of_memory
from timbre.training.finetune.parallel import Group
from timbre.training.finetune.precision import Precision
from timbre.training.finetune.t2s_trainer import TextToSemanticTask, collate, joined
from timbre.training.finetune.voice_condition import voice_condition
from timbre.training.lora import LoraSettings, load_adapter, wrap

NETWORKS = ("sovits", "t2s")
Finetune = Callable[..., Path]


def training(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "training.json").read_text())
    return found


def adapters(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name / "adapter_model.safetensors").read_bytes() for name in NETWORKS}


def losses(folder: Path, name: str) -> list[dict[str, Any]]:
    history: list[dict[str, Any]] = training(folder)["networks"][name]["history"]
    return history


@pytest.fixture(scope="module")
def quick(base: Base, features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unbroken quick run."""
    root = tmp_path_factory.mktemp("quick")
    job = job_for(base, features, root, "out")
    job.run()
    return job.output


def test_it_learns_and_says_so(finetune: Finetune) -> None:
    folder = finetune(max_steps=30, min_steps=30, validate_every_steps=10, learning_rate=0.01)
    for name in NETWORKS:
        run = training(folder)["networks"][name]
        first, last = run["history"][1]["training"]["total"], run["history"][-1]["training"]["total"]
        assert last < first, name
        assert run["held_out_best"] < run["held_out_before"], name
        assert run["steps"] == 30
        assert run["ended_by"] == "max_steps"
    assert training(folder)["networks"]["t2s"]["trainable_parameters"].keys() == {"attention", "feed_forward", "total"}
    acoustic = training(folder)["networks"]["sovits"]["trainable_parameters"]
    assert acoustic.keys() == {"prior_attention", "flow", "decoder", "total"}


def test_everything_is_written(quick: Path, features: Path) -> None:
    names = {path.name for path in quick.iterdir()}
    wanted = {"sovits", "t2s", "prompt.safetensors", "prompt.json", "training.json", "training.png", "training.svg"}
    assert names == wanted | {"tensorboard", "early"}
    assert (quick / "training.png").read_bytes().startswith(b"\x89PNG")
    prompt = json.loads((quick / "prompt.json").read_text())
    assert prompt["slice"] == json.loads((features / "extract.json").read_text())["prompt"]["id"]
    assert prompt["language"] == "en"
    assert prompt["reason"]
    assert "bert" not in load_file(quick / "prompt.safetensors"), "this base reads none"
    for name in NETWORKS:
        run = training(quick)["networks"][name]
        assert {"seconds", "peak_memory_mib", "slices_per_second", "adapter_bytes"} <= run.keys()
        assert all("total" in entry["held_out"] for entry in run["history"])


def test_tensorboard_reads_the_events(quick: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(quick / "tensorboard"))
    events.Reload()
    for name in NETWORKS:
        points = events.Scalars(f"{name}/held_out/total")
        wanted = [(entry["step"], entry["held_out"]["total"]) for entry in losses(quick, name)]
        assert [point.step for point in points] == [step for step, _ in wanted]
        assert [point.value for point in points] == pytest.approx([value for _, value in wanted], rel=1e-5)


def test_twice_the_same(quick: Path, finetune: Finetune) -> None:
    again = finetune("again")
    assert adapters(again) == adapters(quick)
    assert [losses(again, name) for name in NETWORKS] == [losses(quick, name) for name in NETWORKS]
    assert adapters(finetune("other", seed=7)) != adapters(quick)


@pytest.mark.parametrize("steps", [2, 7, 16])
def test_interrupted_and_resumed_ends_in_the_same_bits(
    base: Base, features: Path, tmp_path: Path, quick: Path, steps: int
) -> None:
    """Interrupted in the acoustic network before and after its first checkpoint, and in the text-to-semantic one."""
    cancel, done = Cancellation(), 0

    class Counter:
        def task(self, name: str, total: float | None = None, unit: str = "") -> Any:
            return self

        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def note(self, text: str) -> None:
            return None

        def advance(self, amount: float = 1.0) -> None:
            nonlocal done
            done += int(amount)
            if done >= steps:
                cancel.cancel("the test said so")

    with pytest.raises(Interrupted):
        job_for(base, features, tmp_path, "broken", "kept", cancel=cancel, progress=Counter()).run()
    resumed = job_for(base, features, tmp_path, "whole", "kept")
    resumed.run()
    assert adapters(resumed.output) == adapters(quick)
    assert [losses(resumed.output, name) for name in NETWORKS] == [losses(quick, name) for name in NETWORKS]


_CHILD = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from timbre.core.base import read_base
from tests.training.finetune.conftest import job_for
job_for(read_base(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]), "killed", "kept").run()
"""


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_killed_and_started_again_ends_in_the_same_bits(
    base: Base, features: Path, tmp_path: Path, quick: Path, network: str
) -> None:
    arguments = [sys.executable, "-c", _CHILD, str(base.folder), str(features), str(tmp_path)]
    child = subprocess.Popen(arguments, cwd=Path(__file__).parents[3])
    checkpoint = tmp_path / "kept" / f"{network}.ckpt"
    try:
        until = time.monotonic() + 400
        while not checkpoint.is_file() and child.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        assert checkpoint.is_file(), "no checkpoint appeared"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    state = load_state(checkpoint)
    assert state is not None
    assert state.step > 0
    again = job_for(base, features, tmp_path, "whole", "kept")
    again.run()
    assert adapters(again.output) == adapters(quick)


def test_a_damaged_checkpoint_is_a_new_start(base: Base, features: Path, tmp_path: Path, quick: Path) -> None:
    job = job_for(base, features, tmp_path, "out", "kept")
    job.resume.joinpath("sovits.ckpt").write_bytes(b"PK\x03\x04 half a file")
    state = load_state(quick.parent / "out-resume" / "t2s.ckpt")
    assert state is not None
    # A whole checkpoint, but of another network.
    save_state(job.resume / "t2s.ckpt", dataclasses.replace(state, adapter={"x": torch.zeros(1)}))
    job.run()
    assert adapters(job.output) == adapters(quick)


def fail_above(rows_allowed: int, monkeypatch: pytest.MonkeyPatch, from_step: int = 0) -> None:
    """Both networks run out of memory when a backward pass has more rows than allowed."""
    from timbre.training.finetune.sovits_trainer import AcousticTask

    for kind in (AcousticTask, TextToSemanticTask):
        real = kind.loss

        def loss(self: Any, step: int, rows: Sequence[int], real: Any = real) -> dict[str, Tensor]:
            if len(rows) > rows_allowed and step >= from_step:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate a test.")
            found: dict[str, Tensor] = real(self, step, rows)
            return found

        monkeypatch.setattr(kind, "loss", loss)


def test_out_of_memory_halves_the_batch_and_goes_on(finetune: Finetune, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_above(1, monkeypatch, from_step=5)
    folder = finetune(batch=4)
    for name in NETWORKS:
        run = training(folder)["networks"][name]
        assert (run["memory_fallbacks"], run["rows_at_once"], run["gradient_checkpointing"]) == (2, 1, True)
        assert run["steps"] == 12
        assert run["held_out_best"] < run["held_out_before"]


def test_out_of_memory_for_good_is_the_machines_fault(finetune: Finetune, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_above(0, monkeypatch)
    with pytest.raises(InfrastructureError, match=f"after {MAX_FALLBACKS} fallbacks.*OutOf|out of memory") as caught:
        finetune()
    assert "finetune.batch" in caught.value.remedy


def test_what_counts_as_out_of_memory() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"))
    assert not is_out_of_memory(RuntimeError("size mismatch"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_an_error_that_is_not_memory_is_not_hidden(finetune: Finetune, monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(self: Any, step: int, rows: Sequence[int]) -> dict[str, Tensor]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(TextToSemanticTask, "loss", loss)
    with pytest.raises(RuntimeError, match="mat1"):
        finetune()


def t2s_run(base: Base, data: VoiceData, checkpoint: Path, **changes: object) -> tuple[State, dict[str, Tensor]]:
    """The loop of one network alone; its state, and what the network carries afterwards."""
    model = wrap(load_text_to_semantic(base), LoraSettings(16, 32.0))
    task = TextToSemanticTask(model, data, 1, torch.device("cpu"))
    recipe = dataclasses.replace(QUICK, **changes)  # type: ignore[arg-type]
    with SilentProgress().task("") as shown:
        group, precision, log = Group(cpu=True), Precision("fp32", "cpu"), logging.getLogger()
        environment = Environment(group, precision, checkpoint, False, 600.0, shown, Cancellation(), log)
        state = Loop(task, recipe, environment).run()
    return state, {name: parameter.detach() for name, parameter in task.parameters().items()}


def test_early_stopping_keeps_the_best(base: Base, features: Path, tmp_path: Path) -> None:
    """Two slices are soon known by heart. With stopping off the curve shows it; the best look is kept all the same."""
    data = load_voice_data(features, base)
    tiny = dataclasses.replace(data, training=data.training[:2], prompt=data.training[0])
    harsh = {"learning_rate": 1e-3, "batch": 2, "max_steps": 240, "min_steps": 20, "validate_every_steps": 20}
    off, kept = t2s_run(base, tiny, tmp_path / "off.ckpt", patience=1000, **harsh)
    curve = {entry["step"]: entry["held_out"]["total"] for entry in off.history}
    learned = [entry["training"]["total"] for entry in off.history if "training" in entry]
    assert (off.step, off.ended) == (240, "max_steps")
    assert curve[240] > 1.01 * min(curve.values()), "the run was meant to over-train"
    assert learned[-1] < learned[3], "and to go on learning what it was shown"
    assert off.best_step == min(curve, key=lambda step: curve[step]) < 240
    on, stopped = t2s_run(base, tiny, tmp_path / "on.ckpt", patience=3, **harsh)
    assert on.ended == "early stopping"
    assert on.step == on.best_step + 3 * 20 < 240
    assert on.best_step == off.best_step
    for name, value in kept.items():
        assert torch.equal(value, stopped[name]), "the adapter of the best look is kept, not the last one"
        assert torch.equal(value, off.best[name])


def test_what_was_learnt_by_heart_is_told_from_what_was_learnt(finetune: Finetune, quick: Path) -> None:
    """Trained on and on without a look at the held-out slices, known sentences gain and unknown ones do not."""
    folder = finetune("heart", early_stopping=False, learning_rate=3e-3, max_steps=120, min_steps=0, patience=1)
    content = training(folder)
    for name in NETWORKS:
        run = content["networks"][name]
        assert (run["best_step"], run["steps"], run["ended_by"]) == (120, 120, "max_steps")
        found = run["retained"]
        assert found["held_out"] == pytest.approx(run["history"][-1]["held_out"]["total"], rel=1e-4)
        assert found["held_out_before"] == pytest.approx(run["held_out_before"], rel=1e-4)
        assert found["training"] < found["training_before"]
    assert content["memorisation"] > 1.02 > training(quick)["memorisation"]
    assert content["memorisation"] == max(content["networks"][name]["retained"]["memorisation"] for name in NETWORKS)


def test_an_adapter_that_does_nothing_has_learnt_nothing(base: Base, features: Path) -> None:
    data, cpu = load_voice_data(features, base), torch.device("cpu")
    model = wrap(load_text_to_semantic(base), LoraSettings())
    found = measure_retention(TextToSemanticTask(model, data, 1, cpu), model, Precision("fp32", "cpu"))
    assert found is not None
    assert found.held_out_loss == found.memorisation == 1.0
    alone = dataclasses.replace(data, held_out=())
    assert measure_retention(TextToSemanticTask(model, alone, 1, cpu), model, Precision("fp32", "cpu")) is None


def test_min_steps_holds_early_stopping_back(finetune: Finetune) -> None:
    folder = finetune(learning_rate=0.2, patience=1, min_steps=20, max_steps=24, validate_every_steps=2)
    assert all(training(folder)["networks"][name]["steps"] >= 20 for name in NETWORKS)


def test_the_time_limit_ends_both_networks(finetune: Finetune) -> None:
    # Few slices lower min_steps, so a fast machine would stop early within the second that each network has.
    folder = finetune(max_minutes=0.1 / 60, early_stopping=False, max_steps=100_000)
    for name in NETWORKS:
        run = training(folder)["networks"][name]
        assert run["ended_by"] == "max_minutes"
        assert 1 <= run["steps"] < 100_000


def test_the_base_is_frozen(base: Base, quick: Path) -> None:
    """What the adapter's folder holds is everything that training changed."""
    for load, name in ((load_synthesizer, "sovits"), (load_text_to_semantic, "t2s")):
        model = load_adapter(load(base), quick / name)
        trained = [key for key, parameter in model.named_parameters() if parameter.requires_grad]
        assert trained
        assert all(".lora_" in key for key in trained)


def test_smaller_pieces_of_a_batch_have_the_same_gradient(base: Base, features: Path) -> None:
    data = load_voice_data(features, base)
    model = wrap(load_text_to_semantic(base), LoraSettings(rank=2))
    task = TextToSemanticTask(model, data, 1, torch.device("cpu"))
    task.train(False)

    def gradient(parts: Sequence[Sequence[int]]) -> Tensor:
        model.zero_grad()
        for part in parts:
            # Targets, not rows, are averaged inside a piece: weigh the pieces alike.
            batch = task.batch(0, part)
            found = task.network.loss(batch)
            found.total.backward()
        return torch.cat([p.grad.flatten() for p in task.parameters().values() if p.grad is not None])

    whole, split = gradient([[0, 1, 2, 3]]), gradient([[0, 1], [2, 3]])
    assert float(whole.norm()) > 0
    torch.testing.assert_close(split, whole, rtol=1e-3, atol=1e-4)


def test_every_slice_comes_before_any_comes_again() -> None:
    draws = Draws(7, seed=3, purpose=1)
    taken = [row for step in range(7) for row in draws.rows(step, 3)]
    assert all(sorted(taken[start : start + 7]) == list(range(7)) for start in (0, 7, 14))
    assert taken[:7] != taken[7:14]
    assert draws.rows(5, 3) == taken[15:18]
    assert Draws(7, 3, 2).rows(0, 7) != draws.rows(0, 7)


def test_the_held_out_loss_leaves_the_prompt_out(base: Base, features: Path) -> None:
    data = load_voice_data(features, base)
    model = wrap(load_text_to_semantic(base), LoraSettings(rank=2))
    task = TextToSemanticTask(model, dataclasses.replace(data, held_out=data.held_out[:1]), 1, torch.device("cpu"))
    task.train(False)
    with torch.no_grad():
        whole = task.network.loss(collate([joined(data.prompt, data.held_out[0])], torch.device("cpu")))
        found = task.validate()
    after = len(data.held_out[0].codes) + 1
    assert int(whole.targets) == after + len(data.prompt.codes)
    assert found["total"] * after < float(whole.total)


def test_the_condition_is_that_of_the_adapted_network(base: Base, features: Path, quick: Path) -> None:
    stored = load_file(quick / "prompt.safetensors")["condition"]
    adapted = load_adapter(load_synthesizer(base), quick / "sovits").base_model.model.eval()
    rows = load_voice_data(features, base).training
    torch.testing.assert_close(voice_condition(adapted, rows, torch.device("cpu")).flatten(), stored)
    assert float(stored.std()) > 0


def test_against_the_discriminators_too(finetune: Finetune, quick: Path) -> None:
    folder = finetune("judged", adversarial=True)
    terms = losses(folder, "sovits")[-1]["training"]
    assert terms["discriminator"] > 0
    assert terms["generator"] > 0
    assert adapters(folder)["sovits"] != adapters(quick)["sovits"]
    assert adapters(folder)["t2s"] == adapters(quick)["t2s"]
    assert not any("discriminator" in key for key in load_file(folder / "sovits" / "adapter_model.safetensors"))


def test_a_base_like_the_official_ones(tmp_path: Path) -> None:
    """32 kHz, HiFi-GAN, ERes2NetV2 vectors, Mandarin with BERT, adversarial losses, checkpointing."""
    base = make_pico(tmp_path / "big", like="v2Pro")
    extract_features(base, slices_of("lian", tmp_path / "wavs", 32_000)[4:], tmp_path / "features", ExtractRecipe())
    job = job_for(
        base, tmp_path / "features", tmp_path, "out", max_steps=4, batch=2, gradient_checkpointing="on", segment_s=0.16
    )
    job.run()
    for name in NETWORKS:
        run = training(job.output)["networks"][name]
        assert run["gradient_checkpointing"]
        assert run["steps"] == 4
        assert run["held_out_best"] < run["held_out_before"]
    prompt = load_file(job.output / "prompt.safetensors")
    assert prompt["bert"].shape[1] == len(prompt["phones"]), "the engine reads them"
    assert prompt["bert"].any(), "the engine reads them"


def test_bf16_trains_and_keeps_the_adapter_in_float32(finetune: Finetune, quick: Path) -> None:
    folder = finetune(precision="bf16")
    assert training(folder)["precision"] == "bf16"
    for name in NETWORKS:
        found, wanted = (training(f)["networks"][name]["held_out_best"] for f in (folder, quick))
        assert found == pytest.approx(wanted, rel=0.05)
    state = load_state(folder.parent / "out-resume" / "t2s.ckpt")
    assert state is not None
    assert {tensor.dtype for tensor in state.adapter.values()} == {torch.float32}


def test_one_process_of_a_group_does_everything() -> None:
    group = Group(cpu=True)
    assert (group.rank, group.size, group.first) == (0, 1, True)
    assert group.share([3, 1, 2]) == [3, 1, 2]
    assert group.any(True)
    assert not group.any(False)
    assert group.agree({"x": 1}) == {"x": 1}


def test_the_checkpoint_half_way_lies_well_before_the_best_one() -> None:
    marks: dict[int, dict[str, torch.Tensor]] = {25: {}, 50: {}, 100: {}, 200: {}}
    assert [State(marks=marks, best_step=best).early_step for best in (200, 100, 60, 25, 0, -1)] == [
        100, 50, 25, None, None, None,
    ]  # fmt: skip
