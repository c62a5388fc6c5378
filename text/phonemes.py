"""What the front end returns for one text."""

from __future__ import annotations

from dataclasses import dataclass

from timbre.text.symbols import ids_of


@dataclass(frozen=True)
class Segment:
    """A run of one language inside a text."""

    language: str
    """Code of the front end that read it."""
    text: str
    """The characters as given."""
    normalized: str
    """The words that are spoken."""
    phones: tuple[str, ...]
    """Symbols of the v2 table; each mark is one."""
    word2ph: tuple[int, ...] | None = None
    """Phones per character of `normalized` for Mandarin (its sum is len(phones)), None for English, where letters and
    phones do not align."""
    words: tuple[tuple[str, int], ...] = ()
    """Words and marks in order, each with its number of phones, where the language has words that can be separated,
    else empty."""

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """Words, else characters, else the segment as a whole, each with its number of phones; marks among them."""
        if self.words:
            return self.words
        if self.word2ph is not None and len(self.word2ph) == len(self.normalized):
            return tuple(zip(self.normalized, self.word2ph, strict=True))
        return ((self.normalized.strip(), len(self.phones)),)


@dataclass(frozen=True)
class Phonemes:
    """Phones of a text, with the way they came about."""

    segments: tuple[Segment, ...]
    """The pieces in order."""
    unknown: tuple[str, ...] = ()
    """Characters that could not be spoken, in order, without repeats: the caller reports them, nothing is dropped
    silently."""

    @property
    def phones(self) -> tuple[str, ...]:
        """All phones in order, each a symbol of the v2 table."""
        return tuple(phone for segment in self.segments for phone in segment.phones)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of `phones` in the v2 table."""
        return ids_of(self.phones)

    @property
    def normalized(self) -> str:
        """The text as it is spoken."""
        return "".join(segment.normalized for segment in self.segments)

    @property
    def word2ph(self) -> tuple[int, ...] | None:
        """Phones per character of `normalized` if every segment has them, else None."""
        if any(segment.word2ph is None for segment in self.segments):
            return None
        return tuple(count for segment in self.segments for count in segment.word2ph or ())
