"""Degraded adapters of a good voice, most of them without any training, to see which gates catch them.

good voice, its renditions -> sounds, weights, texts or recordings that are wrong in a known way -> DegradedAdapter
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from timbre.evaluation.calibration import GOOD, UNTRAINED, split_speakers
from timbre.evaluation.degradation import SOUNDS
from timbre.evaluation.judge import TrainingOutcome, without_adapter
from timbre.evaluation.rendition import CopiedRecording, Recording, Renderer, Sentence, Spoken, sentences_for
from timbre.evaluation.texts import fixed_sentences
from timbre.inference.engine import Engine
from timbre.inference.t2s_slots import Lora
from timbre.inference.voice import Delta, Voice, load_voice
from timbre.pipeline.stages.evaluate import training_outcome
from timbre.text.phone_codes import tone_of

OVER_TRAINED, WRONG_SPEAKER, SHUFFLED = "over-trained", "wrong-speaker", "shuffled-texts"
RANDOM, BIT_FLIPS, TRUNCATED = "random-weights", "bit-flips", "truncated-weights"
MANY_FLIPS, SCALED, NOT_FINITE, OTHER_LANGUAGE = "many-bit-flips", "scaled-weights", "not-finite", "other-language"
KINDS = (
    UNTRAINED, "noisy", WRONG_SPEAKER, "clipped", OVER_TRAINED, "silence", SHUFFLED, "loud", RANDOM, "band-limited",
    TRUNCATED, "quiet", BIT_FLIPS, "reverberant", "cut-off", "wrong-rate", "humming", SCALED, "dropouts", NOT_FINITE,
    "stuttering", MANY_FLIPS, "backwards", OTHER_LANGUAGE,
)  # fmt: skip
WRONG_TONES = "wrong-tones"
TONAL = ("monotone", WRONG_TONES)
"""Kinds of Mandarin voices beside KINDS: in other languages a flat melody is a manner of speaking."""

_RANDOM_STD = 0.05
_FLIPPED_SHARE, _MANY_SHARE = 1 / 500, 1 / 20
_SCALED = 30.0
_FLIP = 1024.0
"""One bit of a half float's exponent: four powers of two of two."""

