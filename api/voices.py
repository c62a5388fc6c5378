"""Published voices: registry -> package and exported base -> engine -> sound.

Needs no torch when the registry holds the exported base.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from timbre.audio.waveform import Waveform
from timbre.core.base import Base, load_base
from timbre.core.errors import InputError
from timbre.core.progress import Progress, SilentProgress
from timbre.inference.device import CPU
from timbre.inference.engine import Engine
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.profiles import AUTO, chosen_profile
from timbre.inference.request import SpeechRequest, SpeechStream
from timbre.inference.sampling import Sampling
from timbre.inference.scripted import SpokenTurn, marked_turns, speak_turns
from timbre.inference.voice import Voice, load_voice
from timbre.pipeline.bases.exported import exported_for
from timbre.pipeline.release.speaking import save
from timbre.pipeline.release.targets import check_target
from timbre.registry.address import RegistryAddress
from timbre.registry.names import split_reference
from timbre.registry.open import open_registry as open_store_of


@dataclass(frozen=True)
class Utterance:
    """A spoken text."""

    wave: Waveform
    """float32 mono samples and their rate."""
    failures: tuple[str, ...]
    """What went wrong with single sentences, in words; empty when all were spoken well."""
    unknown: tuple[str, ...]
    """Characters that the voice's language cannot speak."""

    def save(self, path: str | Path) -> None:
        """Writes a .wav or .flac file, whole or not at all. Raises InputError for another suffix, OSError."""
        check_target(Path(path))
        save(Path(path), self.wave)


class LoadedVoice:
    """One version of a voice, ready to speak; made by VoiceRegistry.load and usable until that is closed."""

    def __init__(self, name: str, version: str, voice: Voice, engine: Engine) -> None:
        self.name = name
        self.version = version
        self._voice, self._engine = voice, engine

    @property
    def rate_hz(self) -> int:
        """Sample rate of everything it speaks."""
        return self._engine.base.rate_hz

    def speak(
        self, text: str, *, language: str = "auto", speed: float = 1.0, seed: int | None = None, **sampling: Any
    ) -> Utterance:
        """The whole text. sampling: temperature, top_k, top_p and repetition_penalty where the base's are not wanted.

        text: plain, with marks, or SSML (docs/server.md); other voices cannot be called for. Raises TextError, an
        InputError, for a text that cannot be spoken or a language that the base does not speak.
        """
        turns = _turns(_request(text, language, speed, seed, sampling))
        found = speak_turns(turns, lambda _, request: self._engine.speak(request, self._voice))
        failures = tuple(f"{item.text!r}: {reason}" for item in found.sentences for reason in item.failures)
        return Utterance(found.wave, failures, found.unknown)

    def stream(
        self, text: str, *, language: str = "auto", speed: float = 1.0, seed: int | None = None, **sampling: Any
    ) -> SpeechStream:
        """The text in pieces (Waveforms) while it is spoken; arguments and errors as in `speak`. Closing it stops.

        A text whose rate or language changes by marks is spoken by `speak` alone.
        """
        turns = _turns(_request(text, language, speed, seed, sampling))
        if len(turns) > 1:
            raise InputError(f"text: its marks make {len(turns)} turns of it", "use speak, or stream turn by turn")
        return self._engine.stream(turns[0].request, self._voice)


class VoiceRegistry:
    """A registry whose voices this program speaks with. One engine for each base and profile; a context manager."""

    def __init__(
        self,
        address: RegistryAddress,
        cache: Path,
        profile: str,
        progress: Progress,
        find_base: Callable[[str], Base],
    ) -> None:
        self._address, self._registry = address, open_store_of(address)
        self._cache, self._profile, self._progress = cache, profile, progress
        self._find_base = find_base
        self._engines: dict[tuple[str, str], Engine] = {}

    def names(self) -> list[str]:
        """Names of the voices, sorted."""
        return sorted(self._registry.voices())

    def load(self, reference: str) -> LoadedVoice:
        """A voice that is ready to speak. reference: VOICE (its production version), VOICE@ALIAS or VOICE@VERSION.

        Raises NotFoundError for a voice, alias or version that is not there, RevokedError for a withdrawn voice,
        CorruptError for damaged files and ConfigurationError when the exported base cannot be had.
        """
        manifest = self._registry.resolve(*split_reference(reference))
        name = manifest.voice
        profile = chosen_profile(self._profile, manifest.int8_passed, CPU)
        engine = self._engine(manifest.base, manifest.base_digest, profile)
        with tempfile.TemporaryDirectory(prefix="timbre-") as folder:
            self._registry.fetch(manifest, Path(folder))
            voice = load_voice(Path(folder), engine.base, name=name, version=manifest.version)
        return LoadedVoice(name, manifest.version, voice, engine)

    def close(self) -> None:
        """Ends every engine; voices that were loaded cannot speak any more."""
        engines, self._engines = list(self._engines.values()), {}
        for engine in engines:
            engine.close()

    def __enter__(self) -> VoiceRegistry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _engine(self, name: str, digest: str, profile: str) -> Engine:
        if (digest, profile) not in self._engines:
            exported = exported_for(
                name, digest, self._cache, self._address, progress=self._progress, find_base=self._find_base
            )
            self._engines[digest, profile] = Engine(exported, EngineSettings(profile=profile))
        return self._engines[digest, profile]


def open_registry(
    address: str | Path, *, cache: str | Path | None = None, profile: str = AUTO, progress: Progress | None = None
) -> VoiceRegistry:
    """The registry at a path or URL.

    cache: folder for exported bases, None for ~/.cache/timbre; profile: "fp32", "int8" (smaller, faster), or "auto":
    int8 for voices whose int8 gates passed. Nothing is read before a voice is loaded. Raises ConfigurationError for an
    address of an unknown kind.
    """
    place = Path(cache) if cache is not None else Path.home() / ".cache" / "timbre"
    return VoiceRegistry(
        RegistryAddress(str(address), os.environ), place, profile, progress or SilentProgress(), load_base
    )


def _turns(request: SpeechRequest) -> list[SpokenTurn]:
    turns = marked_turns(request)
    if other := next((turn.voice for turn in turns if turn.voice), ""):
        raise InputError(f"text: voice {other[:60]!r} is called for", "load it, and let it speak its part")
    return turns


def _request(text: str, language: str, speed: float, seed: int | None, sampling: dict[str, Any]) -> SpeechRequest:
    return SpeechRequest(text, language=language, speed=speed, sampling=Sampling(seed=seed, **sampling))
