"""Examples for the text-to-semantic network: phones, codes, and where in the text each code stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from timbre.core.errors import ConfigurationError, InputError
from timbre.gptsovits.text_to_semantic.network import T2SBatch
from timbre.text.frontend import phonemize
from timbre.text.symbols import ids_of

Ids = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Example:
    """Phones and codes of a clip."""

    id: str
    """Of the clip."""
    speaker: str
    """Only examples of one speaker may be joined."""
    phones: Ids
    """Ids of the v2 table."""
    codes: Ids
    """One every 40 ms."""
    places: Ids | None = None
    """For each code the index of its phone, where it is known."""


def phone_ids(text: str, language: str) -> Ids | None:
    """Phones of a transcript, or None when the front end refuses it (a language without one, nothing to speak)."""
    try:
        return np.array(ids_of(phonemize(text, language).phones), dtype=np.int16)
    except InputError:
        return None


class ExampleSampler:
    """Batches of similar length under a budget of positions. A batch depends on seed and step only.

    join_share: how many rows are two examples of one speaker behind each other, the form that a prompt has.
    span_share: how many of the others, where places are known, are a part of an example only, from some phone to some
    other,
    so that nothing depends on where in a sentence a phone stands.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        max_positions: int,
        seed: int,
        join_share: float = 0.3,
        longest: int = 600,
        span_share: float = 0.0,
    ) -> None:
        if not examples:
            raise ConfigurationError("no examples with phones and codes", remedy="timbre pretrain corpus")
        self.examples, self.max_positions, self.seed = list(examples), max_positions, seed
        self.join_share, self.span_share, self.longest = join_share, span_share, longest
        self._by_speaker: dict[str, list[int]] = {}
        for index, example in enumerate(self.examples):
            self._by_speaker.setdefault(example.speaker, []).append(index)

    def rows(self, step: int) -> list[tuple[Ids, Ids, Ids]]:
        """(phones, codes, places) of a step's batch; places are -1 where they are not known."""
        random = np.random.default_rng((self.seed, step))
        drawn = []
        for index in random.integers(len(self.examples), size=96):
            row = _row(self.examples[index])
            if random.random() < self.join_share:
                mates = self._by_speaker[self.examples[index].speaker]
                second = _row(self.examples[mates[random.integers(len(mates))]])
                if sum(len(part) for part in (*row[:2], *second[:2])) <= self.longest:
                    later = np.where(second[2] < 0, second[2], second[2] + np.int16(len(row[0])))
                    row = (
                        np.concatenate([row[0], second[0]]), np.concatenate([row[1], second[1]]),
                        np.concatenate([row[2], later]),
                    )  # fmt: skip
            elif random.random() < self.span_share:
                row = _span(row, random)
            if len(row[0]) + len(row[1]) <= self.longest:
                drawn.append(row)
        drawn.sort(key=lambda row: len(row[0]) + len(row[1]))
        begin = int(random.integers(len(drawn)))
        chosen: list[tuple[Ids, Ids, Ids]] = []
        for row in drawn[begin:] + drawn[:begin][::-1]:
            widest = [max(len(other[part]) for other in [*chosen, row]) for part in (0, 1)]
            if chosen and (len(chosen) + 1) * sum(widest) > self.max_positions:
                break
            chosen.append(row)
        return chosen

    def batch(self, step: int) -> T2SBatch:
        """The batch of a step, padded on the right with 0."""
        return self.guided_batch(step)[0]

    def guided_batch(self, step: int) -> tuple[T2SBatch, torch.Tensor]:
        """The batch of a step, and places int64 [B, T], -1 where unknown and on padding."""
        rows = self.rows(step)
        places, _ = _padded([row[2] for row in rows], -1)
        return T2SBatch(*_padded([row[0] for row in rows]), *_padded([row[1] for row in rows])), places


def _row(example: Example) -> tuple[Ids, Ids, Ids]:
    places = np.full(len(example.codes), -1, np.int16) if example.places is None else example.places
    return example.phones, example.codes, places


def _span(row: tuple[Ids, Ids, Ids], random: np.random.Generator, longest: int = 30) -> tuple[Ids, Ids, Ids]:
    """Some phones of a row and the codes that belong to them; the row itself where that is not possible."""
    phones, codes, places = row
    if len(phones) < 8 or (places < 0).any() or (np.diff(places) < 0).any():
        return row
    count = int(random.integers(5, min(longest, len(phones) - 1) + 1))
    first = int(random.integers(len(phones) - count + 1))
    inside = (places >= first) & (places < first + count)
    if inside.sum() < 5:
        return row
    return phones[first : first + count], codes[inside], places[inside] - np.int16(first)


def _padded(rows: Sequence[Ids], filler: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(row) for row in rows])
    table = torch.full((len(rows), int(lengths.max())), filler, dtype=torch.long)
    for index, row in enumerate(rows):
        table[index, : len(row)] = torch.from_numpy(row.astype(np.int64))
    return table, lengths