_FOREIGN = ("en", "zh")
"""Languages with sentences of their own."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class DegradedAdapter:
    """What is measured of one adapter."""

    held_out: Sequence[Recording]
    """Its held-out recordings."""
    copies: Sequence[CopiedRecording]
    """The same recordings, reconstructed from their codes."""
    spoken: Sequence[Spoken]
    """Held-out and fixed sentences, synthesised from text."""
    outcome: TrainingOutcome
    """What its training reported."""


@dataclass(frozen=True)
class Subject:
    """A good voice."""

    name: str
    """Of the voice; prefixes the names of its adapters in the engine."""
    adapter: Path
    """Output of stage 3."""
    held_out: Sequence[Recording]
    """Its recordings that no training used."""
    other: Sequence[Recording]
    """Recordings of somebody else."""
    over_trained: Callable[[], Path]
    """Makes the adapter that was trained for too long."""
    scratch: Path
    """A folder to write into."""


class AdapterDegrader:
    """Makes the cases of one voice; what the good adapter says is rendered once."""

    def __init__(self, engine: Engine, subject: Subject, fixed: int, seed: int) -> None:
        self._engine, self._subject, self._fixed, self._seed = engine, subject, fixed, seed
        self._renderer = Renderer(engine)
        self._outcome = training_outcome(subject.adapter)

    def case(self, kind: str) -> DegradedAdapter:
        """The case of GOOD or of one of KINDS. Raises VoiceError for weights that the engine refuses, KeyError for a
        kind that is none.
        """
        if kind == GOOD:
            return self._good
        if kind in SOUNDS:
            return self._with_sound(kind)
        return self._makers[kind]()

    @cached_property
    def _voice(self) -> Voice:
        return self._load(self._subject.adapter, GOOD)

    @cached_property
    def _good(self) -> DegradedAdapter:
        return self._case(self._voice, self._outcome)

    @cached_property
    def _makers(self) -> dict[str, Callable[[], DegradedAdapter]]:
        return {
            UNTRAINED: lambda: self._case(without_adapter(self._voice), TrainingOutcome(1.0, 1.0)),
            OVER_TRAINED: self._over_trained,
            WRONG_SPEAKER: lambda: self._case(self._voice, self._outcome, self._subject.other),
            SHUFFLED: self._shuffled,
            RANDOM: lambda: self._case(random_weights(self._voice, self._seed), self._outcome),
            BIT_FLIPS: lambda: self._case(bit_flips(self._voice, self._seed), self._outcome),
            MANY_FLIPS: lambda: self._case(bit_flips(self._voice, self._seed, _MANY_SHARE), self._outcome),
            SCALED: lambda: self._case(scaled_weights(self._voice), self._outcome),
            TRUNCATED: self._truncated,
            NOT_FINITE: self._not_finite,
            OTHER_LANGUAGE: self._other_language,
            WRONG_TONES: self._wrong_tones,
        }

    def _load(self, folder: Path, kind: str) -> Voice:
        # The engine keeps merged decoders by name and version: no two adapters may share both.
        return load_voice(folder, self._engine.base, name=f"{self._subject.name}-{kind}", version=str(folder)[-64:])

    def _case(
        self, voice: Voice, outcome: TrainingOutcome, held_out: Sequence[Recording] | None = None
    ) -> DegradedAdapter:
        recordings = self._subject.held_out if held_out is None else held_out
        copies = [self._renderer.copy(item, voice) for item in recordings]
        spoken = [self._renderer.speak(item, self._seed, voice) for item in self._sentences(recordings)]
        return DegradedAdapter(recordings, copies, spoken, outcome)

    def _sentences(self, recordings: Sequence[Recording]) -> list[Sentence]:
        return sentences_for(recordings, self._fixed)

    def _with_sound(self, kind: str) -> DegradedAdapter:
        degrade, good = SOUNDS[kind], self._good
        copies = []
        for number, item in enumerate(good.copies):
            wave = degrade(item.copy, number)
            copies.append(replace(item, copy=wave))
        spoken = [
            item if item.wave is None else replace(item, wave=degrade(item.wave, 1000 + number))
            for number, item in enumerate(good.spoken)
        ]
        return replace(good, copies=copies, spoken=spoken)

    def _shuffled(self) -> DegradedAdapter:
        """Every sentence is held to the text of the one before it."""
        good = self._good
        turned = [*good.spoken[-1:], *good.spoken[:-1]]
        spoken = [
            replace(own, wave=said.wave, failures=(), refusal=said.refusal)
            for own, said in zip(good.spoken, turned, strict=True)
        ]
        return replace(good, spoken=spoken)

    def _wrong_tones(self) -> DegradedAdapter:
        """Every sentence is held to a text with the same sounds and the tones of its other syllables."""
        good, draw = self._good, np.random.default_rng(self._seed)
        return replace(good, spoken=[replace(item, phones=other_tones(item.phones, draw)) for item in good.spoken])

    def _other_language(self) -> DegradedAdapter:
        """What is spoken are sentences of a language that the text is not in."""
        good = self._good
        known = [language for language in self._engine.base.languages if language in _FOREIGN]
        spoken = []
        for number, own in enumerate(good.spoken):
            language = next(language for language in known if language != own.sentence.language)
            texts = fixed_sentences(language)
            foreign = Sentence(own.sentence.id, texts[number % len(texts)], own.sentence.source, language)
            said = self._renderer.speak(foreign, self._seed, self._voice)
            spoken.append(replace(own, wave=said.wave, failures=(), refusal=said.refusal))
        return replace(good, spoken=spoken)

    def _over_trained(self) -> DegradedAdapter:
        folder = self._subject.over_trained()
        return self._case(self._load(folder, OVER_TRAINED), training_outcome(folder))

    def _truncated(self) -> DegradedAdapter:
        """The adapter's larger file stops in the middle, as a full disk leaves it."""
        folder = self._subject.scratch / TRUNCATED
        shutil.copytree(self._subject.adapter, folder, dirs_exist_ok=True)
        file = max(folder.glob("*/adapter_model.safetensors"), key=lambda path: path.stat().st_size)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        return self._case(self._load(folder, TRUNCATED), self._outcome)

    def _not_finite(self) -> DegradedAdapter:
        """A training that diverged: one value of each tensor of an adapter is no number."""
        folder = self._subject.scratch / NOT_FINITE
        shutil.copytree(self._subject.adapter, folder, dirs_exist_ok=True)
        file = max(folder.glob("*/adapter_model.safetensors"), key=lambda path: path.stat().st_size)
        tensors = load_file(file)
        for values in tensors.values():
            values.flat[0] = np.nan
        save_file(tensors, file)
        return self._case(self._load(folder, NOT_FINITE), self._outcome)


