"""Fits the modulation filter of the latent to how much movement the prior's mean has lost.

sentences -> recorded and expected latents -> power of each channel by speed of change -> taps
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from timbre.core.errors import ConfigurationError
from timbre.gptsovits.acoustic.generator_source_istft import PITCH_CHANNELS
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.nano.expectation import expect
from timbre.nano.joint_data import SentenceSampler
from timbre.training.finetune.voice_condition import spectrogram_of

WINDOW_FRAMES = 64
"""Frames whose changes are measured together, every half of it."""
LARGEST_GAIN = 6.0
"""Where less than a sixth of a movement is left, most of what is there is not the recording's."""


COARSEST = 40
"""Channels that move, the pitch's among them. The others hold the fine structure of the spectrum: of their movement .1
is left, which is not the recording's, and gain makes it noise (DNSMOS 2.09 instead of 2.37)."""
BATCHES = 24
"""Batches of sentences that the filter is fitted to."""
_FIRST_STEP = 1_000_000
"""Steps whose batches they are; no training gets there."""


def spans(latent: Tensor, lengths: Tensor) -> Iterator[Tensor]:
    """Windows [C,WINDOW_FRAMES] of the rows of [B,C,T] that lie within their lengths [B]."""
    for row, length in zip(latent, lengths.tolist(), strict=True):
        for first in range(0, length - WINDOW_FRAMES + 1, WINDOW_FRAMES // 2):
            yield row[:, first : first + WINDOW_FRAMES]


class ModulationSpectrum:
    """Mean power of each channel of a latent at WINDOW_FRAMES // 2 + 1 speeds, from 0 to half the frame rate."""

    def __init__(self) -> None:
        self.total = torch.zeros(())
        self.count = 0

    def add(self, latent: Tensor, lengths: Tensor) -> None:
        """latent [B,C,T], lengths [B] in frames."""
        window = torch.hann_window(WINDOW_FRAMES)
        for span in spans(latent.float().cpu(), lengths):
            self.total = self.total + torch.fft.rfft(span * window, dim=1).abs().square()
            self.count += 1

    def power(self) -> Tensor:
        """[C,WINDOW_FRAMES // 2 + 1]. ConfigurationError when no row was as long as a window."""
        if not self.count:
            raise ConfigurationError(
                f"no sentence has {WINDOW_FRAMES} frames, which the modulation filter is fitted to",
                remedy="give longer sentences",
            )
        return self.total / self.count


def fit_taps(recorded: Tensor, expected: Tensor, taps: int, power: float) -> Tensor:
    """Modulation spectra [C,F] of recorded and expected latents -> symmetric filters [C,1,taps].

    power: share of what is missing that is given back, in decibels: 0 none, 1 all of it. Pitch, in the first channels,
    stays as it is: what is missing there is not movement but decisions. So do the channels from COARSEST on.
    """
    gain = (recorded / expected.clamp(min=1e-8)).sqrt().clamp(max=LARGEST_GAIN) ** power
    gain[:PITCH_CHANNELS] = gain[COARSEST:] = 1.0
    whole = torch.fft.fftshift(torch.fft.irfft(gain, dim=1), dim=1)
    middle, reach = whole.shape[1] // 2, taps // 2
    window = torch.hann_window(taps + 2, periodic=False)[1:-1]
    return (whole[:, middle - reach : middle + reach + 1] * window).unsqueeze(1)


def fit(pairs: Iterable[tuple[Tensor, Tensor, Tensor]], taps: int, power: float) -> Tensor:
    """(recorded [B,C,T], expected [B,C,T], lengths [B]) of many sentences -> as fit_taps."""
    real, said = ModulationSpectrum(), ModulationSpectrum()
    for recorded, expected, lengths in pairs:
        real.add(recorded, lengths)
        said.add(expected, lengths)
    return fit_taps(real.power(), said.power(), taps, power)


@torch.no_grad()
def latents_of(
    model: Synthesizer, sampler: SentenceSampler, device: torch.device, batches: int = BATCHES
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(recorded, expected before the filter, lengths) of batches that the sampler draws."""
    spectrogram = spectrogram_of(model).to(device)
    for number in range(batches):
        batch = sampler.batch(_FIRST_STEP + number).to(device)
        seen = expect(model, batch, spectrogram)
        with torch.autocast(device.type, torch.bfloat16):
            expected = model.flow.inverse(seen.prior.mean, seen.mask, seen.condition)
        yield seen.recorded, expected, batch.lengths


def fit_model(
    model: Synthesizer, sampler: SentenceSampler, device: torch.device, power: float, batches: int = BATCHES
) -> None:
    """Fit the model's filter in place to what its prior expects of the sampler's sentences; power: as fit_taps."""
    assert model.modulation is not None
    model.eval().to(device)
    taps = fit(latents_of(model, sampler, device, batches), model.config.modulation_taps, power)
    model.modulation.weight.copy_(taps)
