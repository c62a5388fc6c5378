"""Text and voice -> sentences ready to decode: language, phones, expected seconds, what the scheduler is to do."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from timbre.inference.characters import CharacterVectors
from timbre.inference.errors import TextError, TooLongError
from timbre.inference.exported_base import ExportedBase
from timbre.inference.guards import SentenceLimits
from timbre.inference.request import SpeechRequest
from timbre.inference.scheduler import Job
from timbre.inference.voice import Voice
from timbre.text.frontend import phonemize, unspoken
from timbre.text.marks import Mark, Pause, cut, is_mark, shown
from timbre.text.markup import plain
from timbre.text.pauses import finished
from timbre.text.phone_codes import TextPath
from timbre.text.phonemes import Phonemes
from timbre.text.sentences import split

_SHORTEST_SHARE = 0.5
_SEEDS_APART = 1_000_003
_RUN = re.compile(r"[A-Za-z0-9]+")
_LONGEST_RUN = 180
"""Letters or digits without a break: as many as the longest sentence has (text/sentences.py)."""


@dataclass(frozen=True)
class Planned:
    """One sentence ready to decode, closed by a mark."""

    text: str
    """As written."""
    phonemes: Phonemes
    """What is spoken."""
    ids: NDArray[np.int64]
    """[P], of the phones."""
    seconds: float
    """Expected seconds at the voice's own pace, pauses included."""
    sounding_s: float
    """Expected seconds of its sounds alone."""
    seed: int
    """Of the draws of its codes."""
    before_s: float = 0.0
    """Silence before it."""
    after_s: float = 0.0
    """Silence after it."""


@dataclass(frozen=True)
class Passage:
    """A sentence as written, and the silence around it."""

    text: str
    """With marks."""
    before_s: float
    """Silence before it, in seconds."""
    after_s: float = 0.0
    """Silence after it, in seconds."""


@dataclass(frozen=True)
class Planner:
    """Cuts the text of a request into sentences that the base can speak."""

    base: ExportedBase
    """Gives phone table, languages, rate of codes and limits of the text-to-semantic graph."""
    limits: SentenceLimits
    """Longest duration and loop that a job may reach before it is stopped."""
    capacity: int
    """Positions of a slot."""
    characters: CharacterVectors | None
    """Vectors of Mandarin characters, None on bases without."""

    def plan(self, request: SpeechRequest, voice: Voice) -> tuple[list[Planned], tuple[str, ...]]:
        """The request's sentences, and the characters that cannot be spoken.

        Raises TextError for a text without words and for a language that the base does not have.
        """
        language = voice.prompt.language if request.language == "auto" else request.language
        if language not in self.base.languages:
            raise TextError(
                f"language {language!r}: the base {self.base.name!r} speaks {', '.join(self.base.languages)}",
                "choose one of these, or a voice on a base that has the language",
            )
        if not request.text.strip():
            raise TextError("text: it is empty", "send at least one word")
        lexicon = {**voice.lexicon, **(request.lexicon or {})}
        seed = request.sampling.seed if request.sampling.seed is not None else secrets.randbits(31)
        planned: list[Planned] = []
        unknown: list[str] = []
        found = passages(request)
        _check_runs(item.text for item in found)
        planned_s = sum(item.before_s + item.after_s for item in found)
        _check_length(planned_s, request)
        for passage in found:
            sentence = shown(passage.text, request.marks)
            phonemes = phonemize(passage.text, language, lexicon, self.base.languages, request.marks)
            if missing := unspoken(phonemes, self.base.languages):
                raise TextError(
                    f"text {sentence[:40]!r}: {missing}, which is not among the languages of the base "
                    f"{self.base.name!r} ({', '.join(self.base.languages)})",
                    "leave these words out, or use a voice on a base that has the language",
                )
            phonemes = finished(phonemes)
            pace = voice.prompt.pace
            seconds, sounding_s = pace.expected_s(phonemes.phones), pace.sounding_s(phonemes.phones)
            ids = np.array(phonemes.ids, np.int64)
            own = seed + _SEEDS_APART * len(planned)
            planned.append(
                Planned(sentence, phonemes, ids, seconds, sounding_s, own, passage.before_s, passage.after_s)
            )
            # Before the next one is read: reading costs more than everything else here.
            self._check_room(planned[-1], request, voice)
            planned_s += seconds / request.speed
            _check_length(planned_s, request)
            unknown += phonemes.unknown
        if not planned:
            raise TextError(
                f"text {request.text[:40]!r} has nothing that can be spoken", "write words, numbers or letters"
            )
        return planned, tuple(dict.fromkeys(unknown))

    def job(self, item: Planned, request: SpeechRequest, voice: Voice) -> Job:
        """What the scheduler is to do; character vectors are added when it is sent. Raises TextError for a sentence
        that can never fit.
        """
        rate = self.base.codes_hz
        continues = self._continues(request)
        prompt = voice.prompt.codes if continues else voice.prompt.codes[:0]
        phones = np.concatenate([voice.prompt.phones, item.ids]) if continues else item.ids
        room = self._check_room(item, request, voice)
        # Codes are drawn at the base's pace, and then drawn out to the voice's (inference/tempo.py).
        stretch = self._stretch(voice)
        most = min(int(self.limits.longest_s(item.seconds) * rate / stretch), room)
        # The end is drawn like a code, so one is left for it.
        path = TextPath.of(item.ids.tolist(), most - 1) if self.base.speaking.follow_text else None
        return Job(
            phones=phones,
            prompt=prompt,
            sampling=replace(request.sampling.filled(self.base.speaking), seed=item.seed),
            min_codes=max(1, int(_SHORTEST_SHARE * item.sounding_s * rate / stretch)),
            max_codes=most,
            lora=voice.t2s,
            loop_limit=self.limits.loop_run,
            path=path,
        )

    def _check_room(self, item: Planned, request: SpeechRequest, voice: Voice) -> int:
        """Positions for the sentence's codes. Raises TextError when they cannot suffice."""
        taken = len(voice.prompt.phones) + len(voice.prompt.codes) if self._continues(request) else 0
        room = self.capacity - len(item.ids) - taken
        if room < item.seconds * self.base.codes_hz / self._stretch(voice):
            raise TextError(
                f"text {item.text[:40]!r}: a sentence of {len(item.ids)} phones does not fit the engine's "
                f"{self.capacity} positions beside the voice's prompt",
                "break it up with punctuation",
            )
        return room

    def _stretch(self, voice: Voice) -> float:
        return voice.prompt.pace.stretch if self.base.speaking.follow_text else 1.0

    def features(self, item: Planned, request: SpeechRequest, voice: Voice) -> NDArray[np.float32] | None:
        """Character vectors [P, H] of the prompt's phones, if they are read too, and the sentence's; None without."""
        if self.characters is None:
            return None
        continues = self._continues(request)
        prompt, own = voice.prompt.bert if continues else None, self.characters.of(item.phonemes)
        if prompt is None and own is None:
            return None
        width = self.characters.width
        before = np.zeros((len(voice.prompt.phones) if continues else 0, width), np.float32)
        if prompt is not None:
            before = self.characters.projected(prompt.T)
        return np.concatenate([before, np.zeros((len(item.ids), width), np.float32) if own is None else own])

    def _continues(self, request: SpeechRequest) -> bool:
        return self.base.speaking.prompt_codes if request.prompt_codes is None else request.prompt_codes


