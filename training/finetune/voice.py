"""Stage 3: features of a voice + frozen base -> adapters of both networks, prompt, and the record of the training.

extract.json, features/ -> sovits/, t2s/ (PEFT), prompt.safetensors, prompt.json, training.json, curves

The acoustic network is trained first, then the text-to-semantic one; only one of them is in memory at a time. Each has
its own steps, evaluations and early stopping; of the wall-clock limit the first may use half, the second what is left.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from safetensors.numpy import save_file
from torch import Tensor

from timbre.core.atomic import write_json
from timbre.core.base import DISCRIMINATOR, Base
from timbre.core.cancellation import Cancellation
from timbre.core.errors import ConfigurationError
from timbre.core.memory import peak_mib, restart_peak
from timbre.core.progress import Progress, SilentProgress
from timbre.core.recipe import FinetuneRecipe
from timbre.gptsovits.acoustic.discriminators import Discriminators
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.files.base_networks import load_discriminators, load_synthesizer, load_text_to_semantic
from timbre.training.finetune.checkpoint import State
from timbre.training.finetune.data import VoiceData, load_voice_data
from timbre.training.finetune.hearing import Hearing, HearingWeights, hears
from timbre.training.finetune.loop import Environment, Loop, Task
from timbre.training.finetune.memorisation import Retention, measure_retention
from timbre.training.finetune.parallel import Group
from timbre.training.finetune.practice import Practice, practise
from timbre.training.finetune.precision import Precision, choose_checkpointing, choose_precision
from timbre.training.finetune.report import NetworkReport, write_retention, write_training
from timbre.training.finetune.sovits_trainer import AcousticTask, Weights
from timbre.training.finetune.t2s_trainer import TextToSemanticTask
from timbre.training.finetune.voice_condition import voice_condition
from timbre.training.lora import (
    LoraSettings,
    base_label,
    load_adapter,
    network_of,
    parameter_counts,
    save_adapter,
    wrap,
)

ACOUSTIC_FOLDER, T2S_FOLDER = "sovits", "t2s"
EARLY_FOLDER = "early"
"""Adapters of a look half way, for who listens to both; stage 3 removes them when it has."""
PROMPT_TENSORS, PROMPT_FILE = "prompt.safetensors", "prompt.json"
ACOUSTIC_TIME_SHARE = 0.5


@dataclass(frozen=True)
class Finetuning:
    """One job."""

    base: Base
    """Its networks stay frozen."""
    features: Path
    """Output of stage 2."""
    output: Path
    """An empty folder."""
    resume: Path
    """A folder that survives interruptions."""
    recipe: FinetuneRecipe
    """Of both networks; `max_minutes` is shared by them."""
    weights_root: Path | None = None
    """Folder of pulled weights; None for the base's own."""
    cpu: bool = False
    """Stay on the processor even where there is a GPU."""
    progress: Progress = field(default_factory=SilentProgress)
    """Gets a task a network."""
    cancel: Cancellation = field(default_factory=Cancellation)
    """Ends the run with a checkpoint in `resume`."""
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("timbre.finetune"))
    """Gets losses and fallbacks."""

    def run(self) -> None:
        """Do it, in this process. Started again with the same `resume` after an interruption, it goes on, and ends in
        the same adapters.

        Raises what loading raises, InfrastructureError when memory runs out for good, Interrupted when asked to stop.
        """
        job = self._job()
        if self.recipe.adversarial and job.precision.name == "fp16":
            raise ConfigurationError(
                "finetune.adversarial: not with fp16, whose gradients are scaled",
                "set finetune.precision to fp32 or bf16",
            )
        condition, acoustic = job.acoustic()
        semantic = job.semantic(max(1.0, 60.0 * self.recipe.max_minutes - acoustic.seconds))
        if job.group.first:
            self._write_prompt(job.data, condition)
            write_training(self.output, job.about(), (acoustic, semantic), dataclasses.asdict(self.recipe))
        job.group.wait()

    def measure_kept(self) -> None:
        """Measure the adapters in `output` and correct training.json. Call it after choosing another checkpoint or
        weakening an adapter; otherwise the figures describe adapters that are not used.
        """
        job = self._job()
        retained = job.retained()
        if job.group.first:
            write_retention(self.output, retained)
        job.group.wait()

    def _job(self) -> _Job:
        group = Group(cpu=self.cpu)
        data = load_voice_data(self.features, self.base)
        return _Job(self, group, data, choose_precision(self.recipe.precision, group.device))

    def _write_prompt(self, data: VoiceData, condition: Tensor) -> None:
        prompt = data.prompt
        mean = torch.stack([row.ge2e for row in data.training]).mean(0)
        tensors = {
            "codes": prompt.codes.numpy().astype(np.int64),
            "phones": prompt.phones.numpy().astype(np.int64),
            "condition": condition.reshape(-1).numpy().astype(np.float32),
            "speaker": (mean / mean.norm().clamp(min=1e-9)).numpy().astype(np.float32),
            "rate": np.array(data.rate, np.float32),
            "pauses": np.array(data.pauses_s, np.float32),
        }
        if prompt.bert is not None:
            # The engine projects them; half precision is what stage 2 keeps.
            tensors["bert"] = prompt.bert.numpy().astype(np.float16)
        save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, self.output / PROMPT_TENSORS)
        about = {"slice": prompt.id, **{key: data.about[key] for key in ("text", "language", "reason")}}
        write_json(self.output / PROMPT_FILE, about)


