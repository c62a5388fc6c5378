"""Phones (and character vectors) -> semantic codes, autoregressively: the "GPT" of GPT-SoVITS.

One sequence holds text, then audio. Text positions see all text and no audio; audio position j sees all text and
audio 0..j. Text and audio count their positions from 0, each with its own strength. In training, the last text
position predicts the first code, the audio position of code j predicts code j + 1, the last one the end token.

Padding: rows are padded on the right, no padded position is seen by a real one, and none is a target. (Upstream masks
text on the wrong side and counts padded frames as end tokens; a batch here has the loss of its rows taken alone.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from timbre.gptsovits.text_to_semantic.configuration import T2SConfig
from timbre.gptsovits.text_to_semantic.transformer import SinusoidPosition, Transformer

_NO_TARGET = -100


@dataclass(frozen=True)
class T2SBatch:
    """Training rows, padded on the right with any valid id."""

    phones: Tensor
    """Int64 [B, P]."""
    phone_lengths: Tensor
    """Int64 [B]."""
    codes: Tensor
    """Int64 [B, T], without end token."""
    code_lengths: Tensor
    """Int64 [B]."""
    bert: Tensor | None = None
    """Float [B, W, P]; None for all zeros, as every language but Chinese has them."""


@dataclass(frozen=True)
class T2SLoss:
    """Cross entropy of a batch."""

    rows: Tensor
    """[B], summed over the targets of each row, in nats."""
    targets: Tensor
    """[B], number of targets."""
    correct: Tensor
    """[B], targets predicted right."""

    @property
    def total(self) -> Tensor:
        """Sum over the batch, the quantity that upstream minimises."""
        return self.rows.sum()

    @property
    def mean(self) -> Tensor:
        """Nats per target."""
        return self.rows.sum() / self.targets.sum().clamp(min=1)


class TokenEmbedding(nn.Module):
    """A lookup table under upstream's parameter name: ids int64 [B, T] -> [B, T, H]."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(count, width)

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.word_embeddings(ids)
        return out


def visible_pairs(text_valid: Tensor, audio_valid: Tensor) -> Tensor:
    """Which key a query may see: bool [B, 1, P + T, P + T] from text_valid [B, P] and audio_valid [B, T].

    Real text, and real audio that is not later than the query. Padded queries see the text, so that no row is empty.
    """
    text, length = text_valid.shape[1], text_valid.shape[1] + audio_valid.shape[1]
    index = torch.arange(length, device=text_valid.device)
    order = (index[None, :] < text) | (index[None, :] <= index[:, None])
    valid = torch.cat([text_valid, audio_valid], dim=1)
    return (order[None] & valid[:, None, :]).unsqueeze(1)


