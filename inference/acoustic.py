"""Codes -> audio with a voice's merged weights: prior and flow over the whole sentence, generator in chunks.

codes, phones, condition -> prior graph -> latent frames -> generator graph in pieces of about two seconds -> samples

Prior and flow cost little, so streaming runs them again over all codes so far. The generator's receptive field is
finite:
with that many frames of context on each side a chunk equals the same part of a decode at once. Short pieces also keep
the generator inside the processor's cache.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from safetensors.numpy import load_file

from inference.errors import VoiceError
from inference.exported_base import ExportedBase
from inference.session import open_session
from inference.voice import Delta, Voice

Floats = NDArray[np.float32]
CHUNK_S = 2.0
NOISE_SCALE = 0.5


@dataclass(frozen=True)
class Decoder:
    """Sessions of one voice: the base's own where the adapter leaves a graph untouched."""

    prior: ort.InferenceSession
    generator: ort.InferenceSession


class DecoderCache:
    """Merged decoders of the voices used last, at most `size` of them besides the base's own. Thread-safe."""

    def __init__(self, base: ExportedBase, *, profile: str = "fp32", threads: int = 1, size: int = 8) -> None:
        self._base = base
        self._profile = profile
        self._threads = threads
        self._size = size
        self._lock = threading.Lock()
        self._voices: OrderedDict[str, Decoder] = OrderedDict()
        self._plain = Decoder(self._open("prior", {}), self._open("generator", {}))
        self._weights: Mapping[str, Floats] = load_file(base.graph("weights")) if base.has("weights") else {}
        self.loads = 0

    def get(self, voice: Voice) -> Decoder:
        """The voice's decoder, merged on first use. Raises VoiceError when its adapter does not fit the base."""
        if not voice.acoustic:
            return self._plain
        with self._lock:
            found = self._voices.get(voice.key)
            if found is None:
                found = self._merge(voice)
                self._voices[voice.key] = found
                self.loads += 1
                while len(self._voices) > self._size:
                    self._voices.popitem(last=False)
            self._voices.move_to_end(voice.key)
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

    def _merge(self, voice: Voice) -> Decoder:
        merged: dict[str, dict[str, Floats]] = {"prior": {}, "generator": {}}
        for name, delta in voice.acoustic.items():
            initializer, weight = self._find(name, voice)
            graph = "generator" if name.startswith("dec.") else "prior"
            merged[graph][initializer] = _merged(weight, delta, initializer.endswith(".T"), f"{voice.key}: {name}")
        return Decoder(
            self._open("prior", merged["prior"]) if merged["prior"] else self._plain.prior,
            self._open("generator", merged["generator"]) if merged["generator"] else self._plain.generator,
        )

    def _find(self, name: str, voice: Voice) -> tuple[str, Floats]:
        for initializer in (name, f"{name}.T"):
            if initializer in self._weights:
                return initializer, self._weights[initializer]
        raise VoiceError(
            f"{voice.key}: its adapter changes {name!r}, which the exported base {self._base.name!r} cannot take",
            "load it with the base it was made for, or export the base again",
        )

    def _open(self, graph: str, replaced: Mapping[str, Floats]) -> ort.InferenceSession:
        return open_session(self._base.graph(graph, self._profile), threads=self._threads, replaced=replaced)


class Utterance:
    """The audio of one sentence, as its codes arrive.

    noise is drawn once per frame from the seed, so a frame sounds the same whenever it is decoded.
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
        noise_scale: float = NOISE_SCALE,
    ) -> None:
        self._base = base
        self._decoder = decoder
        self._phones = phones[None]
        self._condition = condition
        self._speed = speed
        self._scale = np.float32(noise_scale)
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

    def pieces(self, latent: Floats, start: int = 0, end: int | None = None) -> Iterator[Floats]:
        """Audio of the frames from start to end of a latent [1, L, T], in pieces [S] of about two seconds."""
        end = latent.shape[2] if end is None else end
        acoustic = self._base.acoustic
        if acoustic.generator_stateful or not acoustic.generator_context_frames:
            wave = self._generate(latent)
            yield wave[start * self._base.hop : end * self._base.hop]
            return
        context = acoustic.generator_context_frames
        size = max(1, round(CHUNK_S * self._base.rate_hz / self._base.hop))
        for first in range(start, end, size):
            last = min(first + size, end)
            low, high = max(0, first - context), min(latent.shape[2], last + context)
            wave = self._generate(latent[:, :, low:high])
            yield wave[(first - low) * self._base.hop : (last - low) * self._base.hop]

    def wave(self, codes: NDArray[np.int64]) -> Floats:
        """codes [N] -> all samples [S]."""
        return np.concatenate(list(self.pieces(self.latent(codes))))

    def _generate(self, latent: Floats) -> Floats:
        feeds = {"z": np.ascontiguousarray(latent), "condition": self._condition}
        return np.asarray(self._decoder.generator.run(None, feeds)[0][0], np.float32)

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
        return np.ascontiguousarray(delta.added_to(weight.T).T if transposed else delta.added_to(weight))
    except ValueError:
        raise VoiceError(
            f"{where}: adapter of shape {delta.down.shape} and {delta.up.shape} does not fit weight {weight.shape}",
            "load the voice with the base it was made for",
        ) from None
