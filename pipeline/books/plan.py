"""What is spoken of a book: passages, and the pauses after them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from timbre.pipeline.books.book import Book
from timbre.text.sentences import split

SENTENCE_PAUSE_S, PARAGRAPH_PAUSE_S, SCENE_PAUSE_S, CHAPTER_PAUSE_S = 0.35, 0.75, 1.5, 2.0
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
