"""Training of the content encoder: frames of speech to phones.

corpus + alignments -> batches -> ContentEncoder -> checkpoint folder with weights, optimiser and a log of metrics

Frame cross entropy leads, because frame labels are known for nearly all data and CTC alone stays on its plateau for
hours; a CTC head learns beside it, and a prosody head keeps voicing and relative pitch in the features.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from timbre.nano.alignment import UNKNOWN
from timbre.nano.checkpointing import WeightAverage, averaged, read_checkpoint, write_checkpoint
from timbre.nano.content_batches import Batch, BatchSource
from timbre.nano.content_network import TONES, ContentConfig, ContentEncoder
from timbre.nano.training_loop import LoopSettings, Report, StepLosses, TrainingLoop, silent
from timbre.text.recognition import BLANK
from timbre.training.schedule import warm_cosine

CHECKPOINT = "content.ckpt"
LOG = "content.log.jsonl"


@dataclass(frozen=True)
class ContentTraining:
    """Settings of stage content."""

    network: ContentConfig = field(default_factory=ContentConfig)
    """Sizes of the encoder."""
    steps: int = 5000
    """Optimizer steps; the learning rate reaches 0 at the last."""
    frozen_convolutions: int = 1
    """First convolutions that keep their analytic weights."""
    rise_steps: int = 200
    """Steps over which the rate rises linearly."""
    decay_share: float = 0.35
    """Share of the steps, the last ones, over which the rate falls."""
    learning_rate: float = 1e-3
    """Highest learning rate."""
    weight_decay: float = 0.02
    """Decay of matrices; vectors have none."""
    clip_norm: float = 2.0
    """Largest norm of the gradient."""
    ctc_weight: float = 0.2
    """Weight of the CTC loss against the cross entropy of frames."""
    prosody_weight: float = 0.3
    """Weight of voicing, pitch, tones and beginnings."""
    smoothing: float = 0.05
    """Label smoothing of the frames."""
    average: float = 0.998
    """Decay of the weights' moving average."""
    seed: int = 0
    """Seed of the weights and of the masks."""
    checkpoint_steps: int = 200
    """Steps between checkpoints."""
    log_steps: int = 25
    """Steps between lines of the log."""
    device: str = "cpu"
    """cpu or cuda."""
    bf16: bool = True
    """Whether the forward pass runs under bfloat16 autocast."""

    def rate(self, step: int) -> float:
        """Learning rate: linear rise, plateau, fall to zero along a cosine."""
        fall_from = self.steps * (1 - self.decay_share)
        return warm_cosine(self.learning_rate, step, self.steps, warm_up_steps=self.rise_steps, fall_from=fall_from)


class ContentTrainer:
    """The encoder in training. A run resumed from a checkpoint equals an unbroken one."""

    def __init__(self, config: ContentTraining, source: BatchSource, folder: Path, report: Report = silent) -> None:
        torch.manual_seed(config.seed)
        self.config, self.source = config, source
        self.encoder = ContentEncoder(config.network).to(config.device)
        groups = _groups(self.encoder, config.weight_decay)
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
        self.loop = TrainingLoop(
            folder / CHECKPOINT, self.encoder, {"content": optimizer},
            WeightAverage(self.encoder, config.average, ramp=20.0),
            LoopSettings(config.steps, config.clip_norm, config.checkpoint_steps, config.log_steps), report,
            log=folder / LOG,
        )  # fmt: skip

    def start_from(self, path: Path) -> None:
        """Begin from the weights of an earlier encoder (a state dict; heads that it lacks start at random)."""
        state = torch.load(path, map_location=self.config.device, weights_only=True)
        own = self.encoder.state_dict()
        own |= {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
        self.encoder.load_state_dict(own)
        self.begin_at(0)

    def begin_at(self, step: int) -> None:
        """Go on from the encoder's present weights as if they had been trained for so many steps."""
        average = self.loop.average
        average.state = {name: value.detach().clone() for name, value in self.encoder.state_dict().items()}
        average.updates = self.loop.clock.step = step

    def train(self, until: int | None = None) -> None:
        """Train to step ``until`` (default: all steps); checkpoints on the way and at the end."""
        self.loop.run(self._losses, lambda step, group: self.config.rate(step), until=until)

    def _losses(self, step: int) -> StepLosses:
        config = self.config
        self.encoder.freeze_front(config.frozen_convolutions)
        batch = self.source.batch(step)
        np.random.seed((config.seed * 1_000_003 + step) % 2**32)  # transformers draws its time masks from it
        self.encoder.train()
        with torch.autocast(config.device.split(":")[0], torch.bfloat16, enabled=config.bf16):
            outputs = self.encoder(torch.from_numpy(batch.waveform).to(config.device))
        losses = content_losses(outputs, batch, config)
        total = losses["frame"] + config.ctc_weight * losses["ctc"]
        total = total + config.prosody_weight * (losses["prosody"] + losses["detail"])
        return StepLosses(total, losses)


def load_averaged(folder: Path, config: ContentConfig | None = None) -> ContentEncoder:
    """The encoder of a training folder with averaged weights, in evaluation mode.

    ConfigurationError without a checkpoint.
    """
    encoder = ContentEncoder(config or ContentConfig())
    averaged(encoder, folder / CHECKPOINT)
    return encoder


def replace_ctc_head(folder: Path, head: nn.Linear) -> None:
    """Put a CTC head into the checkpoint of a training folder, beside weights that stay as they are."""
    content = read_checkpoint(folder / CHECKPOINT)
    for weights in (content["average"]["state"], content["network"]):
        weights["ctc_head.weight"] = head.weight.detach().clone()
        weights["ctc_head.bias"] = head.bias.detach().clone()
    write_checkpoint(folder / CHECKPOINT, content)


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
