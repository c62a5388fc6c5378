"""Codes -> audio with a voice's merged weights: prior and flow over the whole sentence, then the generator.

codes, phones, condition -> prior graph -> latent frames -> pieces (inference/pieces.py) -> samples

Prior and flow cost little, so streaming runs them again over all codes so far.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timbre.inference.engine_settings import DECODER_BYTES
from timbre.inference.errors import VoiceError
from timbre.inference.exported_base import ExportedBase
from timbre.inference.open_graphs import VoiceGraphs, open_voice_graphs
from timbre.inference.pieces import pieces_of
from timbre.inference.voice import Delta, Voice
from timbre.inference.voice_graph import VoiceGraph

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Decoder:
    """Sessions of one voice: the base's own where the adapter leaves a graph untouched."""

    prior: VoiceGraph
    """Codes, phones and condition to latent; knows nothing of streaming."""
    generator: VoiceGraph
    """Latent and condition to samples, a piece at a time."""

    @property
    def size_bytes(self) -> int:
        """Memory that the voice takes beside the base."""
        return self.prior.size_bytes + self.generator.size_bytes


class DecoderCache:
    """Merged decoders of the voices used last besides the base's own: at most `size` of them and, from two on, at most
    `size_bytes` together. Thread-safe.
    """

    def __init__(
        self,
        base: ExportedBase,
        graphs: VoiceGraphs | None = None,
        *,
        size: int = 8,
        size_bytes: int = DECODER_BYTES,
    ) -> None:
        """graphs: of the base; None to open those of the profile fp32 here."""
        self._base = base
        self._size, self._size_bytes = size, size_bytes
        self._lock = threading.Lock()
        self._voices: OrderedDict[str, Decoder] = OrderedDict()
        self._merging: dict[str, Future[Decoder]] = {}
        opened = graphs or open_voice_graphs(base)
        self._prior, self._generator, self._weights = opened.prior, opened.generator, opened.weights
        self._plain = Decoder(self._prior.plain, self._generator.plain)
        self.loads = 0

    def get(self, voice: Voice) -> Decoder:
        """The voice's decoder, merged on first use. Raises VoiceError when its adapter does not fit the base."""
        if not voice.acoustic:
            return self._plain
        with self._lock:
            found = self._voices.get(voice.key)
            if found is not None:
                self._voices.move_to_end(voice.key)
                return found
            merging = self._merging.get(voice.key)
            if merging is None:
                promised = self._merging[voice.key] = Future()
        if merging is not None:
            return merging.result()
        # Outside the lock: voices that are merged already never wait for a new one.
        try:
            found = self._merge(voice)
        except BaseException as error:
            with self._lock:
                del self._merging[voice.key]
            promised.set_exception(error)
            raise
        with self._lock:
            del self._merging[voice.key]
            self._voices[voice.key] = found
            self.loads += 1
            while len(self._voices) > self._size or (len(self._voices) > 1 and self._held_bytes() > self._size_bytes):
                self._voices.popitem(last=False)
        promised.set_result(found)
        return found

    def forget(self, voice_key: str) -> None:
        """Drops a voice's decoder; requests that hold it finish with it."""
        with self._lock:
            self._voices.pop(voice_key, None)

    @property
    def held(self) -> list[str]:
        """Keys of the voices in the cache, least recently used first."""
        with self._lock:
            return list(self._voices)

    def _held_bytes(self) -> int:
        return sum(decoder.size_bytes for decoder in self._voices.values())

    def _merge(self, voice: Voice) -> Decoder:
        merged: dict[str, dict[str, Floats]] = {"prior": {}, "generator": {}}
        for name, delta in voice.acoustic.items():
            initializer, weight = self._find(name, voice)
            graph = "generator" if name.startswith("dec.") else "prior"
            merged[graph][initializer] = _merged(weight, delta, initializer.endswith(".T"), f"{voice.key}: {name}")
        return Decoder(self._prior.with_weights(merged["prior"]), self._generator.with_weights(merged["generator"]))

    def _find(self, name: str, voice: Voice) -> tuple[str, Floats]:
        for initializer in (name, f"{name}.T"):
            if initializer in self._weights:
                return initializer, self._weights[initializer]
        raise VoiceError(
            f"{voice.key}: its adapter changes {name!r}, which the exported base {self._base.name!r} cannot take",
            "load it with the base it was made for, or export the base again",
        )


