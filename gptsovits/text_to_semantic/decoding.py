"""Generation of semantic codes: one pass over text and prompt, then one cached step a code, for any number of rows at
once.

Rows of different lengths are padded on the left, after positions were added, so that all rows end at the same cache
position; padding is never seen. A row's codes do not depend on the rows beside it: each draws from its own generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.gptsovits.text_to_semantic.sampling import SamplingConfig, draw, penalise, probabilities, seen_ids
from timbre.gptsovits.text_to_semantic.step import TransformerStep
from timbre.gptsovits.text_to_semantic.transformer import KeyValueCache

# Upstream's habits: no end within 11 steps, and never more than 1500 codes (60 s).
MIN_CODES = 11
MAX_CODES = 1500


class CodePath(Protocol):
    """Where in its text an utterance is: which codes may come next."""

    def take(self, code: int) -> None:
        """Move on by a code that was allowed."""

    def weighed(self, scores: NDArray[np.float64], end: int) -> NDArray[np.float64]:
        """Scores [V] -> those of the allowed codes, minus infinity elsewhere; end: id of the end token."""


@dataclass(frozen=True)
class T2SRequest:
    """One text to speak."""

    phones: Tensor
    """Int64 [P], prompt text and target text; at least one."""
    prompt: Tensor
    """Int64 [Y], the prompt's codes; may be empty."""
    bert: Tensor | None = None
    """Float [W, P], or None for zeros."""
    seed: int = 0
    """Of the random numbers of this row."""
    path: CodePath | None = None
    """Of the target text through codes that stand for phones; only codes that keep to it are then drawn."""


@dataclass(frozen=True)
class T2SResult:
    """Outcome of one row."""

    codes: Tensor
    """Int64 [N], new ones alone, without prompt and end token."""
    ended: bool
    """False when the limit cut the row off."""


@dataclass
class DecodingState:
    """What lies between two steps."""

    cache: KeyValueCache
    """Keys and values of every position so far, all blocks."""
    bias: Tensor | None
    """[B, 1, 1, capacity], minus infinity on padding, None without padding."""
    positions: Tensor
    """Next audio position, int64 [B]."""
    step: TransformerStep
    """The blocks' one-position pass."""

    def keep_rows(self, rows: Tensor) -> None:
        """Drop finished rows. rows: int64 [B'], the indices that stay."""
        self.cache.keep_rows(rows)
        self.positions = self.positions[rows]
        if self.bias is not None:
            self.bias = self.bias[rows]


