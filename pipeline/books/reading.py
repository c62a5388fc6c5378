"""A book -> one sound file a paragraph, then the audiobook. An interrupted run resumes.

passages -> <book>.m4b.parts/0001-00001.flac ... with parts.jsonl -> assembled (audiobook.py) -> folder removed
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from timbre.audio.provenance import Label
from timbre.core.errors import InputError
from timbre.core.host import installed_version
from timbre.core.memory import give_back
from timbre.core.progress import Progress
from timbre.inference.request import SpeechRequest
from timbre.pipeline.books.audiobook import Clip, Made, Section, assemble
from timbre.pipeline.books.book import Book
from timbre.pipeline.books.plan import CHAPTER_PAUSE_S, SENTENCE_PAUSE_S, Passage, SpokenPassage
from timbre.pipeline.release.journal import journal, sound_key
from timbre.pipeline.release.speaking import Speaking, save
from timbre.registry.events import utc_now

RECORD = "parts.jsonl"
_TIDY_EVERY = 20
"""Passages after which freed memory goes back to the system: what lies between buffers that live on would add up."""


@dataclass(frozen=True)
class SpokenBook:
    """A folder of parts with everything that the audiobook is made of."""

    folder: Path
    """Of the parts and their journal."""
    title: str
    """Of the book."""
    author: str
    """Of the book, empty where it names none."""
    sections: tuple[Section, ...]
    """Chapters that have sound."""
    label: Label
    """Says who spoke, in the finished file."""
    passages: tuple[SpokenPassage, ...]
    """Passages of all chapters, in order."""


@dataclass(frozen=True)
class Reading:
    """An audiobook and the passages it was made of."""

    made: Made
    """The finished file."""
    passages: tuple[SpokenPassage, ...]
    """Passages of all chapters, in order."""


def read_aloud(
    speaking: Speaking, plan: Sequence[Passage], folder: Path, request: SpeechRequest, most: int | None = None
) -> Iterator[SpokenPassage]:
    """Speaks passages into a folder of parts, those that are there already left as they are; what was made of each, as
    it is made. A passage that cannot be spoken is left out and reported. Pauses alone make nothing.

    request: all but the text. most: ends after so many passages that were spoken now. Raises OSError when a file
    cannot be written.
    """
    request = replace(request, pause_s=SENTENCE_PAUSE_S)
    made = 0
    with journal(folder / RECORD, SpokenPassage) as record:
        for passage in plan:
            if made == most:
                return
            if not passage.text:
                continue
            own = replace(request, text=passage.text)
            key = sound_key(speaking, own)
            known = record.find(passage.file, key)
            if known is None or not ((folder / passage.file).is_file() or known.left_out):
                known = _speak(speaking, passage, folder, own, key)
                record.add(known)
                made += 1
                if not made % _TIDY_EVERY:
                    give_back()
            yield known


def spoken_book(
    book: Book, plan: Sequence[Passage], folder: Path, spoken: Sequence[SpokenPassage], speaker: str
) -> SpokenBook:
    """plan: all passages of the book; speaker: NAME@VERSION. Raises InputError when nothing at all was spoken."""
    if all(item.left_out for item in spoken):
        raise InputError(f"book: nothing of it could be spoken: {spoken[0].left_out}", "choose a voice of its language")
    label = Label(f"Timbre {installed_version('timbre') or 'unknown'}", speaker, utc_now()[:10])
    return SpokenBook(folder, book.title, book.author, tuple(_sections(book, plan, folder)), label, tuple(spoken))


def bind(spoken: SpokenBook, target: Path, progress: Progress, *, keep_parts: bool = False) -> Reading:
    """Parts -> one file. No engine should be open: the index of a long file then takes the place of its memory.

    Raises what `assemble` raises; the folder of parts is removed only when the file is there.
    """
    give_back()
    made = assemble(
        spoken.sections, target, title=spoken.title, author=spoken.author, label=spoken.label, progress=progress
    )
    if not keep_parts:
        shutil.rmtree(spoken.folder)
    return Reading(made, spoken.passages)


def _sections(book: Book, plan: Sequence[Passage], folder: Path) -> Iterator[Section]:
    for number, chapter in enumerate(book.chapters, 1):
        own = [item for item in plan if item.chapter == number]
        clips = [
            Clip(folder / item.file if item.text and (folder / item.file).is_file() else None, item.pause_s)
            for item in own
        ]
        if clips:
            clips[-1] = replace(clips[-1], pause_s=CHAPTER_PAUSE_S)
            yield Section(chapter.title or f"{number}", tuple(clips))


def _speak(speaking: Speaking, passage: Passage, folder: Path, request: SpeechRequest, key: str) -> SpokenPassage:
    try:
        speech = speaking.say(request).speech
    except InputError as error:
        (folder / passage.file).unlink(missing_ok=True)
        return SpokenPassage(passage.file, key, 0.0, 0, (), f"{passage.text[:60]!r}: {error.message}")
    save(folder / passage.file, speech.wave)
    below = tuple(f"{item.text[:60]!r}: {'; '.join(item.failures)}" for item in speech.sentences if item.failures)
    return SpokenPassage(passage.file, key, round(speech.wave.duration_s, 3), len(speech.sentences), below)