class Utterance:
    """The audio of one sentence, as its codes arrive.

    noise is drawn once per frame from the seed, so a frame sounds the same whenever it is decoded. noise_scale: None
    for the base's own. gain: factor on every sample.
    """

    def __init__(
        self,
        base: ExportedBase,
        decoder: Decoder,
        phones: NDArray[np.int64],
        condition: Floats,
        *,
        seed: int,
        speed: float = 1.0,
        noise_scale: float | None = None,
        gain: float = 1.0,
    ) -> None:
        self._base = base
        self._decoder = decoder
        self._phones = phones[None]
        self._condition = condition
        self._speed = speed
        self._gain = np.float32(gain)
        self._scale = np.float32(base.speaking.noise_scale if noise_scale is None else noise_scale)
        self._pieces = pieces_of(base, decoder.generator, condition)
        self._random = np.random.default_rng(seed)
        self._noise = np.zeros((base.acoustic.latent, 0), np.float32)

    def latent(self, codes: NDArray[np.int64]) -> Floats:
        """codes [N] -> latent frames [1, L, T] with T = N * frames_per_code at speed 1."""
        frames = len(codes) * self._base.frames_per_code
        left, blend = resampling(frames, self._speed)
        feeds = {
            "codes": codes[None],
            "phones": self._phones,
            "condition": self._condition,
            "left": left,
            "blend": blend,
            "noise": self._noise_for(len(left)),
        }
        return np.asarray(self._decoder.prior.run(None, feeds)[0], np.float32)

    def next_piece(self, latent: Floats, end: int | None = None) -> Floats:
        """Samples of the frames of a latent up to `end` that were not given yet; see timbre.inference.pieces."""
        samples = self._pieces.next(latent, end)
        return samples if self._gain == 1.0 else samples * self._gain

    def wave(self, codes: NDArray[np.int64]) -> Floats:
        """codes [N] -> all samples [S]."""
        return self.next_piece(self.latent(codes))

    def _noise_for(self, frames: int) -> Floats:
        while self._noise.shape[1] < frames:
            more = self._random.standard_normal((50, self._noise.shape[0]), np.float32).T
            self._noise = np.concatenate([self._noise, more], axis=1)
        return np.ascontiguousarray(self._noise[None, :, :frames] * self._scale)


def resampling(frames: int, speed: float) -> tuple[NDArray[np.int64], Floats]:
    """left int64 [T], blend f32 [T] that stretch `frames` encoder frames for a speed (above 1 is faster).

    At speed 1 nothing changes; else T = int(frames / speed) + 1 frames by linear interpolation with half-pixel
    centres, as upstream resamples.
    """
    if speed == 1.0:
        return np.arange(frames, dtype=np.int64), np.zeros(frames, np.float32)
    count = int(frames / speed) + 1
    place = np.clip((np.arange(count, dtype=np.float64) + 0.5) * (frames / count) - 0.5, 0, frames - 1)
    left = np.floor(place).astype(np.int64)
    return left, (place - left).astype(np.float32)


def _merged(weight: Floats, delta: Delta, transposed: bool, where: str) -> Floats:
    try:
        return delta.added_to(weight, transposed=transposed)
    except ValueError:
        raise VoiceError(
            f"{where}: adapter of shape {delta.down.shape} and {delta.up.shape} does not fit weight {weight.shape}",
            "load the voice with the base it was made for",
        ) from None
