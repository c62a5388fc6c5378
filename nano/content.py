"""Training of the content encoder: frames of speech to phones.

corpus + alignments -> batches -> ContentEncoder -> checkpoint folder with weights, optimiser and a log of metrics

Frame cross entropy leads, because frame labels are known for nearly all data and CTC alone stays on its plateau for
hours; a CTC head learns beside it, and a prosody head keeps voicing and relative pitch in the features.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from timbre.core.atomic import replacing
from timbre.core.errors import ConfigurationError
from timbre.nano.alignment import UNKNOWN
from timbre.nano.content_batches import Batch, BatchSource
from timbre.nano.content_network import TONES, ContentConfig, ContentEncoder
from timbre.text.recognition import BLANK
from timbre.training.schedule import warm_cosine

CHECKPOINT = "content.ckpt"
LOG = "content.log.jsonl"


@dataclass(frozen=True)
class ContentTraining:
    """steps: in all; the rate falls to 0 over the last decay_share of them. The first frozen_convolutions keep their
    analytic weights."""

    network: ContentConfig = field(default_factory=ContentConfig)
    steps: int = 5000
    frozen_convolutions: int = 1
    rise_steps: int = 200
    decay_share: float = 0.35
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    clip_norm: float = 2.0
    ctc_weight: float = 0.2
    prosody_weight: float = 0.3
    smoothing: float = 0.05
    average: float = 0.998
    seed: int = 0
    checkpoint_minutes: float = 4.0
    log_steps: int = 25
    device: str = "cpu"
    bf16: bool = True

    def rate(self, step: int) -> float:
        """Learning rate: linear rise, plateau, fall to zero along a cosine."""
        fall_from = self.steps * (1 - self.decay_share)
        return warm_cosine(self.learning_rate, step, self.steps, warm_up_steps=self.rise_steps, fall_from=fall_from)


class ContentTrainer:
    """The encoder in training. A run resumed from a checkpoint equals an unbroken one."""

    def __init__(self, config: ContentTraining, source: BatchSource, folder: Path) -> None:
        torch.manual_seed(config.seed)
        self.config, self.source, self.folder = config, source, folder
        self.encoder = ContentEncoder(config.network).to(config.device)
        groups = _groups(self.encoder, config.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
        self.average = {name: value.detach().clone() for name, value in self.encoder.state_dict().items()}
        self.step = 0
        self.seconds = 0.0
        self.stop = False  # set by a signal handler: finish the step, save, return
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> bool:
        """Continue from the folder's checkpoint if there is one."""
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return False
        state = torch.load(path, map_location=self.config.device, weights_only=True)
        self.encoder.load_state_dict(state["encoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        self.step, self.seconds = state["step"], state["seconds"]
        return True

    def start_from(self, path: Path) -> None:
        """Begin from the weights of an earlier encoder (a state dict; heads that it lacks start at random)."""
        state = torch.load(path, map_location=self.config.device, weights_only=True)
        own = self.encoder.state_dict()
        own |= {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
        self.encoder.load_state_dict(own)
        self.average = {name: value.detach().clone() for name, value in self.encoder.state_dict().items()}

    def save(self) -> None:
        """Write the checkpoint; the old one stays until it is complete."""
        state = {
            "encoder": self.encoder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "step": self.step,
            "seconds": self.seconds,
        }
        with replacing(self.folder / CHECKPOINT) as partial:
            torch.save(state, partial)

    def train(
        self, until: int | None = None, minutes: float = math.inf, report: Callable[[str], None] | None = None
    ) -> None:
        """Train to step ``until`` (default: all steps), or for so many minutes; checkpoints on the way and at
        the end."""
        begun = saved = time.monotonic()
        last = self.config.steps if until is None else min(until, self.config.steps)
        sums: dict[str, float] = {}
        count = 0
        while self.step < last and not self.stop and time.monotonic() - begun < minutes * 60:
            started = time.monotonic()
            values = self._step()
            self.seconds += time.monotonic() - started
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            if self.step % self.config.log_steps == 0:
                row = {name: round(value / count, 4) for name, value in sums.items()}
                row |= {"step": self.step, "minutes": round(self.seconds / 60, 2)}
                line = json.dumps(row)
                with (self.folder / LOG).open("a", encoding="utf-8") as log:
                    log.write(line + "\n")
                if report:
                    report(line)
                sums, count = {}, 0
            if time.monotonic() - saved > self.config.checkpoint_minutes * 60:
                self.save()
                saved = time.monotonic()
        self.save()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.config.device.split(":")[0], torch.bfloat16, enabled=self.config.bf16)

    def _step(self) -> dict[str, float]:
        self.encoder.freeze_front(self.config.frozen_convolutions)
        batch = self.source.batch(self.step)
        np.random.seed((self.config.seed * 1_000_003 + self.step) % 2**32)  # transformers draws its time masks from it
        self.encoder.train()
        with self._autocast():
            outputs = self.encoder(torch.from_numpy(batch.waveform).to(self.config.device))
        losses = content_losses(outputs, batch, self.config)
        config = self.config
        loss = losses["frame"] + config.ctc_weight * losses["ctc"]
        loss = loss + config.prosody_weight * (losses["prosody"] + losses["detail"])
        norm = self._update(loss, self.config.rate(self.step))
        self.step += 1
        weight = min(self.config.average, self.step / (self.step + 20))
        with torch.no_grad():
            for name, value in self.encoder.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - weight)
                else:
                    self.average[name].copy_(value)
        return {name: value.item() for name, value in losses.items()} | {"norm": norm}

    def _update(self, loss: Tensor, rate: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.encoder.parameters(), self.config.clip_norm)
        self.optimizer.step()
        return float(norm)


def load_averaged(folder: Path, config: ContentConfig | None = None) -> ContentEncoder:
    """The encoder of a training folder with averaged weights, in evaluation mode.

    ConfigurationError without a checkpoint.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise ConfigurationError(f"{path}: not found", remedy="timbre pretrain content")
    encoder = ContentEncoder(config or ContentConfig())
    encoder.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["average"])
    return encoder.eval()


def replace_ctc_head(folder: Path, head: nn.Linear) -> None:
    """Put a CTC head into the checkpoint of a training folder, beside weights that stay as they are."""
    path = folder / CHECKPOINT
    state = torch.load(path, map_location="cpu", weights_only=True)
    for weights in (state["average"], state["encoder"]):
        weights["ctc_head.weight"] = head.weight.detach().clone()
        weights["ctc_head.bias"] = head.bias.detach().clone()
    with replacing(path) as partial:
        torch.save(state, partial)


def content_losses(outputs: tuple[Tensor, Tensor, Tensor], batch: Batch, config: ContentTraining) -> dict[str, Tensor]:
    """Frame cross entropy, CTC a target phone, prosody; and the share of labelled frames that are right
    ("accuracy")."""
    frame, ctc, prosody = (output.float() for output in outputs)
    device = frame.device
    labels = torch.from_numpy(batch.labels).to(device)[:, : frame.shape[1]]
    rows, frames, classes = frame.shape
    losses = {
        "frame": functional.cross_entropy(
            frame.reshape(-1, classes), labels.reshape(-1), ignore_index=UNKNOWN, label_smoothing=config.smoothing
        )
    }
    lengths = torch.from_numpy(batch.target_lengths)
    losses["ctc"] = (
        functional.ctc_loss(
            ctc.log_softmax(-1).transpose(0, 1),
            torch.from_numpy(batch.targets).to(device),
            torch.full((rows,), frames, dtype=torch.long),
            lengths,
            blank=BLANK,
            reduction="sum",
            zero_infinity=True,
        )
        / lengths.sum()
    )
    wanted = torch.from_numpy(batch.prosody).to(device)[:, :frames]
    losses["prosody"] = _prosody_loss(prosody, wanted)
    losses["detail"] = _detail_loss(prosody, wanted)
    known = labels != UNKNOWN
    losses["accuracy"] = ((frame.argmax(-1) == labels) & known).sum() / known.sum().clamp(min=1)
    return losses


def _prosody_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """Voicing cross entropy plus smooth L1 of relative pitch (octaves) where voiced; 0 where no track is known."""
    known = wanted[..., 0] != UNKNOWN
    voiced = wanted[..., 0] == 1
    if not bool(known.any()):
        return found.sum() * 0.0
    voicing = functional.binary_cross_entropy_with_logits(found[..., 0][known], wanted[..., 0][known])
    if not bool(voiced.any()):
        return voicing
    return voicing + 4.0 * functional.smooth_l1_loss(found[..., 1][voiced], wanted[..., 1][voiced], beta=0.1)


def _detail_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """Cross entropy of tones where there is one, and of having just begun where that is known."""
    loss = found.sum() * 0.0
    tones = wanted[..., 2].long()
    if bool((tones >= 0).any()):
        loss = loss + functional.cross_entropy(found[..., 2 : 2 + TONES][tones >= 0], tones[tones >= 0])
    begun = wanted[..., 3]
    known = begun != UNKNOWN
    if bool(known.any()):
        loss = loss + functional.binary_cross_entropy_with_logits(found[..., 2 + TONES][known], begun[known])
    return loss


def _groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay on matrices only."""
    matrices = [parameter for parameter in module.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in module.parameters() if parameter.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
