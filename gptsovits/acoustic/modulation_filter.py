"""Filter of the latent along time that gives back the movement that a mean loses (Takamichi et al. 2016, modulation
spectrum-based postfilter).

A prior that is trained on distances speaks the mean of what could be said: slow changes are right, and the faster a
channel could move, the less of it is left. Each channel has a short symmetric filter, fitted to how much.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def identity(channels: int, taps: int) -> Tensor:
    """Filters [channels,1,taps] that change nothing."""
    weight = torch.zeros(channels, 1, taps)
    weight[:, :, taps // 2] = 1.0
    return weight


class ModulationFilter(nn.Module):
    """channels: of the latent; taps: odd length of each channel's filter, in frames. Starts as the identity."""

    weight: Tensor

    def __init__(self, channels: int, taps: int) -> None:
        super().__init__()
        if taps < 1 or taps % 2 == 0:
            raise ValueError(f"taps: {taps} is not an odd number above 0")
        self.register_buffer("weight", identity(channels, taps))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Weights from before the filter: none.
        state_dict.setdefault(f"{prefix}weight", identity(*self.weight.shape[::2]))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, latent: Tensor, mask: Tensor | None = None) -> Tensor:
        """latent [B,C,T] -> [B,C,T]; the first and last frame of a row go on beyond its ends.

        mask [B,1,T]: rows padded on the right; None: none is.
        """
        reach = self.weight.shape[2] // 2
        latent = latent.float()
        if mask is not None:
            places = torch.arange(latent.shape[2], device=latent.device)
            last = mask.sum(2).long().clamp(min=1) - 1
            index = torch.minimum(places.unsqueeze(0), last)
            latent = latent.gather(2, index.unsqueeze(1).expand_as(latent))
        padded = functional.pad(latent, (reach, reach), mode="replicate")
        out = functional.conv1d(padded, self.weight.float(), groups=latent.shape[1])
        return out if mask is None else out * mask
