"""A published voice says a text on this machine: registry -> package and exported base -> engine -> sound."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from timbre.audio.reader import write
from timbre.audio.watermark import mark
from timbre.audio.waveform import Waveform, within_full_scale
from timbre.core.atomic import replacing
from timbre.core.base import Base, load_base
from timbre.core.errors import InputError
from timbre.core.progress import Progress
from timbre.inference.device import CPU, Device
from timbre.inference.engine import Engine
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.profiles import AUTO, chosen_profile
from timbre.inference.request import Speech, SpeechRequest
from timbre.inference.scripted import marked_turns, speak_turns
from timbre.inference.voice import Voice, load_voice
from timbre.pipeline.bases.exported import exported_for
from timbre.registry.address import RegistryAddress
from timbre.registry.manifest import Manifest
from timbre.registry.names import split_reference
from timbre.registry.open import COPIES, open_registry, with_cache


@dataclass(frozen=True)
class SpokenText:
    """What was spoken, and by which version."""

    manifest: Manifest
    """Of the version that spoke."""
    speech: Speech
    """With the watermark in its sound."""


@dataclass(frozen=True)
class Speaking:
    """A published voice in an engine of its own; `with opened(...)` makes one."""

    manifest: Manifest
    """Of the version that was resolved when it was opened."""
    engine: Engine
    """Of the voice's base; open as long as the `with` block."""
    voice: Voice
    """Loaded for that engine, an argument of its calls."""

    @property
    def name(self) -> str:
        """NAME@VERSION."""
        return f"{self.manifest.voice}@{self.manifest.version}"

    def say(self, request: SpeechRequest, open_voice: Opener | None = None) -> SpokenText:
        """The request's text with its marks (text/marked_text.py), labelled as synthetic (audio/watermark.py).

        open_voice: opens a further voice that the text calls for, None where one voice speaks alone. Raises what
        marked_turns and Engine.speak raise, and InputError for a further voice where there is none.
        """
        turns = marked_turns(request)
        with ExitStack() as stack:
            held = {"": self}

            def speak(name: str, asked: SpeechRequest) -> Speech:
                if name not in held:
                    if open_voice is None:
                        raise InputError(f"text: voice {name[:60]!r} is called for", "one voice speaks alone here")
                    held[name] = stack.enter_context(open_voice(name))
                speech = held[name].engine.speak(asked, held[name].voice)
                return speech if alone else replace(speech, wave=mark(speech.wave, held[name].name))

            alone = all(not turn.voice for turn in turns)
            speech = speak_turns(turns, speak)
        if alone:
            speech = replace(speech, wave=mark(speech.wave, self.name))
        return SpokenText(self.manifest, speech)


Opener = Callable[[str], AbstractContextManager[Speaking]]
"""VOICE[@REF] -> the voice in an engine of its own."""


@contextmanager
def opened(
    reference: str,
    *,
    cache: Path,
    registry: RegistryAddress,
    profile: str = AUTO,
    device: Device = CPU,
    progress: Progress,
    find_base: Callable[[str], Base] = load_base,
) -> Iterator[Speaking]:
    """Opens a published voice in an engine of its own.

    reference: VOICE or VOICE@ALIAS or VOICE@VERSION; cache, find_base: as exported_for has them; profile: one of
    PROFILES (inference/profiles.py).

    Raises what Registry.resolve and fetch, exported_for and load_voice raise.
    """
    store = with_cache(open_registry(registry), cache / COPIES)
    manifest = store.resolve(*split_reference(reference))
    exported = exported_for(
        manifest.base, manifest.base_digest, cache, registry, progress=progress, find_base=find_base
    )
    with tempfile.TemporaryDirectory(prefix="timbre-") as folder:
        store.fetch(manifest, Path(folder))
        voice = load_voice(Path(folder), exported, name=manifest.voice, version=manifest.version)
    chosen = chosen_profile(profile, manifest.int8_passed, device)
    with Engine(exported, EngineSettings(profile=chosen, device=device)) as engine:
        yield Speaking(manifest, engine, voice)


def say(reference: str, request: SpeechRequest, **options: Any) -> SpokenText:
    """One text with a voice that is opened for it. options, errors: as `opened` and Engine.speak have them."""
    with opened(reference, **options) as speaking:
        return speaking.say(request)


def save(path: Path, wave: Waveform) -> None:
    """Writes 16-bit sound, whole or not at all; peaks beyond full scale are cut. Raises OSError."""
    with replacing(path) as partial:
        write(partial, Waveform(within_full_scale(wave.samples), wave.rate_hz))
