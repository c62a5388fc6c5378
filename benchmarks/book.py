"""A book through `timbre read` on nano, in a process of its own: growth of memory, and sentences that were not spoken.

    python -m benchmarks.book --words 100000

Made-up sentences in paragraphs and chapters. Memory is read every second; growth is the most after a fifth of the book
over the most until then. Then the base's own recogniser hears every passage: a sentence of which less than a third of
the phones is heard, in their order, was dropped. As a control each passage is compared with a text that has one
sentence more, which must be found missing.
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
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.many_voices import RECORDING, publish
from benchmarks.nano_engine import exported_nano
from benchmarks.server import report
from tests.serving.shelf_of_voices import Shelf
from timbre.audio.reader import read
from timbre.inference.recogniser import Recogniser
from timbre.pipeline.books.files import read_book
from timbre.pipeline.books.reading import RECORD, passages
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


def sentence(chance: random.Random) -> str:
    """Eight to fourteen words."""
    who, did, where, when = (chance.choice(words.split("|")) for words in (WHO, DID, WHERE, WHEN))
    text = f"{who} {did} {chance.choice(f'{WHAT}|{MORE}'.split('|'))} {where} {when}"
    return f"{text[0].upper()}{text[1:]}."


def write_book(path: Path, words: int, chance: random.Random) -> int:
    """A text of chapters with at least so many words; how many it has."""
    lines: list[str] = []
    count = 0
    while count < words:
        if not lines or count // 2500 > (count - len(lines[-1].split())) // 2500:
            lines.append(f"# Chapter {sum(line.startswith('#') for line in lines) + 1}")
        paragraph = " ".join(sentence(chance) for _ in range(chance.randint(2, 6)))
        lines.append(paragraph)
        count += len(paragraph.split())
    path.write_text("\n\n".join(lines), encoding="utf-8")
    return count


@dataclass(frozen=True)
class Growth:
    """Resident memory of the reader, MiB."""

    early: float
    """The most until a fifth of the passages was read."""
    late: float
    """The most after that."""


def read_it(book: Path, target: Path, registry: Path, cache: Path) -> Growth:
    """Runs `timbre read` to its end. Raises CalledProcessError when it fails."""
    total = sum(bool(item.text) for item in passages(read_book(book)))
    command = [sys.executable, "-m", "timbre.cli.main", "read", str(book), "v0000", "-o", str(target), "--keep-parts"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cache)}
    process = subprocess.Popen([*command, "--registry", str(registry)], cwd=book.parent, env=environment)
    record, early, late = target.with_name(f"{target.name}.parts") / RECORD, 0.0, 0.0
    while process.poll() is None:
        time.sleep(1)
        try:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            mib = int(status.split("VmRSS:")[1].split()[0]) / 1024
            done = record.read_bytes().count(b"\n") if record.is_file() else 0
        except (OSError, IndexError):
            continue  # it ended
        if done < total / 5:
            early = max(early, mib)
        else:
            late = max(late, mib)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Growth(early, late)


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


def listen(book: Path, parts: Path, ear: Recogniser, chance: random.Random) -> tuple[list[str], int, int, int]:
    """Dropped sentences; how many were heard; controls that were found missing, and all of them."""
    dropped, count, found, controls = [], 0, 0, 0
    for passage in passages(read_book(book)):
        if not passage.text:
            continue
        sentences = list(split(passage.text))
        heard = ear.hear(read(parts / passage.file, LONGEST_S)) if (parts / passage.file).is_file() else []
        phones = [spoken_class_ids(phonemize(item, "en").phones) for item in sentences]
        dropped += [f"{passage.file}: {sentences[number]}" for number in missing(heard, phones)]
        count += len(sentences)
        place = chance.randint(0, len(phones))
        phones.insert(place, spoken_class_ids(phonemize(sentence(chance), "en").phones))
        controls += 1
        found += place in missing(heard, phones)
    return dropped, count, found, controls


@click.command()
@click.option("--words", default=2000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), default=Path(".timbre/benchmarks"), show_default=True,
              help="Where nano's exported graphs are kept between runs.")  # fmt: skip
@click.option("--recording", type=click.Path(path_type=Path, exists=True), default=RECORDING, show_default=True)
def main(words: int, seed: int, keep: Path, recording: Path) -> None:
    """Prints every figure with its limit; exit code 1 when one is missed."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="timbre-bench-") as temporary:
        folder = Path(temporary)
        base = exported_nano(keep)
        shelf = Shelf(folder / "registry", base.folder)
        publish(shelf, 1, recording)
        book, target = folder / "book.md", folder / "book.m4b"
        count = write_book(book, words, chance)
        began = time.monotonic()
        growth = read_it(book, target, shelf.folder, folder / "cache")
        click.echo(f"{count} words read in {time.monotonic() - began:.0f} s, {target.stat().st_size / 1e6:.1f} MB")
        parts = target.with_name(f"{target.name}.parts")
        below = sum(len(json.loads(line).get("below", ())) for line in (parts / RECORD).read_text().splitlines())
        dropped, sentences, found, controls = listen(book, parts, Recogniser(base), chance)
    words_ = f"{growth.early:.0f} MiB in the first fifth, {growth.late:.0f} after it"
    fine = report("memory growth", growth.late / growth.early - 1, LIMITS["growth"], words_)
    words_ = f"of {sentences} sentences; {below} missed the engine's own limits after its attempts"
    fine = report("dropped sentences", len(dropped), LIMITS["dropped"], words_) and fine
    fine = report("controls not found missing", controls - found, 0, f"of {controls}") and fine
    for line in dropped[:10]:
        click.echo(f"    {line}")
    sys.exit(not fine)


if __name__ == "__main__":
    main()
