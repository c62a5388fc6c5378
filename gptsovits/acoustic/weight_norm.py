"""Weight-normalised convolutions with upstream's parameter names, and their explicit folding.

Salimans & Kingma 2016: weight = g * v / |v|, the norm taken over all dimensions but the first. Parameters are called
``weight_g`` and ``weight_v``, as in the official checkpoints. Training keeps them apart; inference and frozen parts
call ``fold_weight_norm`` once, which leaves plain ``nn.Conv1d`` (or transposed, or 2-d) layers: one product less a
forward, and layers that adapters can wrap.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def _split(module: nn.Module) -> None:
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    del module.weight
    dims = tuple(range(1, weight.dim()))
    module.weight_g = nn.Parameter(torch.linalg.vector_norm(weight.detach(), dim=dims, keepdim=True))
    module.weight_v = nn.Parameter(weight.detach().clone())


class _WeightNorm(nn.Module):
    """What the normed layers share; stands before the plain layer among the bases."""

    weight_g: nn.Parameter
    weight_v: nn.Parameter

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        _split(self)


class WeightNormConv1d(_WeightNorm, nn.Conv1d):
    """``nn.Conv1d`` with parameters weight_g [out,1,1] and weight_v [out,in/groups,kernel] in place of weight."""

    def forward(self, x: Tensor) -> Tensor:
        """x [B,in,T] -> [B,out,T']."""
        return self._conv_forward(x, torch._weight_norm(self.weight_v, self.weight_g, 0), self.bias)


class WeightNormConv2d(_WeightNorm, nn.Conv2d):
    """``nn.Conv2d`` with parameters weight_g and weight_v in place of weight."""

    def forward(self, x: Tensor) -> Tensor:
        """x [B,in,H,W] -> [B,out,H',W']."""
        return self._conv_forward(x, torch._weight_norm(self.weight_v, self.weight_g, 0), self.bias)


class WeightNormConvTranspose1d(_WeightNorm, nn.ConvTranspose1d):
    """``nn.ConvTranspose1d``; weight_g [in,1,1]: the first dimension of a transposed kernel is the input channel."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """x [B,in,T] -> [B,out,T*stride] for the paddings used here."""
        weight = torch._weight_norm(self.weight_v, self.weight_g, 0)
        return nn.functional.conv_transpose1d(
            x,
            weight,
            self.bias,
            self.stride,
            self.padding,  # type: ignore[arg-type]
            self.output_padding,
            self.groups,
            self.dilation,
        )


_NORMED = (WeightNormConv1d, WeightNormConv2d, WeightNormConvTranspose1d)
_PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    WeightNormConv1d: nn.Conv1d,
    WeightNormConv2d: nn.Conv2d,
    WeightNormConvTranspose1d: nn.ConvTranspose1d,
}


@torch.no_grad()
def _folded(layer: nn.Module) -> nn.Module:
    assert isinstance(layer, _NORMED)
    plain = _PLAIN[type(layer)](
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.bias is not None,
        device="meta",
    )
    trains = layer.weight_v.requires_grad
    plain.weight = nn.Parameter(torch._weight_norm(layer.weight_v, layer.weight_g, 0), requires_grad=trains)
    plain.bias = layer.bias  # type: ignore[assignment]
    return plain.train(layer.training)


def fold_weight_norm(root: nn.Module) -> int:
    """Replaces each weight-normalised layer below ``root`` by the plain one that computes the same; returns a count.

    Biases are the same Parameter objects as before; an optimizer made earlier does not know the new weights. ``root``
    itself must not be such a layer.
    """
    count = 0
    for name, child in list(root.named_children()):
        if isinstance(child, _NORMED):
            setattr(root, name, _folded(child))
            count += 1
        else:
            count += fold_weight_norm(child)
    return count


def split_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(weight_g, weight_v) of a folded weight: what a checkpoint in upstream's names stores for it."""
    dims = tuple(range(1, weight.dim()))
    return torch.linalg.vector_norm(weight, dim=dims, keepdim=True), weight.clone()
