"""One cached position through all blocks, with as little as possible between the matrix products.

A token at batch 1 costs what reading the weights costs; module calls and temporary tensors would add a tenth. So the
tensors are looked up once per generation. A projection that an adapter has wrapped is called as the module that it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from timbre.gptsovits.text_to_semantic.transformer import KeyValueCache, Transformer, TransformerBlock

Product = Callable[[Tensor], Tensor]


def _product(layer: nn.Module) -> Product:
    """x [B, I] -> [B, O]: the layer's plain product when nothing is wrapped around it, else the layer."""
    if type(layer) is not nn.Linear:
        return layer
    bias, columns, addmm = layer.bias, layer.weight.t(), torch.addmm
    return lambda x: addmm(bias, x, columns)


@dataclass(frozen=True, slots=True)
class BlockStep:
    """One block's one-position pass."""

    heads: int
    """Attention heads."""
    in_proj: Product
    """[B, H] -> query, key and value in one, [B, 3 H]."""
    out_proj: Product
    """Heads joined again, [B, H] -> [B, H]."""
    linear1: Product
    """[B, H] -> [B, feed_forward]."""
    linear2: Product
    """[B, feed_forward] -> [B, H]."""
    norm1: Product
    """After attention and residual."""
    norm2: Product
    """After feed-forward and residual."""

    @classmethod
    def of(cls, block: TransformerBlock) -> BlockStep:
        """Look up the block's tensors."""
        attention = block.self_attn
        return cls(
            attention.heads,
            _product(attention.in_proj),
            _product(attention.out_proj),
            _product(block.linear1),
            _product(block.linear2),
            _normalisation(block.norm1),
            _normalisation(block.norm2),
        )

    def __call__(self, x: Tensor, store: Tensor, length: int, bias: Tensor | None) -> Tensor:
        """x [B, H] -> [B, H]; key and value become number length - 1 of the store [2, B, heads, capacity, D].

        bias: [B, 1, 1, length] additive (minus infinity on padding), or None when every filled position is real.
        """
        batch, width = x.shape
        qkv = self.in_proj(x).view(batch, 3, self.heads, -1)
        store.select(3, length - 1).copy_(qkv.narrow(1, 1, 2).transpose(0, 1))
        keys, values = store.narrow(3, 0, length).unbind()
        mixed = F.scaled_dot_product_attention(qkv.select(1, 0).unsqueeze(2), keys, values, attn_mask=bias)
        x = self.norm1(self.out_proj(mixed.view(batch, width)).add_(x))
        return self.norm2(self.linear2(self.linear1(x).relu_()).add_(x))


def _normalisation(norm: nn.LayerNorm) -> Product:
    shape, weight, bias, eps, function = norm.normalized_shape, norm.weight, norm.bias, norm.eps, torch.layer_norm
    return lambda x: function(x, shape, weight, bias, eps)


class TransformerStep:
    """All blocks' one-position passes; made once per generation, for inference only (sums are taken in place)."""

    def __init__(self, transformer: Transformer) -> None:
        blocks = [layer for layer in transformer.layers if isinstance(layer, TransformerBlock)]
        self.blocks = [BlockStep.of(block) for block in blocks]

    def __call__(self, x: Tensor, cache: KeyValueCache, bias: Tensor | None = None) -> Tensor:
        """x [B, H], the next position of every row -> [B, H]. bias: [B, 1, 1, capacity] as in BlockStep."""
        length = cache.claim(1)
        here = None if bias is None else bias[..., :length]
        for index, block in enumerate(self.blocks):
            x = block(x, cache.store[index], length, here)
        return x
