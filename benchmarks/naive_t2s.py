"""The same text-to-semantic network decoded the plain way, as the other side of the ratio.

Float32; keys and values grow by concatenation, one allocation a layer and token; the mask is built for every step
although nothing is masked; the penalty gathers over all tokens so far; top-p always sorts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from timbre.gptsovits.text_to_semantic.decoding import T2SRequest
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.gptsovits.text_to_semantic.sampling import SamplingConfig
from timbre.gptsovits.text_to_semantic.transformer import TransformerBlock


@torch.no_grad()
def generate_naively(
    model: TextToSemantic, request: T2SRequest, sampling: SamplingConfig, codes: int, may_end: bool = False
) -> Tensor:
    """One request, batch 1 -> int64 [N], N = codes unless the end token may be and was drawn. Same draws as ours."""
    generator = torch.Generator().manual_seed(request.seed)
    tokens = request.prompt.unsqueeze(0)
    text = model.embed_text(request.phones.unsqueeze(0), None if request.bert is None else request.bert.unsqueeze(0))
    x = torch.cat([text, model.embed_codes(tokens)], dim=1)
    words, length = text.shape[1], x.shape[1]
    mask = torch.tril(torch.ones(length, length, dtype=torch.bool))
    mask[:, :words] = True
    grown: list[tuple[Tensor, Tensor] | None] = [None] * model.config.layers
    for step in range(codes):
        x = _stack(model, x, grown, mask)
        logits = model.ar_predict_layer(x[:, -1])
        if not may_end:
            logits = logits[:, : model.config.end_token]
        code = _sample(logits, tokens, sampling, generator)
        tokens = torch.cat([tokens, code], dim=1)
        if int(code) == model.config.end_token:
            return tokens[0, request.prompt.numel() : -1]
        x = model.ar_audio_embedding(code)
        x = x + model.ar_audio_position.alpha * model.ar_audio_position.table[request.prompt.numel() + step]
        mask = torch.ones(1, length + step + 1, dtype=torch.bool)
    return tokens[0, request.prompt.numel() :]


def _stack(model: TextToSemantic, x: Tensor, grown: list[tuple[Tensor, Tensor] | None], mask: Tensor) -> Tensor:
    for index, layer in enumerate(model.h.layers):
        assert isinstance(layer, TransformerBlock)
        attention = layer.self_attn
        queries, keys, values = F.linear(x, attention.in_proj.weight, attention.in_proj.bias).chunk(3, dim=-1)
        before = grown[index]
        if before is not None:
            keys, values = torch.cat([before[0], keys], dim=1), torch.cat([before[1], values], dim=1)
        grown[index] = (keys, values)
        heads = [part.view(1, part.shape[1], attention.heads, -1).transpose(1, 2) for part in (queries, keys, values)]
        mixed = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(1, x.shape[1], -1)
        x = layer.norm1(x + F.linear(mixed, attention.out_proj.weight, attention.out_proj.bias))
        x = layer.norm2(x + layer.linear2(F.relu(layer.linear1(x))))
    return x


def _sample(logits: Tensor, tokens: Tensor, sampling: SamplingConfig, generator: torch.Generator) -> Tensor:
    score = torch.gather(logits, 1, tokens)
    score = torch.where(score < 0, score * sampling.repetition_penalty, score / sampling.repetition_penalty)
    logits = logits.scatter(1, tokens, score)
    ranked, order = torch.sort(logits, descending=True)
    beyond = torch.softmax(ranked, dim=-1).cumsum(dim=-1) > sampling.top_p + 1e-4
    beyond[:, 0] = False
    logits = logits.masked_fill(torch.zeros_like(beyond).scatter(1, order, beyond), -torch.inf)
    logits = logits / max(sampling.temperature, 1e-5)
    weakest = torch.topk(logits, min(sampling.top_k, logits.shape[-1])).values[:, -1:]
    chances = torch.softmax(torch.where(logits < weakest, -torch.inf, logits), dim=-1)
    race = torch.empty(chances.shape[-1]).exponential_(1.0, generator=generator)
    return torch.argmax(chances / race, dim=-1, keepdim=True)
