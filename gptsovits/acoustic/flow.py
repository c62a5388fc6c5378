"""Normalising flow between posterior and prior: mean-only affine couplings, channel flips (Kim et al. 2021, VITS)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from timbre.gptsovits.acoustic.configuration import FlowConfig, WaveNetConfig
from timbre.gptsovits.acoustic.posterior_encoder import WaveNet


class Coupling(nn.Module):
    """Shifts one half of the channels by a function of the other half; its Jacobian is 1, so no log-determinant."""

    def __init__(self, channels: int, hidden: int, condition_channels: int, config: WaveNetConfig) -> None:
        super().__init__()
        half = channels // 2
        self.pre = nn.Conv1d(half, hidden, 1)
        self.enc = WaveNet(hidden, condition_channels, config)
        self.post = nn.Conv1d(hidden, half, 1)
        # A coupling starts as the identity, so that the first steps of training see a plain Gaussian.
        nn.init.zeros_(self.post.weight)
        nn.init.zeros_(self.post.bias)  # type: ignore[arg-type]

    def shift(self, kept: Tensor, mask: Tensor, condition: Tensor | None) -> Tensor:
        """kept [B,half,T] -> shift [B,half,T] of the other half, float32."""
        h = self.pre(kept) * mask
        return (self.post(self.enc(h, mask, condition)) * mask).float()

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        """x [B,channels,T] -> the same shape, zero on padding in the shifted half."""
        kept, moved = x.chunk(2, dim=1)
        return torch.cat([kept, moved * mask + self.shift(kept, mask, condition)], dim=1)

    def inverse(self, y: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        """Undoes forward."""
        kept, moved = y.chunk(2, dim=1)
        return torch.cat([kept, (moved - self.shift(kept, mask, condition)) * mask], dim=1)


class Flip(nn.Module):
    """Reverses the channel order, so that the next coupling shifts the other half. Its own inverse, no parameters."""

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        """x [B,C,T] -> [B,C,T]."""
        return x.flip(1)

    def inverse(self, y: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        """Undoes forward."""
        return y.flip(1)


class ResidualCouplingFlow(nn.Module):
    """``forward``: posterior latent -> prior space (training); ``inverse``: prior sample -> latent for the decoder."""

    def __init__(self, channels: int, hidden: int, condition_channels: int, config: FlowConfig) -> None:
        super().__init__()
        # Upstream numbers couplings and flips in one list: 0, 2, 4, ... are the couplings.
        self.flows = nn.ModuleList()
        for _ in range(config.couplings):
            self.flows.append(Coupling(channels, hidden, condition_channels, config.wavenet))
            self.flows.append(Flip())

    def forward(self, z: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        """z [B,C,T], mask [B,1,T], condition [B,condition_channels,1] -> z_p [B,C,T]."""
        for flow in self.flows:
            z = flow(z, mask, condition)
        return z

    def inverse(self, z_p: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        """z_p [B,C,T] -> z [B,C,T]."""
        for flow in reversed(self.flows):
            assert isinstance(flow, Coupling | Flip)
            z_p = flow.inverse(z_p, mask, condition)
        return z_p