def passages(request: SpeechRequest) -> list[Passage]:
    """Sentences of a request in order, cut at its pauses too; a marked pause takes the place of the usual one."""
    found: list[Passage] = []
    marked_s: float | None = None
    for sentence in split(plain(request.text)):
        for piece in _cut_at_pauses(sentence, request.marks):
            if isinstance(piece, Pause):
                marked_s = (marked_s or 0.0) + piece.seconds
            elif _has_words(piece, request.marks):
                usual_s = request.pause_s if found else request.lead_s
                found.append(Passage(piece, usual_s if marked_s is None else marked_s))
                marked_s = None
    if found and marked_s is not None:
        found[-1] = replace(found[-1], after_s=marked_s)
    return found


def _cut_at_pauses(sentence: str, marks: Sequence[Mark]) -> list[str | Pause]:
    if not marks:
        return [sentence]
    found: list[str | Pause] = []
    places = {letter: mark for letter in sentence if is_mark(letter) for mark in cut(letter, marks)}
    run = ""
    for letter in sentence:
        mark = places.get(letter)
        if isinstance(mark, Pause):
            found += [run.strip(), mark]
            run = ""
        else:
            run += letter
    return [*found, run.strip()]


def _has_words(sentence: str, marks: Sequence[Mark]) -> bool:
    """False for a piece of marks and symbols alone, which is a pause beside other sentences."""
    return any(character.isalnum() or (marks and is_mark(character)) for character in sentence)


def _check_runs(sentences: Iterable[str]) -> None:
    """Raises TextError for a run of letters and digits that no sentence can hold: reading it would take seconds."""
    for sentence in sentences:
        longest = max(map(len, _RUN.findall(sentence)), default=0)
        if longest > _LONGEST_RUN:
            raise TextError(
                f"text {sentence[:40]!r}: {longest} letters or digits in a row, the limit is {_LONGEST_RUN}",
                "break it up with blanks or punctuation",
            )


def _check_length(planned_s: float, request: SpeechRequest) -> None:
    if request.longest_s is not None and planned_s > request.longest_s:
        raise TooLongError(
            f"text: it would take more than {request.longest_s:g} s to say, with {request.pause_s:g} s between its "
            "sentences",
            "send it in several requests",
        )
