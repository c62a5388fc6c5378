"""The text-to-semantic network as a task of the loop: phones -> codes, cross entropy.

Half of the rows come with another slice of the voice before them, as the prompt comes before every sentence at
inference. The held-out loss counts only what follows the prompt: the prompt itself was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from peft import PeftModel
from torch import Tensor, nn

from timbre.gptsovits.text_to_semantic.network import T2SBatch, TextToSemantic, code_targets
from timbre.training.finetune.data import Draws, Row, VoiceData, evenly, pad_rows
from timbre.training.lora import network_of, trainable

JOIN_SHARE = 0.5
MAX_JOINED_CODES = 500
PURPOSE = 1
_NO_TARGET = -100
_VALIDATION_ROWS = 16


def joined(before: Row, row: Row) -> Row:
    """`row` with another slice before it, as one utterance."""
    bert = None
    if before.bert is not None and row.bert is not None:
        bert = torch.cat([before.bert, row.bert], dim=1)
    return Row(
        row.id, row.held_out, torch.cat([before.phones, row.phones]), torch.cat([before.codes, row.codes]),
        row.wave, row.ge2e, row.speaker, bert, row.pitch,
    )  # fmt: skip


def collate(rows: Sequence[Row], device: torch.device) -> T2SBatch:
    """Rows padded on the right."""
    berts = [row.bert for row in rows]
    bert = None
    if any(item is not None for item in berts):
        width = next(item.shape[0] for item in berts if item is not None)
        given = [torch.zeros(width, len(row.phones)) if row.bert is None else row.bert for row in rows]
        bert = pad_rows(given).to(device)
    return T2SBatch(
        pad_rows([row.phones for row in rows]).to(device),
        torch.tensor([len(row.phones) for row in rows], device=device),
        pad_rows([row.codes for row in rows]).to(device),
        torch.tensor([len(row.codes) for row in rows], device=device),
        bert,
    )


class TextToSemanticTask:
    """model: the wrapped network, on `device`."""

    name = "t2s"

    def __init__(self, model: PeftModel, data: VoiceData, seed: int, device: torch.device) -> None:
        network = network_of(model)
        assert isinstance(network, TextToSemantic)
        self.model, self.network, self.data, self.device = model, network, data, device
        self.draws = Draws(len(data.training), seed, PURPOSE)
        self._held_out = evenly(data.held_out, _VALIDATION_ROWS)
        others = [row for row in data.training if row.id != data.prompt.id]
        self._trained_on = evenly(others, len(self._held_out))

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return trainable(self.model)

    def train(self, mode: bool) -> None:
        """Dropout on or off."""
        self.model.train(mode)

    def use_checkpointing(self, enabled: bool) -> None:
        """Recompute the blocks' activations in the backward pass."""
        self.network.h.gradient_checkpointing = enabled

    def batch(self, step: int, rows: Sequence[int]) -> T2SBatch:
        """The rows of a step, some of them with another slice before them."""
        return collate([self._with_company(step, index) for index in rows], self.device)

    def _with_company(self, step: int, index: int) -> Row:
        row = self.data.training[index]
        random = self.draws.random(step, index)
        if len(self.data.training) < 2 or random.random() >= JOIN_SHARE:
            return row
        count = len(self.data.training)
        other = self.data.training[(index + 1 + int(random.integers(count - 1))) % count]
        return joined(other, row) if len(other.codes) + len(row.codes) <= MAX_JOINED_CODES else row

    def loss(self, step: int, rows: Sequence[int]) -> dict[str, Tensor]:
        """Nats per code; correct: share of codes predicted right."""
        found = self.network.loss(self.batch(step, rows))
        correct = found.correct.sum() / found.targets.sum().clamp(min=1)
        return {"total": found.mean, "correct": correct}

    def validate(self) -> dict[str, float]:
        """Nats per held-out code after the prompt."""
        return self._terms(self._held_out)

    def evaluate_train_subset(self) -> dict[str, float]:
        """Nats per code of slices that were trained on, after the prompt as well."""
        return self._terms(self._trained_on)

    def _terms(self, rows: Sequence[Row]) -> dict[str, float]:
        nats = right = count = 0.0
        for row in rows:
            batch = collate([joined(self.data.prompt, row)], self.device)
            before = len(self.data.prompt.codes)
            logits = self.network(batch)[0, before:].float()
            targets = code_targets(batch.codes, batch.code_lengths, self.network.config.end_token)[0, before:]
            nats += float(F.cross_entropy(logits, targets, ignore_index=_NO_TARGET, reduction="sum"))
            right += float((logits.argmax(-1) == targets).sum())
            count += float((targets != _NO_TARGET).sum())
        return {"total": nats / count, "correct": right / count} if count else {}