@dataclass(frozen=True)
class _Job:
    """Both networks, one after the other."""

    finetuning: Finetuning
    group: Group
    data: VoiceData
    precision: Precision

    def acoustic(self) -> tuple[Tensor, NetworkReport]:
        """Trains the acoustic network; returns the voice's condition [1, G, 1] too."""
        job, recipe = self.finetuning, self.finetuning.recipe
        network, condition = self._synthesizer()
        practice = self._practice(network, condition)
        discriminators = None
        if recipe.adversarial and any(item.role == DISCRIMINATOR for item in job.base.files):
            discriminators = load_discriminators(job.base, job.weights_root).to(self.group.device).train()
        model = self._wrapped(network)
        task = self._acoustic_task(model, condition, discriminators, practice)
        limit = 60.0 * recipe.max_minutes * ACOUSTIC_TIME_SHARE
        return condition, self._train(task, model, limit, ACOUSTIC_FOLDER)

    def semantic(self, limit_s: float) -> NetworkReport:
        """Trains the text-to-semantic network."""
        job = self.finetuning
        network = load_text_to_semantic(job.base, job.weights_root).to(self.group.device)
        model = self._wrapped(network)
        task = TextToSemanticTask(model, self.data, job.recipe.seed, self.group.device)
        return self._train(task, model, limit_s, T2S_FOLDER)

    def retained(self) -> dict[str, Retention | None]:
        """Of the adapters in the output, as their files have them, by network."""
        job, device = self.finetuning, self.group.device
        network, condition = self._synthesizer()
        acoustic = load_adapter(network, job.output / ACOUSTIC_FOLDER).to(device)
        found = {AcousticTask.name: self._retained(self._acoustic_task(acoustic, condition), acoustic)}
        semantic = load_adapter(load_text_to_semantic(job.base, job.weights_root), job.output / T2S_FOLDER).to(device)
        task = TextToSemanticTask(semantic, self.data, job.recipe.seed, device)
        return found | {task.name: self._retained(task, semantic)}

    def _retained(self, task: Task, model: PeftModel) -> Retention | None:
        return measure_retention(task, model, self.precision)

    def _synthesizer(self) -> tuple[Synthesizer, Tensor]:
        """The base's acoustic network and the voice's condition. Style encoder and speaker projection carry no adapter:
        the base's answer is the adapted network's.
        """
        job = self.finetuning
        network = load_synthesizer(job.base, job.weights_root).to(self.group.device)
        return network, voice_condition(network, self.data.training, self.group.device)

    def _practice(self, network: Synthesizer, condition: Tensor) -> Practice | None:
        """Sentences that the base speaks before it is adapted; None where nothing is heard in training."""
        job, recipe = self.finetuning, self.finetuning.recipe
        if recipe.practice_weight <= 0 or not hears(network.config, _heard(recipe)):
            return None
        language = str(self.data.about["language"])
        recorded = [row.codes for row in self.data.training]
        place = condition.to(self.group.device)
        sentences = practise(job.base, job.weights_root, network, place, language, recorded)
        return Practice(sentences, recipe.practice_weight) if sentences else None

    def _acoustic_task(
        self,
        model: PeftModel,
        condition: Tensor,
        discriminators: Discriminators | None = None,
        practice: Practice | None = None,
    ) -> AcousticTask:
        job, recipe, device = self.finetuning, self.finetuning.recipe, self.group.device
        weights = Weights(
            recipe.kl_weight, recipe.mel_weight, recipe.segment_s, recipe.spoken_weight, recipe.pitch_weight
        )
        network = network_of(model)
        assert isinstance(network, Synthesizer)
        hearing = Hearing.of(job.base, job.weights_root, _heard(recipe), self.data, network.config, device)
        return AcousticTask(
            model, self.data, condition, weights, recipe.seed, device, discriminators, hearing, practice
        )  # fmt: skip

    def about(self) -> dict[str, Any]:
        """What training.json says besides the networks."""
        return {
            "base": self.finetuning.base.name,
            "base_digest": self.finetuning.base.digest,
            "device": str(self.group.device),
            "processes": self.group.size,
            "precision": self.precision.name,
            "training_slices": len(self.data.training),
            "held_out_slices": len(self.data.held_out),
            "training_s": round(sum(len(row.wave) for row in self.data.training) / self.finetuning.base.rate_hz, 2),
        }

    def _wrapped(self, network: torch.nn.Module) -> PeftModel:
        recipe = self.finetuning.recipe
        settings = LoraSettings(recipe.rank, recipe.alpha, recipe.dropout, recipe.seed)
        return wrap(network, settings, base_label(self.finetuning.base)).to(self.group.device)

    def _train(self, task: Task, model: PeftModel, limit_s: float, folder: str) -> NetworkReport:
        job, recipe = self.finetuning, self.finetuning.recipe
        _restart_peak(self.group.device)
        with job.progress.task(f"finetune {task.name}", total=recipe.max_steps, unit="steps") as shown:
            checkpoint = job.resume / f"{task.name}.ckpt"
            recompute = choose_checkpointing(recipe.gradient_checkpointing, self.group.device)
            environment = Environment(
                self.group, self.precision, checkpoint, recompute, limit_s, shown, job.cancel, job.log
            )
            loop = Loop(task, recipe, environment)
            state = loop.run()
        retained = self._retained(task, model)
        size = 0
        if self.group.first:
            size = save_adapter(model, job.output / folder)
            with loop.early() as step:
                if step is not None:
                    save_adapter(model, job.output / EARLY_FOLDER / folder)
        return _report(task.name, state, recipe, parameter_counts(model), size, _peak(self.group.device), retained)


def _heard(recipe: FinetuneRecipe) -> HearingWeights:
    return HearingWeights(recipe.speaker_weight, recipe.content_weight)


def _report(
    name: str,
    state: State,
    recipe: FinetuneRecipe,
    parameters: Mapping[str, int],
    size: int,
    peak: float,
    retained: Retention | None,
) -> NetworkReport:
    return NetworkReport(
        name, state.step, state.best_step, state.ended, state.history, state.seconds, recipe.batch * recipe.accumulate,
        state.rows, state.checkpointing, state.fallbacks, parameters, size, peak, retained,
    )  # fmt: skip


def _restart_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        restart_peak()


def _peak(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else peak_mib()
