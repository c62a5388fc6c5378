"""A book as it is read aloud: chapters of paragraphs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Chapter:
    """A chapter of a book."""

    title: str
    """Spoken first; empty where it has none."""
    paragraphs: tuple[str, ...]
    """Text without markup, none empty."""


@dataclass(frozen=True)
class Book:
    """A text in chapters."""

    title: str
    """Empty where the file has none."""
    author: str
    """Empty where the file has none."""
    chapters: tuple[Chapter, ...]
    """In the order of reading, at least one."""

    @property
    def characters(self) -> int:
        """Of all paragraphs."""
        return sum(len(paragraph) for chapter in self.chapters for paragraph in chapter.paragraphs)


def made(title: str, author: str, parts: Iterable[tuple[str, list[str]]]) -> Book:
    """A book of (title, paragraphs); parts without words are left out."""
    chapters = [
        Chapter(heading, tuple(paragraphs))
        for heading, paragraphs in parts
        if heading or any(character.isalnum() for text in paragraphs for character in text)
    ]
    return Book(title, author, tuple(chapters))
