"""Restores the spread of latents that a network predicted from text.

A prior that is trained by likelihood predicts the middle of what could be said: its trajectories are too smooth, and
speech sounds muffled. Compensation of the global variance (Toda & Tokuda 2007) gives each channel most of the variance
of recordings back.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

LARGEST_RATIO = 3.0
"""Of the standard deviations. Beyond it a channel follows the text too little to be trusted."""


EXPONENT = 0.6
"""Of the ratio; the whole ratio costs likeness. Ten development clips of nano's teacher, spoken from their own codes,
with ratios to the power of 0, 0.7 and 1: DistillMOS 1.9, 2.5 and 2.7 (recordings 4.4), word errors 13, 10 and 11 %;
likeness of ten clips of real readers .83, .83 and .75. A full map of covariances (optimal transport): DistillMOS 2.2.
"""

RIDGE = 0.05
"""Of the mean variance of the condition's channels, added to each."""


class GlobalVariance(nn.Module):
    """channels: of the latent. condition_channels: of the voice's condition. fixed: first channels that stay as they
    are (pitch, which is in absolute units).

    The center of a channel is a linear function of the condition: what a voice is like must not grow with the spread.
    Starts without effect.
    """

    predicted: Tensor
    """Variance of predicted latents within a sentence, [channels]."""
    recorded: Tensor
    """The same of the posterior's, [channels]."""

    def __init__(self, channels: int, condition_channels: int, fixed: int = 0) -> None:
        super().__init__()
        self.fixed = fixed
        self.center = nn.Linear(condition_channels, channels).requires_grad_(False)
        nn.init.zeros_(self.center.weight)
        nn.init.zeros_(self.center.bias)
        self.register_buffer("predicted", torch.ones(channels))
        self.register_buffer("recorded", torch.ones(channels))

    def gain(self) -> Tensor:
        """Factor of each channel's distance from its center, [channels], 1 to LARGEST_RATIO ** EXPONENT."""
        ratio = torch.sqrt(self.recorded / self.predicted.clamp(min=1e-6)).clamp(1.0, LARGEST_RATIO)
        return torch.cat([torch.ones_like(ratio[: self.fixed]), ratio[self.fixed :] ** EXPONENT])

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """latent [B,channels,T], condition [B,condition_channels,1] -> the latent with the spread of recordings."""
        center = self.center(condition.squeeze(2)).unsqueeze(2)
        return center + (latent - center) * self.gain().view(1, -1, 1)

    @torch.no_grad()
    def set_variances(self, predicted: Sequence[Tensor], recorded: Sequence[Tensor]) -> None:
        """Measure the spread. Sentences [channels,T] as predicted and as recorded."""
        for buffer, sentences in ((self.predicted, predicted), (self.recorded, recorded)):
            frames = sum(sentence.shape[1] for sentence in sentences)
            squares = torch.stack([((one - one.mean(1, keepdim=True)) ** 2).sum(1) for one in sentences])
            buffer.copy_(squares.sum(0) / frames)

    @torch.no_grad()
    def set_centers(self, predicted: Sequence[Tensor], conditions: Sequence[Tensor]) -> None:
        """Fit the center by ridge regression. Sentences [channels,T] as predicted, conditions [condition_channels]."""
        x = torch.stack(list(conditions)).double()
        y = torch.stack([sentence.mean(1) for sentence in predicted]).double()
        x_mean, y_mean = x.mean(0), y.mean(0)
        x, y = x - x_mean, y - y_mean
        squares = x.T @ x / len(x)
        squares += RIDGE * squares.diagonal().mean() * torch.eye(len(squares), dtype=x.dtype)
        weight = torch.linalg.solve(squares, x.T @ y / len(x)).T
        self.center.weight.copy_(weight)
        self.center.bias.copy_(y_mean - weight @ x_mean)
