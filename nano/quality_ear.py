"""DistillMOS as a critic of what the prior expects: how good it finds what is spoken beside the recording.

waves spoken and recorded [B,1,L] -> 7.68 s at 16 kHz [B,122880] -> opinions [B], and what its last layer hears

An opinion is asked for up to the recording's own, not beyond. Its weights are needed for this training only and stay as
they are. The same DistillMOS then judges the result kindly: measure it with DNSMOS, PESQ and a recogniser as well.
Needs the extra `mos`.
"""

from __future__ import annotations

import contextlib
import io

import torch
from torch import Tensor
from torch.nn import functional
from torchaudio.functional import resample

from timbre.core.errors import ConfigurationError
from timbre.evaluation.metrics.distilled import EXTRA, available
from timbre.training.spectral_losses import standardised_distance

RATE_HZ = 16_000
SAMPLES = 122_880
"""Length that the model was trained with."""
LEAST = 1e-4
"""Least magnitude of the spectrum, the wave's peak being 1: DistillMOS compresses magnitudes, whose gradient is endless
in silence."""
_WINDOW, _HOP, _POWER = 320, 160, 0.3
IMPRESSION = 0.3
"""Weight of the distance of the last layer's features, in their spreads, beside the missing points of opinion."""


class QualityEar:
    """Not a module: what it holds is neither trained nor stored with a checkpoint."""

    def __init__(self, rate_hz: int, device: torch.device) -> None:
        """rate_hz: of the waves. Raises ConfigurationError without the package."""
        if not available():
            raise ConfigurationError(
                "acoustic: quality asks for DistillMOS, which is not installed",
                remedy=f"install the extra {EXTRA!r}, or set quality: 0",
            )
        import distillmos

        self.rate_hz = rate_hz
        with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights lie
            model = distillmos.ConvTransformerSQAModel(segmenting_in_forward=False)
        self.model = model.eval().requires_grad_(False).to(device)

    def view(self, wave: Tensor, seconds: Tensor) -> Tensor:
        """wave [B,1,L], seconds [B] of it that count -> [B,122880] at 16 kHz, silence at the end, peak 1."""
        heard = resample(_cut(wave[:, 0].float(), seconds * self.rate_hz), self.rate_hz, RATE_HZ)[:, :SAMPLES]
        heard = functional.pad(_cut(heard, seconds * RATE_HZ), (0, SAMPLES - heard.shape[1]))
        return heard / heard.abs().amax(1, keepdim=True).clamp(min=LEAST)

    def hear(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """[B,122880] -> last layer [B,L,C] and opinions from 1 to 5 [B]."""
        judge = self.model.transformer_pool_attn
        with torch.autocast(view.device.type, torch.bfloat16):
            found = self.model.cnn.cnn(self._compressed(view)).flatten(1, 2).float().transpose(1, 2)
            found = judge.transformer(judge.norm_input(found.transpose(1, 2)).transpose(1, 2))
        found = judge.norm_trans(found.float().transpose(1, 2)).transpose(1, 2)
        return found, 1.0 + 4.0 * judge.sigmoid(judge.pool(found)).flatten()

    def _compressed(self, view: Tensor) -> Tensor:
        """[B,122880] -> real and imaginary parts of the spectrum [B,2,161,T], as DistillMOS compresses them."""
        edge = (_WINDOW - _HOP) // 2
        padded = functional.pad(view, (edge, edge), mode="reflect")
        window = torch.hann_window(_WINDOW, device=view.device)
        found = torch.view_as_real(torch.stft(padded, _WINDOW, _HOP, window=window, center=False, return_complex=True))
        power = found.square().sum(-1, keepdim=True).clamp(min=LEAST**2)
        return (found * power ** ((_POWER - 1) / 2)).permute(0, 3, 1, 2)

    def loss(self, recorded: Tensor, expected: Tensor, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """Views, the expected one with a graph; seconds [B] -> loss, and the points of opinion that are missing."""
        with torch.no_grad():
            real, wanted = self.hear(recorded)
        said, found = self.hear(expected)
        share = (seconds * RATE_HZ / SAMPLES * said.shape[1]).view(-1, 1)
        there = (torch.arange(said.shape[1], device=said.device) < share).float().unsqueeze(2)
        missing = (wanted - found).clamp(min=0.0).mean()
        return missing + IMPRESSION * standardised_distance([said], [real], there), missing.detach()


def _cut(wave: Tensor, samples: Tensor) -> Tensor:
    """[B,L] with zeros from samples [B] on."""
    return wave * (torch.arange(wave.shape[1], device=wave.device) < samples.view(-1, 1))