def degradations_in_turn(speakers: Sequence[str], count: int) -> dict[str, tuple[str, ...]]:
    """Speaker -> the kinds of degradation applied to it: all for a count of 0, else `count`, going round over all
    speakers, so that few speakers meet as many kinds as they can.
    """
    if count <= 0 or count >= len(KINDS):
        return dict.fromkeys(speakers, KINDS)
    return {
        name: tuple(KINDS[(number * count + place) % len(KINDS)] for place in range(count))
        for number, name in enumerate(speakers)
    }


def degradations_by_speaker(speakers: Sequence[str], count: int) -> dict[str, tuple[str, ...]]:
    """Speaker -> the kinds of degradation applied to it: all for a count of 0, else `count` in rotation.

    Each half of the speakers goes round for itself, so that what the one half sets limits on the other can judge.
    """
    if count <= 0 or count >= len(KINDS):
        return dict.fromkeys(speakers, KINDS)
    halves = [degradations_in_turn(half, count) for half in split_speakers(speakers)]
    return {name: kinds for half in halves for name, kinds in half.items()}


def _audible(scale: float) -> float:
    """The scale of an update; 1 where training kept the base (strength 0), which would silence any damage."""
    return scale or 1.0


def random_weights(voice: Voice, seed: int) -> Voice:
    """The same layers with random updates as large as the weights themselves: like uninitialised memory."""
    random = np.random.default_rng(seed)

    def drawn(shape: tuple[int, ...], std: float) -> Floats:
        return np.asarray(random.standard_normal(shape) * std, np.float32)

    def pair(down: Floats, up: Floats, rank: int, scale: float) -> tuple[Floats, Floats]:
        # A sum of `rank` products of two draws has the standard deviation std^2 * sqrt(rank).
        std = (_RANDOM_STD / scale / rank**0.5) ** 0.5
        return drawn(down.shape, std), drawn(up.shape, std)

    acoustic = {}
    for name, delta in voice.acoustic.items():
        scale = _audible(delta.scale)
        down, up = pair(delta.down, delta.up, delta.down.shape[0], scale)
        acoustic[name] = Delta(down, up, scale)
    t2s = {name: pair(down, up, down.shape[1], 1.0) for name, (down, up) in voice.t2s.tensors.items()}
    return replace(voice, name=f"{voice.name}-{RANDOM}", t2s=Lora(t2s), acoustic=acoustic)


def scaled_weights(voice: Voice) -> Voice:
    """Updates 30 times as strong, as with a wrong alpha in adapter_config.json."""
    acoustic = {name: replace(delta, scale=_audible(delta.scale) * _SCALED) for name, delta in voice.acoustic.items()}
    t2s = {name: (down, np.float32(_SCALED) * up) for name, (down, up) in voice.t2s.tensors.items()}
    return replace(voice, name=f"{voice.name}-{SCALED}", t2s=Lora(t2s), acoustic=acoustic)


def other_tones(phones: Sequence[str], draw: np.random.Generator) -> tuple[str, ...]:
    """The same phones with the tones of the Mandarin syllables at other places."""
    places = [place for place, phone in enumerate(phones) if tone_of(phone)]
    tones = draw.permutation([tone_of(phones[place]) for place in places])
    changed = list(phones)
    for place, tone in zip(places, tones, strict=True):
        changed[place] = f"{phones[place][:-1]}{tone}"
    return tuple(changed)


def bit_flips(voice: Voice, seed: int, share: float = _FLIPPED_SHARE) -> Voice:
    """One value in 500 (or `share`) is 1,024 times too large, and no such tensor is without one."""
    random = np.random.default_rng(seed)

    def flipped(values: Floats) -> Floats:
        hit = random.random(values.shape) < share
        hit.flat[int(random.integers(hit.size))] = True
        return np.where(hit, values * np.float32(_FLIP), values).astype(np.float32)

    acoustic = {
        name: Delta(flipped(delta.down), flipped(delta.up), _audible(delta.scale))
        for name, delta in voice.acoustic.items()
    }
    t2s = {name: (flipped(down), flipped(up)) for name, (down, up) in voice.t2s.tensors.items()}
    kind = BIT_FLIPS if share == _FLIPPED_SHARE else MANY_FLIPS
    return replace(voice, name=f"{voice.name}-{kind}", t2s=Lora(t2s), acoustic=acoustic)