def lay_out_for_decoding(model: TextToSemantic) -> TextToSemantic:
    """Store every matrix by columns, in place; returns the model. Values, shapes and state dict stay what they are.

    A vector times a matrix stored by columns streams through memory in long runs: 23 to 18 ms a token on the machine
    this was measured on (benchmarks/networks). Only for models that decode; files must be written from a model that was
    not treated, as their format wants rows.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.data = module.weight.data.t().contiguous().t()
    return model


def prefill(model: TextToSemantic, requests: Sequence[T2SRequest], max_codes: int) -> tuple[Tensor, DecodingState]:
    """Text and prompt of every row in one pass -> logits of the first new code [B, V], and the state for `advance`."""
    if not requests:
        raise ValueError("no requests to decode")
    device = model.ar_predict_layer.weight.device
    rows: list[Tensor] = []
    for request in requests:
        if request.phones.numel() == 0:
            raise ValueError("a request without phones has nothing to condition on")
        bert = None if request.bert is None else request.bert.unsqueeze(0).to(device)
        text = model.embed_text(request.phones.unsqueeze(0).to(device), bert)
        rows.append(torch.cat([text, model.embed_codes(request.prompt.unsqueeze(0).to(device))], dim=1)[0])
    length = max(len(row) for row in rows)
    batch, width = len(rows), model.config.hidden
    x = rows[0].new_zeros(batch, length, width)
    is_text = torch.zeros(batch, length, dtype=torch.bool, device=device)
    valid = torch.zeros(batch, length, dtype=torch.bool, device=device)
    for index, (row, request) in enumerate(zip(rows, requests, strict=True)):
        start = length - len(row)
        x[index, start:] = row
        valid[index, start:] = True
        is_text[index, start : start + len(request.phones)] = True
    place = torch.arange(length, device=device)
    earlier = place[None, :] <= place[:, None]
    visible = (valid[:, None, :] & (is_text[:, None, :] | earlier[None])).unsqueeze(1)
    cache = KeyValueCache(model.config, batch, length + max_codes, device, x.dtype)
    hidden = model.h(x, visible, cache)
    positions = torch.tensor([len(request.prompt) for request in requests], device=device)
    bias = None if bool(valid.all()) else _padding_bias(valid, cache, x.dtype)
    state = DecodingState(cache, bias, positions, TransformerStep(model.h))
    return model.predict(hidden[:, -1]), state


def advance(model: TextToSemantic, codes: Tensor, state: DecodingState) -> Tensor:
    """Append codes int64 [B] to the rows -> logits of the codes after them [B, V]."""
    x = model.embed_code_at(codes, state.positions)
    state.positions = state.positions + 1
    return model.predict(state.step(x, state.cache, state.bias))


@torch.inference_mode()
def generate(
    model: TextToSemantic,
    requests: Sequence[T2SRequest],
    sampling: SamplingConfig | None = None,
    max_codes: int = MAX_CODES,
    min_codes: int = MIN_CODES,
) -> list[T2SResult]:
    """Speak every request; results in the order of the requests.

    A row ends when the end token is drawn or is the likeliest id, but not within the first min_codes steps, and is
    cut off after max_codes. The penalty counts the prompt's codes too. The model must be in eval mode.
    """
    sampling = sampling or SamplingConfig()
    end = model.config.end_token
    logits, state = prefill(model, requests, max_codes)
    seen = torch.cat([seen_ids(r.prompt.unsqueeze(0).to(logits.device), model.config.vocabulary) for r in requests])
    generators = [torch.Generator(logits.device).manual_seed(request.seed) for request in requests]
    active = list(range(len(requests)))
    produced: list[list[int]] = [[] for _ in requests]
    ended = [False] * len(requests)
    for step in range(max_codes):
        logits = penalise(logits.float(), seen, sampling.repetition_penalty)
        for row, index in enumerate(active):
            _keep_to_path(logits[row], requests[index].path, end)
        if step < min_codes:
            logits[:, end] = -torch.inf
        drawn = draw(probabilities(logits, sampling), generators)
        stops = ((drawn == end) | (logits.argmax(-1) == end)).tolist()
        for row, (index, code) in enumerate(zip(active, drawn.tolist(), strict=True)):
            if stops[row]:
                ended[index] = True
                continue
            produced[index].append(code)
            path = requests[index].path
            if path is not None:
                path.take(code)
        if any(stops):
            stay = [row for row, stop in enumerate(stops) if not stop]
            if not stay:
                break
            rows = torch.tensor(stay, device=logits.device)
            active, generators = [active[row] for row in stay], [generators[row] for row in stay]
            drawn, seen = drawn[rows], seen[rows]
            state.keep_rows(rows)
        if step + 1 == max_codes:
            break
        seen.scatter_(1, drawn.unsqueeze(1), True)
        logits = advance(model, drawn, state)
    pairs = zip(produced, ended, strict=True)
    return [T2SResult(torch.tensor(codes, dtype=torch.int64), done) for codes, done in pairs]


def _keep_to_path(logits: Tensor, path: CodePath | None, end: int) -> None:
    """Scores of a row [V] as its path weighs them, in place: minus infinity for every code that would leave it."""
    if path is None:
        return
    weighed = path.weighed(logits.double().cpu().numpy(), end)
    logits.copy_(torch.from_numpy(weighed))


def _padding_bias(valid: Tensor, cache: KeyValueCache, dtype: torch.dtype) -> Tensor:
    bias = torch.zeros(valid.shape[0], 1, 1, cache.capacity, device=valid.device, dtype=dtype)
    bias[:, 0, 0, : valid.shape[1]].masked_fill_(~valid, -torch.inf)
    return bias
