"""Examples for the text-to-semantic network: phones and codes of the corpus, and classes as stand-ins for codes.

A stand-in sequence has one recogniser class every 40 ms instead of a code. It needs no codebook, only an alignment
(or, for made-up sentences, durations drawn from alignments), so the network can learn to follow a text before codes
exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt
import torch

from timbre.core.errors import ConfigurationError, InputError
from timbre.gptsovits.text_to_semantic.network import T2SBatch
from timbre.nano.alignment import UNKNOWN, Alignment
from timbre.nano.corpus import Clip
from timbre.text.frontend import phonemize
from timbre.text.recognition import CLASSES, SILENCE, class_of
from timbre.text.symbols import ids_of, phones_of

CODE_S = 0.04
Ids = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Example:
    """phones: ids of the v2 table; codes: one every 40 ms. speaker decides which examples may be joined.

    places: for each code the index of the phone that it belongs to, where that is known.
    """

    id: str
    speaker: str
    phones: Ids
    codes: Ids
    places: Ids | None = None


def phone_ids(text: str, language: str) -> Ids | None:
    """Phones of a transcript, or None when the front end refuses it (a language without one, nothing to speak)."""
    try:
        return np.array(ids_of(phonemize(text, language).phones), dtype=np.int16)
    except InputError:
        return None


def class_codes(alignment: Alignment) -> Ids | None:
    """Recogniser classes at 25 Hz as stand-ins for codes; None for an alignment with gaps."""
    count = int(alignment.ends_s[-1] / CODE_S) if alignment.ends_s else 0
    labels = alignment.frame_labels(count, CODE_S, CODE_S / 2)
    if count == 0 or (labels == UNKNOWN).any():
        return None
    return labels.astype(np.int16)


def places_of(alignment: Alignment, phones: Ids, count: int) -> Ids:
    """For each of ``count`` codes the index of its phone in the text [P], -1 where alignment and text disagree.

    A pause belongs to the mark that stands there, else to the phone before it; what follows the alignment's end, to
    the last.
    """
    kinds = [class_of(symbol) for symbol in phones_of(int(phone) for phone in phones)]
    text = [(kind, index) for index, kind in enumerate(kinds) if kind is not None and kind != SILENCE]
    names = {name: index for index, name in enumerate(CLASSES)}
    spoken = [(names[name], index) for index, name in enumerate(alignment.phones) if names[name] != SILENCE]
    place_of_segment = {}
    matcher = SequenceMatcher(None, [kind for kind, _ in text], [kind for kind, _ in spoken], autojunk=False)
    for block in matcher.get_matching_blocks():
        for offset in range(block.size):
            place_of_segment[spoken[block.b + offset][1]] = text[block.a + offset][1]
    places: list[int] = []
    before = -1
    for index, name in enumerate(alignment.phones):
        if names[name] == SILENCE:
            following = before + 1
            marked = following < len(kinds) and kinds[following] == SILENCE
            places.append(following if marked else max(before, 0) if index == 0 or before >= 0 else -1)
        else:
            before = place_of_segment.get(index, -1)
            places.append(before)
    places.append(len(phones) - 1)
    centres = CODE_S * (np.arange(count) + 0.5)
    return np.array(places, dtype=np.int16)[np.searchsorted(np.asarray(alignment.ends_s), centres, side="right")]


def corpus_examples(
    clips: Iterable[Clip],
    phones: Mapping[str, Ids],
    codes: Mapping[str, Ids],
    alignments: Mapping[str, Alignment] | None = None,
) -> list[Example]:
    """Examples of the training clips that have both phones and codes, at a speaking rate that a text can have.

    alignments: where they are known, examples carry places.
    """
    examples = []
    for clip in clips:
        if clip.split != "train" or clip.id not in codes or clip.id not in phones:
            continue
        ratio = len(codes[clip.id]) / max(1, len(phones[clip.id]))
        # 25 codes a second: below 1 a phone or above 8 means that text and speech do not belong together.
        if len(codes[clip.id]) >= 5 and 1.0 <= ratio <= 8.0:
            alignment = (alignments or {}).get(clip.id)
            places = None if alignment is None else places_of(alignment, phones[clip.id], len(codes[clip.id]))
            examples.append(Example(clip.id, clip.speaker, phones[clip.id], codes[clip.id], places))
    return examples


class DurationModel:
    """Mean and spread of the log duration of every recogniser class, from alignments."""

    def __init__(self, alignments: Iterable[Alignment]) -> None:
        logs: dict[str, list[float]] = {}
        for alignment in alignments:
            begin = 0.0
            for phone, end in zip(alignment.phones, alignment.ends_s, strict=True):
                logs.setdefault(phone, []).append(np.log(max(0.01, end - begin)))
                begin = end
        if not logs:
            raise ConfigurationError("no alignments to learn durations from", remedy="timbre pretrain corpus")
        every = [value for values in logs.values() for value in values]
        self._overall = (float(np.mean(every)), float(np.std(every)))
        self._table = {phone: (float(np.mean(v)), float(np.std(v))) for phone, v in logs.items() if len(v) >= 20}

    def draw(self, classes: Sequence[int], random: np.random.Generator) -> Ids:
        """One made-up alignment at 25 Hz: for each code the index of its class. One rate for the whole sentence."""
        rate = random.normal(0.0, 0.15)
        ends = np.cumsum(
            [
                np.exp(np.clip(random.normal(mean, 0.7 * spread), mean - 1.0, mean + 1.0) + rate)
                for mean, spread in (self._table.get(CLASSES[index], self._overall) for index in classes)
            ]
        )
        centres = CODE_S * (np.arange(max(1, int(ends[-1] / CODE_S))) + 0.5)
        return np.minimum(np.searchsorted(ends, centres, side="right"), len(ends) - 1).astype(np.int16)


def made_up_examples(
    sentences: Iterator[str], count: int, durations: DurationModel, seed: int, language: str = "en"
) -> list[Example]:
    """Sentences with drawn durations. Pauses at the ends and, mostly, at marks inside."""
    random = np.random.default_rng(seed)
    examples: list[Example] = []
    while len(examples) < count:
        text = next(sentences)
        try:
            symbols = phonemize(text, language).phones
        except InputError:
            continue
        classes, sources = [SILENCE], [0]
        for index, symbol in enumerate(symbols[:-1]):
            kind = class_of(symbol)
            if kind is None or (kind == SILENCE and (classes[-1] == SILENCE or random.random() < 0.2)):
                continue
            classes.append(kind)
            sources.append(index)
        last = class_of(symbols[-1])
        if last is not None and last != SILENCE:
            classes.append(last)
            sources.append(len(symbols) - 1)
        classes.append(SILENCE)
        sources.append(len(symbols) - 1)
        items = durations.draw(classes, random)
        examples.append(Example(
            f"made-up/{len(examples)}", "made-up", np.array(ids_of(symbols), dtype=np.int16),
            np.array(classes, dtype=np.int16)[items], np.array(sources, dtype=np.int16)[items],
        ))  # fmt: skip
    return examples


def short_sentences(sentences: Iterator[str], seed: int, longest: int = 4) -> Iterator[str]:
    """One to ``longest`` words out of each sentence: alignment is found first where there is little to get lost in."""
    random = np.random.default_rng(seed)
    for sentence in sentences:
        words = sentence.rstrip(".?!").replace(",", "").split()
        count = int(random.integers(1, longest + 1))
        first = int(random.integers(max(1, len(words) - count)))
        yield " ".join(words[first : first + count]) + "."


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
            raise ConfigurationError("no examples with phones and codes", remedy="timbre pretrain quantizer")
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