class TextToSemantic(nn.Module):
    """The network. State dicts carry upstream's names (without the `model.` that checkpoint files put before them)."""

    def __init__(self, config: T2SConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden
        self.bert_proj = nn.Linear(config.bert_width, width) if config.bert_width else None
        self.ar_text_embedding = TokenEmbedding(config.phonemes, width)
        self.ar_text_position = SinusoidPosition(width, config.max_positions, config.position_dropout)
        self.ar_audio_embedding = TokenEmbedding(config.vocabulary, width)
        self.ar_audio_position = SinusoidPosition(width, config.max_positions, config.position_dropout)
        self.h = Transformer(config)
        self.ar_predict_layer = nn.Linear(width, config.vocabulary, bias=False)

    def embed_text(self, phones: Tensor, bert: Tensor | None = None) -> Tensor:
        """phones int64 [B, P], bert [B, W, P] or None for zeros -> [B, P, H]."""
        x = self.ar_text_embedding(phones)
        if self.bert_proj is not None:
            x = x + (self.bert_proj.bias if bert is None else self.bert_proj(bert.transpose(1, 2)))
        elif bert is not None:
            raise ValueError("this network has no projection for character vectors: pass bert=None")
        out: Tensor = self.ar_text_position(x)
        return out

    def embed_codes(self, codes: Tensor) -> Tensor:
        """codes int64 [B, T] from audio position 0 on -> [B, T, H]."""
        out: Tensor = self.ar_audio_position(self.ar_audio_embedding(codes))
        return out

    def embed_code_at(self, codes: Tensor, positions: Tensor) -> Tensor:
        """One code a row: codes int64 [B], audio positions int64 [B] -> [B, H]."""
        return self.ar_audio_position.at(self.ar_audio_embedding(codes), positions)

    def predict(self, hidden: Tensor) -> Tensor:
        """hidden [..., H] -> logits [..., V]."""
        out: Tensor = self.ar_predict_layer(hidden)
        return out

    def hidden_states(
        self, text: Tensor, audio: Tensor, text_valid: Tensor | None = None, audio_valid: Tensor | None = None
    ) -> Tensor:
        """Embedded text [B, P, H] and audio [B, T, H] -> [B, P + T, H], uncached. *_valid: bool [B, P] and [B, T]."""
        if text_valid is None:
            text_valid = torch.ones(text.shape[:2], dtype=torch.bool, device=text.device)
        if audio_valid is None:
            audio_valid = torch.ones(audio.shape[:2], dtype=torch.bool, device=audio.device)
        out: Tensor = self.h(torch.cat([text, audio], dim=1), visible_pairs(text_valid, audio_valid))
        return out

    def forward(self, batch: T2SBatch) -> Tensor:
        """Teacher-forced logits [B, T + 1, V]: entry j belongs to code j, the one after the last code to the end token.

        Entries beyond that mean nothing.
        """
        _check_lengths(batch)
        text_valid = _within(batch.phone_lengths, batch.phones.shape[1])
        audio_valid = _within(batch.code_lengths, batch.codes.shape[1])
        text = self.embed_text(batch.phones, batch.bert)
        hidden = self.hidden_states(text, self.embed_codes(batch.codes), text_valid, audio_valid)
        rows = torch.arange(hidden.shape[0], device=hidden.device)
        last_text = hidden[rows, batch.phone_lengths - 1].unsqueeze(1)
        return self.predict(torch.cat([last_text, hidden[:, batch.phones.shape[1] :]], dim=1))

    def loss(self, batch: T2SBatch) -> T2SLoss:
        """Cross entropy of every code and of the end token after them, padding left out."""
        logits = self.forward(batch)
        targets = code_targets(batch.codes, batch.code_lengths, self.config.end_token)
        each = F.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), ignore_index=_NO_TARGET, reduction="none"
        ).view(targets.shape)
        with torch.no_grad():
            counted = targets != _NO_TARGET
            correct = (logits.argmax(-1) == targets) & counted
        return T2SLoss(each.sum(1), counted.sum(1), correct.sum(1))


def code_targets(codes: Tensor, lengths: Tensor, end_token: int) -> Tensor:
    """Targets int64 [B, T + 1] for codes [B, T]: a row's codes, then end_token, then -100 (no target)."""
    place = torch.arange(codes.shape[1] + 1, device=codes.device)
    padded = F.pad(codes, (0, 1))
    targets = torch.where(place == lengths.unsqueeze(1), torch.full_like(padded, end_token), padded)
    return torch.where(place > lengths.unsqueeze(1), torch.full_like(padded, _NO_TARGET), targets)


def _within(lengths: Tensor, size: int) -> Tensor:
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


def _check_lengths(batch: T2SBatch) -> None:
    # An empty text would leave queries that see nothing (NaN), an empty audio row has no target: both are data errors.
    for name, lengths, ids in (("phone", batch.phone_lengths, batch.phones), ("code", batch.code_lengths, batch.codes)):
        if lengths.shape != (ids.shape[0],):
            raise ValueError(f"{name}_lengths has shape {list(lengths.shape)}, expected [{ids.shape[0]}]")
        if not torch.compiler.is_compiling():
            low, high = int(lengths.min()), int(lengths.max())
            if low < 1 or high > ids.shape[1]:
                raise ValueError(f"{name}_lengths must lie in 1..{ids.shape[1]}, found {low} to {high}")
