"""Whisper as a critic of what the prior expects: how it would write a sentence down, and what its encoder hears.

waves spoken and recorded [B,1,L] -> log mel bands [B,80,2T] -> encoder [B,T,W] -> decoder, over the text's tokens

A distance of spectra asks for the recorded moment of every burst, which no text tells, and gets an average of all
moments. A recogniser that was trained on anything from telephones to lectures hears the same word in both: what is
spoken is to be written down as the recording would be (Hinton et al. 2015), right or wrong. Its weights are needed
for this training only and stay as they are. The same Whisper then judges the result kindly: hear it
with another recogniser as well.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from timbre.core.errors import ConfigurationError
from timbre.training.spectral_losses import standardised_distance

BANDS = 80
HIGHEST_HZ = 8000.0
SILENCE = -12.0
"""Decades of what is no sound."""
AFTER_FRAMES = 50
"""Frames of 20 ms of silence after each sentence. Without them Whisper's next token of recordings is right in 60 of 100
places instead of 75 (Kathleen): it was trained on windows of 30 s and waits for the end. More does not help.
"""
RANGE = 8.0
"""Decades below the loudest band that Whisper is given."""
WINDOW_SECONDS = 0.025
"""Length of Whisper's Hann windows."""
HARMONICS_HZ = (2500.0, 4000.0)
"""Harmonics fade between the two."""
HARMONIC_LAGS = 10
"""Periods of the voice that a window may hold: 400 Hz."""
HIGHEST_F0_HZ = HARMONIC_LAGS / WINDOW_SECONDS
LOWEST_F0_HZ = 50.0
VALLEY = 0.02
"""Least factor of the power between two harmonics."""
PROMPT = ("<|startoftranscript|>", "<|{language}|>", "<|transcribe|>", "<|notimestamps|>")
END = "<|endoftext|>"
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_FORMAT = 6


def check_model(folder: Path) -> None:
    """Raises ConfigurationError where a file of the model is missing."""
    for name in ("model.bin", "tokenizer.json"):
        if not (folder / name).is_file():
            raise ConfigurationError(
                f"--whisper or TIMBRE_WHISPER: {folder} has no {name}",
                remedy="name a folder with model.bin and tokenizer.json",
            )


