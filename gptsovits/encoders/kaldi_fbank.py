"""Log mel filter bank as the Kaldi toolkit computes it: the input of the speaker-verification network.

Povey et al. 2011. Per frame of 25 ms every 10 ms, only whole frames: mean removed, pre-emphasis 0.97, Povey window
(Hann to the power 0.85), power spectrum of the next power of two, triangles on the mel scale 1127 ln(1 + f / 700),
natural logarithm. No dither, so that equal input gives equal features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class FbankConfig:
    """Kaldi's defaults, with 80 bins at 16 kHz."""

    rate_hz: int = 16_000
    """Of the wave."""
    bins: int = 80
    """Triangles of the mel bank."""
    frame_ms: float = 25.0
    """Length of a frame."""
    shift_ms: float = 10.0
    """From frame to frame."""
    preemphasis: float = 0.97
    """Share of the sample before that is subtracted from each."""
    f_min_hz: float = 20.0
    """Lower edge of the first triangle."""
    f_max_hz: float | None = None
    """Upper edge of the last; None: half the rate."""

    @property
    def frame(self) -> int:
        """Samples of a frame."""
        return int(self.rate_hz * self.frame_ms / 1000)

    @property
    def shift(self) -> int:
        """Samples between frames."""
        return int(self.rate_hz * self.shift_ms / 1000)

    @property
    def n_fft(self) -> int:
        """The frame rounded up to a power of two."""
        return 1 << (self.frame - 1).bit_length()


def kaldi_mel_bank(config: FbankConfig) -> Tensor:
    """Triangular filters [bins, n_fft / 2 + 1] on Kaldi's mel scale; peaks are 1, the Nyquist bin gets nothing.

    In float32 as in the reference, because the corners of narrow filters show its rounding; only the logarithm is taken
    in float64 and rounded, so that every machine gets the same filters.
    """
    f_max = config.rate_hz / 2 if config.f_max_hz is None else config.f_max_hz
    if not 0 <= config.f_min_hz < f_max <= config.rate_hz / 2:
        raise ValueError(f"need 0 <= f_min < f_max <= {config.rate_hz / 2} Hz, got {config.f_min_hz} and {f_max}")
    low, high = (1127.0 * math.log(1.0 + f / 700.0) for f in (config.f_min_hz, f_max))
    step = (high - low) / (config.bins + 1)
    place = torch.arange(config.bins).unsqueeze(1)
    left, centre, right = low + place * step, low + (place + 1.0) * step, low + (place + 2.0) * step
    hz = (config.rate_hz / config.n_fft) * torch.arange(config.n_fft // 2)
    mel = 1127.0 * (1.0 + hz / 700.0).double().log().float().unsqueeze(0)
    bank = torch.minimum((mel - left) / (centre - left), (right - mel) / (right - centre)).clamp(min=0.0)
    return F.pad(bank, (0, 1))


def kaldi_fbank(wave: Tensor, config: FbankConfig | None = None) -> Tensor:
    """wave [T] or [B, T] in [-1, 1] -> log energies [F, bins] or [B, F, bins], F = 1 + (T - frame) // shift.

    Raises ValueError when the wave is shorter than one frame.
    """
    config = config or FbankConfig()
    if wave.shape[-1] < config.frame:
        raise ValueError(f"wave of {wave.shape[-1]} samples is shorter than one frame of {config.frame}")
    with torch.autocast(wave.device.type, enabled=False):
        frames = wave.float().unfold(-1, config.frame, config.shift)
        frames = frames - frames.mean(-1, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        frames = frames - config.preemphasis * previous
        window = torch.hann_window(config.frame, periodic=False, device=wave.device).pow(0.85)
        power = torch.fft.rfft(frames * window, n=config.n_fft).abs().square()
        energies = power @ kaldi_mel_bank(config).to(wave.device).T
        out: Tensor = energies.clamp(min=torch.finfo(torch.float32).eps).log()
        return out
