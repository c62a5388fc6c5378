"""A book -> one sound file a paragraph, then the audiobook. An interrupted run resumes.

book -> passages -> <book>.m4b.parts/0001-00001.flac ... with parts.jsonl -> assembled (audiobook.py) -> folder removed
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
from timbre.pipeline.release.journal import journal, sound_key
from timbre.pipeline.release.speaking import Speaking, save
from timbre.registry.events import utc_now
from timbre.text.sentences import split

RECORD = "parts.jsonl"
SUFFIXES = (".m4b", ".m4a")
SENTENCE_PAUSE_S, PARAGRAPH_PAUSE_S, SCENE_PAUSE_S, CHAPTER_PAUSE_S = 0.35, 0.75, 1.5, 2.0
_TIDY_EVERY = 20
"""Passages after which freed memory goes back to the system: what lies between buffers that live on would add up."""
_MOST_CHARACTERS = 1_500
"""Of a passage: a longer paragraph is read in several, so that memory does not depend on the book."""


@dataclass(frozen=True)
class Passage:
    """A text that is spoken at once, or a pause."""

    chapter: int
    """Number of the chapter, from 1."""
    place: int
    """Place in the chapter, from 1."""
    text: str
    """Empty for a scene break, which is a pause alone."""
    pause_s: float
    """Pause after it."""

    @property
    def file(self) -> str:
        """Name in the folder of parts."""
        return f"{self.chapter:04}-{self.place:05}.flac"


@dataclass(frozen=True)
class SpokenPassage:
    """Journal entry of a passage."""

    file: str
    """Name in the folder of parts, as `Passage.file`."""
    key: str
    """See journal.sound_key."""
    seconds: float
    """Length of its sound; 0 when it was left out."""
    sentences: int
    """How many were spoken, for the summary; 0 when it was left out."""
    below: tuple[str, ...] = ()
    """Sentences that missed the limits, with the reason."""
    left_out: str = ""
    """Why the passage could not be spoken; "" if it was."""


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


def passages(book: Book) -> Iterator[Passage]:
    """What is spoken, in order: titles, paragraphs, and the pauses after them."""
    for chapter, section in enumerate(book.chapters, 1):
        texts: list[tuple[str, float]] = []
        if any(map(str.isalnum, section.title)):
            texts.append((_closed(section.title), SCENE_PAUSE_S))
        for paragraph in section.paragraphs:
            if not any(map(str.isalnum, paragraph)):
                texts.append(("", SCENE_PAUSE_S - PARAGRAPH_PAUSE_S))
                continue
            parts = list(_parts(paragraph))
            texts += [(part, SENTENCE_PAUSE_S) for part in parts[:-1]] + [(parts[-1], PARAGRAPH_PAUSE_S)]
        for place, (text, pause_s) in enumerate(texts, 1):
            yield Passage(chapter, place, text, pause_s)


def read_aloud(
    speaking: Speaking,
    book: Book,
    target: Path,
    request: SpeechRequest,
    progress: Progress,
) -> SpokenBook:
    """Speaks a book into the folder of parts beside target; `bind` makes the file of them. request: all but the text. A
    passage that cannot be spoken is left out and reported.

    Raises OSError when a file cannot be written, InputError when nothing at all could be spoken.
    """
    folder = target.with_name(f"{target.name}.parts")
    spoken: list[SpokenPassage] = []
    plan = list(passages(book))
    request = replace(request, pause_s=SENTENCE_PAUSE_S)
    with (
        progress.task("read", total=float(sum(len(item.text) for item in plan)), unit="characters") as task,
        journal(folder / RECORD, SpokenPassage) as record,
    ):
        for number, passage in enumerate(plan, 1):
            if not number % _TIDY_EVERY:
                give_back()
            if not passage.text:
                continue
            own = replace(request, text=passage.text)
            key = sound_key(speaking, own)
            known = record.find(passage.file, key)
            if known is None or not ((folder / passage.file).is_file() or known.left_out):
                known = _speak(speaking, passage, folder, own, key)
                record.add(known)
            spoken.append(known)
            task.note(book.chapters[passage.chapter - 1].title[:40])
            task.advance(len(passage.text))
    if all(item.left_out for item in spoken):
        raise InputError(f"book: nothing of it could be spoken: {spoken[0].left_out}", "choose a voice of its language")
    label = Label(f"Timbre {installed_version('timbre') or 'unknown'}", speaking.name, utc_now()[:10])
    sections = tuple(_sections(book, plan, folder))
    return SpokenBook(folder, book.title, book.author, sections, label, tuple(spoken))


def bind(spoken: SpokenBook, target: Path, progress: Progress, *, keep_parts: bool = False) -> Reading:
    """Parts -> one file. Close the engine before: the index of a long file then takes the place of the engine's memory.

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


def _parts(paragraph: str) -> Iterator[str]:
    """A paragraph in pieces of whole sentences."""
    if len(paragraph) <= _MOST_CHARACTERS:
        yield paragraph
        return
    part = ""
    for sentence in split(paragraph):
        if part and len(part) + len(sentence) >= _MOST_CHARACTERS:
            yield part
            part = ""
        part = f"{part} {sentence}" if part else sentence
    if part:
        yield part


def _closed(title: str) -> str:
    return title if title.endswith((".", "!", "?", "。", "！", "？")) else f"{title}."
