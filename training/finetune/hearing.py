"""What is heard of speech from codes: whose voice it is, and what it says.

a piece of the expected latents -> wave -> GE2E, content encoder, phone head -> terms

Latents may come nearer to the recorded ones while words get lost and the voice stays the base's: most of their distance
is neither. Encoders that hear the wave tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import resample

from timbre.core.base import Base
from timbre.gptsovits.acoustic.configuration import SynthesizerConfig
from timbre.gptsovits.acoustic.generator_source_istft import SourceIstftGenerator
from timbre.gptsovits.acoustic.masking import slice_rows
from timbre.gptsovits.acoustic.synthesizer import Synthesizer
from timbre.gptsovits.encoders.ge2e import RATE_HZ
from timbre.gptsovits.files.base_networks import load_content_encoder, load_recogniser
from timbre.training.finetune.data import VoiceData
from timbre.training.speaker_consistency import PARTIAL_S, SpeakerConsistency
from timbre.training.spectral_losses import standardised_distance


@dataclass(frozen=True)
class HearingWeights:
    """Weights of the terms, from the recipe; 0: the term is not computed."""

    speaker: float = 0.0
    """Of 1 - cosine to the voice's mean GE2E vector."""
    content: float = 0.0
    """Of the distance from what the content encoder and the phone head hear of the recording."""


def hears(config: SynthesizerConfig, weights: HearingWeights) -> bool:
    """Whether speech from codes is made and heard in training."""
    return config.harmonic_source is not None and max(weights.speaker, weights.content) > 0


class Hearing:
    """Not a module: what it holds is neither trained nor stored."""

    def __init__(
        self,
        weights: HearingWeights,
        data: VoiceData,
        config: SynthesizerConfig,
        device: torch.device,
        encoder: nn.Module | None = None,
        head: nn.Module | None = None,
    ) -> None:
        """encoder: waves [B,T] at 16 kHz -> ``last_hidden_state`` [B,T//320,W]; head: [B,T,W] -> phones [B,T,K]."""
        self.weights, self.rate_hz, self.hop = weights, config.rate_hz, config.hop
        self.frames = math.ceil(PARTIAL_S * config.rate_hz / config.hop)
        level = float(torch.cat([row.wave for row in data.training]).square().mean().sqrt())
        self.consistency = SpeakerConsistency(config.rate_hz, device, level) if weights.speaker > 0 else None
        self.encoder = None if encoder is None else encoder.eval().requires_grad_(False).to(device)
        self.head = None if head is None else head.eval().requires_grad_(False).to(device)
        mean = torch.stack([row.ge2e.float() for row in data.training]).mean(0, keepdim=True)
        self.wanted = functional.normalize(mean, dim=1).to(device)

    @classmethod
    def of(
        cls,
        base: Base,
        weights_root: Path | None,
        weights: HearingWeights,
        data: VoiceData,
        config: SynthesizerConfig,
        device: torch.device,
    ) -> Hearing | None:
        """With the base's own encoders; None where all weights are 0 or the base's generator has no harmonic source,
        whose speech from codes is not made in training."""
        if not hears(config, weights):
            return None
        listens = weights.content > 0
        return cls(
            weights, data, config, device,
            load_content_encoder(base, weights_root) if listens else None,
            load_recogniser(base, weights_root) if listens else None,
        )  # fmt: skip

    def terms(
        self,
        network: Synthesizer,
        expected: Tensor,
        recorded: Tensor,
        lengths: Tensor,
        starts: Tensor,
        condition: Tensor,
    ) -> dict[str, Tensor]:
        """Weighted terms of a piece of each row, ``frames`` long or as long as the batch. expected [B,C,T] with a
        graph, recorded waves [B,1,T*hop], lengths [B] and first frames of the pieces [B], condition [B,G,1]."""
        assert isinstance(network.dec, SourceIstftGenerator)
        size = min(self.frames, expected.shape[2])
        pieces = slice_rows(expected, starts, size)
        wave = network.dec.synthesise(*network.dec.polar(pieces, condition), 0).float()
        found = {}
        if self.consistency is not None:
            seconds = wave.shape[2] / self.rate_hz
            each = [seconds * min(1.0, count / size) for count in lengths.tolist()]
            found["speaker"] = self.weights.speaker * self.consistency.loss(wave, each, self.wanted)
        if self.encoder is not None:
            there = torch.arange(size, device=wave.device) < lengths.clamp(max=size).view(-1, 1)
            target = slice_rows(recorded, starts * self.hop, size * self.hop)
            found["content"] = self.weights.content * self._content(wave, target, there)
        return found

    def _content(self, wave: Tensor, target: Tensor, there: Tensor) -> Tensor:
        """Distance of hidden states in their spreads, plus the divergence of phones; there bool [B,T] of frames."""
        said = self._hear(wave)
        with torch.no_grad():
            real = self._hear(target)
        frames = min(said.shape[1], there.shape[1])
        said, real, there = said[:, :frames], real[:, :frames], there[:, :frames]
        distance = standardised_distance([said], [real], there.unsqueeze(2))
        if self.head is None:
            return distance
        phones, wanted = (functional.log_softmax(self.head(item[there]), dim=-1) for item in (said, real))
        return distance + functional.kl_div(phones, wanted, log_target=True, reduction="batchmean")

    def _hear(self, wave: Tensor) -> Tensor:
        assert self.encoder is not None
        with torch.autocast(wave.device.type, enabled=False):
            found: Tensor = self.encoder(resample(wave[:, 0].float(), self.rate_hz, RATE_HZ)).last_hidden_state
        return found