def read_ctranslate2(path: Path) -> dict[str, Tensor]:
    """Variables of a CTranslate2 ``model.bin`` of format 6 by name, floats as float32. Raises ConfigurationError."""
    data = path.read_bytes()
    place = 0

    def take(layout: str) -> Any:
        nonlocal place
        value = struct.unpack_from("<" + layout, data, place)
        place += struct.calcsize("<" + layout)
        return value if len(value) != 1 else value[0]

    def text() -> str:
        return bytes(take(f"{take('H')}s")).rstrip(b"\0").decode()

    remedy = "give a folder with model.bin and tokenizer.json, as faster-whisper keeps it"
    found: dict[str, Tensor] = {}
    try:
        version = take("I")
        if version != _FORMAT:
            raise ConfigurationError(f"{path}: format {version}, the limit is {_FORMAT}", remedy=remedy)
        kind, _, count = text(), take("I"), take("I")
        if kind != "WhisperSpec":
            raise ConfigurationError(f"{path}: a model of kind {kind!r}, not WhisperSpec", remedy=remedy)
        for _ in range(count):
            name, rank = text(), take("B")
            shape = [take("I") for _ in range(rank)]
            number, size = take("B"), take("I")
            values = np.frombuffer(data, _TYPES[number], size // np.dtype(_TYPES[number]).itemsize, place)
            place += size
            tensor = torch.from_numpy(values.reshape(shape).copy())
            found[name] = tensor.float() if tensor.is_floating_point() else tensor
    except (struct.error, KeyError, ValueError) as error:
        raise ConfigurationError(f"{path}: no CTranslate2 model: {error}", remedy=remedy) from error
    return found


def harmonics(frequencies: Tensor, f0: Tensor, voicing: Tensor) -> Tensor:
    """Factor of the power of a voice under Whisper's windows: frequencies [F] and f0 [B,T] in Hz, voicing [B,T] from 0
    to 1 -> [B,F,T].

    A pulse train of period P under a window w has the mean power 1 + 2 sum over n of r(nP) cos(2 pi f n P), where r is
    the autocorrelation of w: high voices resolve into harmonics, low ones hardly do.
    """
    period = 1.0 / f0.clamp(LOWEST_F0_HZ, HIGHEST_F0_HZ)
    turn = torch.cos(2 * math.pi * frequencies.view(1, -1, 1) * period.unsqueeze(1))
    low, high = HARMONICS_HZ
    fading = ((high - frequencies) / (high - low)).clamp(0.0, 1.0).view(1, -1, 1)
    total, last, before = torch.zeros_like(turn), turn, torch.ones_like(turn)
    for number in range(1, HARMONIC_LAGS + 1):
        lag = number * period / WINDOW_SECONDS
        likeness = (1 - lag) * (2 + torch.cos(2 * math.pi * lag)) / 3 + torch.sin(2 * math.pi * lag) / (2 * math.pi)
        total = total + torch.where(lag < 1, likeness, 0.0).unsqueeze(1) * last
        last, before = 2 * turn * last - before, last
    return (1 + 2 * fading * voicing.unsqueeze(1) * total).clamp(min=VALLEY)


class Attention:
    """Attention with the joined matrices of CTranslate2."""

    def __init__(self, weights: dict[str, Tensor], name: str, heads: int) -> None:
        self.weights, self.name, self.heads = weights, name, heads

    def _linear(self, value: Tensor, number: int) -> Tensor:
        name = f"{self.name}/linear_{number}"
        return functional.linear(value, self.weights[f"{name}/weight"], self.weights[f"{name}/bias"])

    def _rows(self, value: Tensor) -> Tensor:
        return value.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def itself(self, value: Tensor, causal: bool) -> Tensor:
        """[B,T,W] -> [B,T,W]."""
        query, key, content = map(self._rows, self._linear(value, 0).chunk(3, -1))
        found = functional.scaled_dot_product_attention(query, key, content, is_causal=causal)
        return self._linear(found.transpose(1, 2).flatten(2), 1)

    def other(self, value: Tensor, heard: Tensor, there: Tensor) -> Tensor:
        """[B,U,W] over heard [B,T,W] where there [B,1,1,T] is true."""
        query = self._rows(self._linear(value, 0))
        key, content = map(self._rows, self._linear(heard.to(query.dtype), 1).chunk(2, -1))
        found = functional.scaled_dot_product_attention(query, key, content, attn_mask=there)
        return self._linear(found.transpose(1, 2).flatten(2), 2)


@dataclass(frozen=True)
class EarShares:
    """How strongly Whisper pulls at the expected latents, against the gradient of the spectral distance (1)."""

    written: float = 1.5
    """To be written down as the recording would be (and, at ``right``, as the text)."""
    right: float = 0.3
    """Of the loss of ``written``: factor of the cross entropy of the true text."""
    encoded: float = 0.5
    """To have a recording's features in the encoder's layers."""


class WhisperEar:
    """Not a module: what it holds is neither trained nor stored with a checkpoint."""

    def __init__(self, folder: Path, rate_hz: int, device: torch.device, shares: EarShares | None = None) -> None:
        """folder: of a CTranslate2 Whisper (model.bin, tokenizer.json); rate_hz: of the waves."""
        check_model(folder)
        self.shares = shares or EarShares()
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.weights = {name: value.to(device) for name, value in read_ctranslate2(folder / "model.bin").items()}
        self.heads = {part: int(self.weights[f"{part}/num_heads"]) for part in ("encoder", "decoder")}
        self.layers = {
            part: sum(
                name.startswith(f"{part}/layer_") and name.endswith("/ffn/linear_0/bias") for name in self.weights
            )
            for part in ("encoder", "decoder")
        }
        self.listen_at(rate_hz, device)

    def listen_at(self, rate_hz: int, device: torch.device) -> None:
        """Windows and bands for waves of that rate."""
        self.window, self.hop = torch.hann_window(round(rate_hz * WINDOW_SECONDS), device=device), rate_hz // 100
        bins = self.window.numel() // 2 + 1
        self.frequencies = torch.linspace(0.0, rate_hz / 2, bins, device=device)
        self.bands = melscale_fbanks(bins, 0.0, HIGHEST_HZ, BANDS, rate_hz, "slaney", "slaney").T.to(device)

    def view(self, wave: Tensor, mask: Tensor, pitch: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """wave [B,1,L], mask [B,1,T] of its frames of 20 ms -> what Whisper is given, silence at its end
        [B,80,2(T+AFTER_FRAMES)].

        pitch: voicing (0 to 1) and F0 in Hz, [B,T] each, that the wave was made with. They get the gradient that the
        harmonics of such a voice would have; the generator itself gives them none.
        """
        spectrum = torch.stft(
            wave[:, 0].float(), self.window.numel(), self.hop, window=self.window, return_complex=True
        )[..., : 2 * mask.shape[2]]
        power = self._decades(spectrum.real.square() + spectrum.imag.square())
        if pitch is not None:
            voicing, f0 = (
                functional.interpolate(value.unsqueeze(1), scale_factor=2.0, mode="linear")[:, 0] for value in pitch
            )
            sounding = self._decades(harmonics(self.frequencies, f0, voicing))
            power = power + sounding - sounding.detach()
        after = (0, 2 * AFTER_FRAMES)
        there = functional.pad(mask.repeat_interleave(2, dim=2), after)
        power = functional.pad(power, after) * there + SILENCE * (1 - there)
        return (torch.maximum(power, power.amax((1, 2), keepdim=True) - RANGE) + 4) / 4

    def _decades(self, power: Tensor) -> Tensor:
        return (self.bands @ power).clamp(min=1e-12).log10()

    def encode(self, view: Tensor) -> list[Tensor]:
        """[B,80,2T] -> what each layer but the first says, [B,T,W]."""
        weights = self.weights
        hidden = view
        for name, stride in (("conv1", 1), ("conv2", 2)):
            weight, bias = weights[f"encoder/{name}/weight"], weights[f"encoder/{name}/bias"]
            hidden = functional.gelu(functional.conv1d(hidden, weight, bias, stride, padding=1))
        hidden = hidden.transpose(1, 2)
        hidden = hidden + weights["encoder/position_encodings/encodings"][: hidden.shape[1]]
        said = []
        for number in range(self.layers["encoder"]):
            name = f"encoder/layer_{number}"
            attention = Attention(weights, f"{name}/self_attention", self.heads["encoder"])
            hidden = hidden + attention.itself(self._norm(hidden, f"{name}/self_attention/layer_norm"), False)
            hidden = hidden + self._forward(hidden, name)
            said.append(hidden)
        return said[1:]

    def decode(self, tokens: Tensor, encoded: Tensor, there: Tensor) -> Tensor:
        """tokens int64 [B,U], encoded: the last layer's [B,T,W], there bool [B,T] -> logits [B,U,V]."""
        weights = self.weights
        heard = self._norm(encoded, "encoder/layer_norm")
        table = weights["decoder/embeddings/weight"]
        hidden = table[tokens] + weights["decoder/position_encodings/encodings"][: tokens.shape[1]]
        for number in range(self.layers["decoder"]):
            name = f"decoder/layer_{number}"
            itself = Attention(weights, f"{name}/self_attention", self.heads["decoder"])
            hidden = hidden + itself.itself(self._norm(hidden, f"{name}/self_attention/layer_norm"), True)
            other = Attention(weights, f"{name}/attention", self.heads["decoder"])
            normed = self._norm(hidden, f"{name}/attention/layer_norm")
            hidden = hidden + other.other(normed, heard, there[:, None, None, :])
            hidden = hidden + self._forward(hidden, name)
        return functional.linear(self._norm(hidden, "decoder/layer_norm"), table)

    def push(
        self, recorded: Tensor, expected: Tensor, mask: Tensor, texts: Sequence[str], languages: Sequence[str]
    ) -> dict[str, tuple[Tensor, float]]:
        """Views, the expected one with a graph; mask [B,1,T] of the latents -> (loss, share) by name, for
        ``spectrum_critics.joined_gradient``."""
        given, wanted, counted = self.tokens(texts, languages)
        mask = functional.pad(mask, (0, AFTER_FRAMES))
        there = torch.arange(mask.shape[2], device=mask.device) < mask.sum((1, 2)).view(-1, 1) + AFTER_FRAMES
        with torch.autocast(expected.device.type, torch.bfloat16):
            with torch.no_grad():
                real = self.encode(recorded)
                as_recorded = self.decode(given, real[-1], there)[counted].float()
            said = self.encode(expected)
            as_expected = self.decode(given, said[-1], there)[counted].float()
        found = functional.log_softmax(as_expected, dim=1)
        copied = functional.kl_div(
            found, functional.log_softmax(as_recorded, dim=1), log_target=True, reduction="batchmean"
        )
        right = functional.nll_loss(found, wanted[counted])
        return {
            "written": (copied + self.shares.right * right, self.shares.written),
            "encoded": (standardised_distance(said, real, mask.transpose(1, 2)), self.shares.encoded),
        }

    def tokens(self, texts: Sequence[str], languages: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """(given int64 [B,U], wanted int64 [B,U], bool [B,U]: of the text or its end)."""
        device = self.bands.device
        rows = []
        for text, language in zip(texts, languages, strict=True):
            begin = [self._token(name.format(language=language)) for name in PROMPT]
            spaced = text if language == "zh" else f" {text}"
            rows.append([*begin, *self.tokenizer.encode(spaced, add_special_tokens=False).ids, self._token(END)])
        table = torch.full((len(rows), max(map(len, rows))), self._token(END), device=device)
        counted = torch.zeros(table.shape, dtype=torch.bool, device=device)
        for place, row in enumerate(rows):
            table[place, : len(row)] = torch.tensor(row, device=device)
            counted[place, len(PROMPT) : len(row)] = True
        return table[:, :-1], table[:, 1:], counted[:, 1:]

    def _token(self, name: str) -> int:
        number = self.tokenizer.token_to_id(name)
        if number is None:
            raise ConfigurationError(
                f"tokenizer.json: it has no token {name}", remedy="use a multilingual Whisper that knows the language"
            )
        return int(number)

    def _norm(self, value: Tensor, name: str) -> Tensor:
        gamma, beta = self.weights[f"{name}/gamma"], self.weights[f"{name}/beta"]
        return functional.layer_norm(value, gamma.shape, gamma, beta)

    def _forward(self, value: Tensor, name: str) -> Tensor:
        weights = self.weights
        hidden = self._norm(value, f"{name}/ffn/layer_norm")
        hidden = functional.linear(hidden, weights[f"{name}/ffn/linear_0/weight"], weights[f"{name}/ffn/linear_0/bias"])
        return functional.linear(
            functional.gelu(hidden), weights[f"{name}/ffn/linear_1/weight"], weights[f"{name}/ffn/linear_1/bias"]
        )
