"""Whether the one who speaks is the one who was recorded: the speaker consistency loss (Casanova et al. 2022, YourTTS).

waves [B,1,L] -> partials of 1.6 s at 16 kHz -> GE2E -> unit vectors [B,256] -> 1 - cosine to those of recordings

GE2E hears how loud a wave is: 8 dB are worth .04 of its cosine. Brought to the level of the recordings, a wave gains
nothing by being louder.

Distances of spectra and latents average over everything that a voice might have said and move it to the middle of all
speakers; this one asks for its owner. The encoder's weights stay as they are. GE2E then judges the result kindly:
compare with another speaker encoder as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchaudio.functional import resample

from timbre.gptsovits.encoders.ge2e import HOP_SAMPLES, PARTIAL_FRAMES, RATE_HZ, TARGET_DBFS, load_ge2e, partials

PARTIAL_S = PARTIAL_FRAMES * HOP_SAMPLES / RATE_HZ
_LEVEL = 10 ** (TARGET_DBFS / 20)
"""Root mean square that quieter waves are brought to, as GE2E has it."""
_SILENCE = 1e-6
_MOST_RAISED = 4.0
"""A piece that is mostly a pause stays quiet."""


class SpeakerConsistency:
    """Not a module: what it holds is neither trained nor stored with a checkpoint."""

    def __init__(self, rate_hz: int, device: torch.device, level: float | None = None) -> None:
        """rate_hz: of the waves. level: root mean square that each of them is brought to, None: heard as loud as it
        is. Raises ConfigurationError without GE2E's weights."""
        self.rate_hz, self.level = rate_hz, level
        # Without dropout or batch norms train() changes nothing but what cuDNN allows: gradients through the LSTM.
        self.encoder = load_ge2e(device=str(device)).train()

    def vectors(self, wave: Tensor, seconds: Sequence[float]) -> Tensor:
        """wave [B,1,L], seconds of each row that count -> unit vectors [B,256]."""
        with torch.autocast(wave.device.type, enabled=False):
            return self._vectors(wave[:, 0].float(), seconds)

    def _vectors(self, waves: Tensor, seconds: Sequence[float]) -> Tensor:
        windows = []
        for row, length in zip(waves, seconds, strict=True):
            heard = resample(row[: round(length * self.rate_hz)], self.rate_hz, RATE_HZ)
            if self.level is not None:
                heard = heard * (self.level / _rms(heard)).clamp(max=_MOST_RAISED)
            windows.append(partials(heard * (_LEVEL / _rms(heard.detach())).clamp(min=1.0)))
        found = self.encoder(torch.cat(windows)).split([len(item) for item in windows])
        return functional.normalize(torch.stack([part.mean(0) for part in found]), dim=1)

    def loss(self, wave: Tensor, seconds: Sequence[float], wanted: Tensor) -> Tensor:
        """wave [B,1,L] with a graph, seconds of each row that count, unit vectors of recordings [B,256] or [1,256] ->
        1 - cosine, mean over the rows."""
        return 1.0 - (self.vectors(wave, seconds) * wanted).sum(1).mean()


def _rms(wave: Tensor) -> Tensor:
    return wave.square().mean().sqrt().clamp(min=_SILENCE)
