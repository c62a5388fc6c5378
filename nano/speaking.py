"""The nano base speaking in torch: prompt and text -> codes -> wave, without export. For measuring a base in training.

The engine (inference/) does the same from exported graphs; what is served is measured there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from timbre.gptsovits.acoustic.spectrogram import Spectrogram, SpectrogramConfig
from timbre.gptsovits.acoustic.synthesizer import Reference, Synthesizer
from timbre.gptsovits.encoders.ge2e import Ge2e
from timbre.gptsovits.text_to_semantic.decoding import T2SRequest, generate
from timbre.gptsovits.text_to_semantic.network import TextToSemantic
from timbre.gptsovits.text_to_semantic.sampling import SamplingConfig
from timbre.nano.corpus import CONTENT_RATE_HZ, resampled
from timbre.text.frontend import phonemize
from timbre.text.phone_codes import CODES, TextPath
from timbre.text.phone_durations import Durations, TimedPath
from timbre.text.symbols import ids_of

Floats = npt.NDArray[np.float32]
CODES_PER_PHONE = 8
"""Decoding stops there and counts as cut off; no speaker takes longer."""

NANO_SAMPLING = SamplingConfig(top_k=5, top_p=1.0, temperature=0.6, repetition_penalty=1.0)
"""Nano's codes stand for phones, and phones come again: a penalty on codes heard before would forbid them. Sharpened to
a half, sounds last a little longer, and Mandarin gains by it; much sharpened, going on to the next sound is at each
code less likely than staying."""

NANO_SPREAD = 0.2
"""Of the lengths of sounds (text/phone_durations.py)."""


@dataclass(frozen=True)
class Prompt:
    """What a voice is conditioned on."""

    phones: Tensor
    """[P], of a clip; empty: none."""
    codes: Tensor
    """[N], of a clip; empty: none."""
    condition: Tensor
    """[1,G,1]."""


@dataclass(frozen=True)
class Spoken:
    """A spoken text."""

    wave: Floats
    """[S], at the base's rate."""
    codes: tuple[int, ...]
    """[N], from which the wave was made."""
    ended: bool
    """False when the limit cut it off."""


class TorchSpeaker:
    """codes_of: wave [T] at the base's rate -> codes [N]; ge2e: speaker encoder; prompt_codes: False lets a prompt
    condition the sound only, its codes and phones are not continued."""

    def __init__(
        self,
        t2s: TextToSemantic,
        synthesizer: Synthesizer,
        codes_of: Callable[[Floats], npt.NDArray[np.int64]],
        ge2e: Ge2e,
        sampling: SamplingConfig = NANO_SAMPLING,
        noise_scale: float = 0.2,
        prompt_codes: bool = True,
    ) -> None:
        self.t2s, self.synthesizer, self.codes_of, self.ge2e = t2s.eval(), synthesizer.eval(), codes_of, ge2e
        self.sampling, self.noise_scale, self.prompt_codes = sampling, noise_scale, prompt_codes
        config = synthesizer.config
        self.spectrogram = Spectrogram(SpectrogramConfig(config.rate_hz, config.fft_size, config.hop, config.fft_size))

    @torch.inference_mode()
    def condition(self, waves: Sequence[Floats]) -> Tensor:
        """Recordings [T] of one speaker -> condition [1,G,1]: the mean over the recordings."""
        return self.synthesizer.mean_condition(
            [
                Reference(
                    self.spectrogram(torch.from_numpy(wave).view(1, 1, -1)),
                    torch.from_numpy(self.speaker_vector(wave)).unsqueeze(0),
                )
                for wave in waves
            ]
        )

    def speaker_vector(self, wave: Floats) -> Floats:
        """Recording [T] at the base's rate -> GE2E vector [256]."""
        vector: Floats = self.ge2e.embed(resampled(wave, self.synthesizer.config.rate_hz, CONTENT_RATE_HZ))
        return vector

    @torch.inference_mode()
    def prompt(self, wave: Floats, text: str | None, language: str) -> Prompt:
        """A clip [T] at the base's rate with its text; text None: only its sound conditions the voice."""
        if text is None or not self.prompt_codes:
            empty = torch.zeros(0, dtype=torch.long)
            return Prompt(empty, empty, self.condition([wave]))
        phones = torch.tensor(ids_of(phonemize(text, language).phones))
        return Prompt(phones, torch.from_numpy(self.codes_of(wave).astype(np.int64)), self.condition([wave]))

    @torch.inference_mode()
    def speak(self, texts: Sequence[str], language: str, prompt: Prompt, seed: int = 0) -> list[Spoken]:
        """All texts in one batch."""
        wanted = [torch.tensor(ids_of(phonemize(text, language).phones)) for text in texts]
        follows = self.t2s.config.end_token == CODES
        requests = [
            T2SRequest(
                torch.cat([prompt.phones, phones]),
                prompt.codes,
                seed=seed + index,
                path=self._path(phones, seed + index) if follows else None,
            )
            for index, phones in enumerate(wanted)
        ]
        limit = CODES_PER_PHONE * max(len(phones) for phones in wanted) + 25
        results = generate(self.t2s, requests, self.sampling, max_codes=limit, min_codes=4)
        return [
            Spoken(
                self.render(result.codes, phones, prompt.condition, seed), tuple(result.codes.tolist()), result.ended
            )
            for result, phones in zip(results, wanted, strict=True)
        ]

    def _path(self, phones: Tensor, seed: int) -> TimedPath | None:
        path = TextPath.of(phones.tolist())
        if path is None:
            return None
        return TimedPath(path, Durations(np.random.default_rng(seed), NANO_SPREAD, self.sampling.temperature))

    @torch.inference_mode()
    def render(self, codes: Tensor, phones: Tensor, condition: Tensor, seed: int = 0) -> Floats:
        """codes [N], phones [P] -> wave [S], held within -1..1. A row without codes gives 0.1 s of
        silence."""
        if codes.numel() < 2:
            return np.zeros(self.synthesizer.config.rate_hz // 10, np.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            wave = self.synthesizer.decode(codes.view(1, 1, -1), phones.view(1, -1), condition, self.noise_scale)
        samples = wave.view(-1).float().cpu().numpy()
        peak = float(np.max(np.abs(samples)))
        return samples / peak if peak > 1.0 else samples

    @torch.inference_mode()
    def copy(self, wave: Floats) -> Floats:
        """Copy synthesis of a clip [T]: posterior mean -> generator, cut to whole frames."""
        hop = self.synthesizer.config.hop
        samples = torch.from_numpy(np.ascontiguousarray(wave[: len(wave) // hop * hop])).view(1, 1, -1)
        spectrum = self.spectrogram(samples)
        assert self.synthesizer.enc_q is not None
        condition = self.condition([wave])
        mask = torch.ones_like(spectrum[:, :1])
        latent = self.synthesizer.enc_q(spectrum, mask, condition, 0.0).mean
        return self.synthesizer.dec(latent, condition).view(-1).numpy()
