"""Takes that survive `kill -9`: python -m benchmarks.studio_crashes [--kills 50]

A process stores takes, deletes some and brings some back, as fast as it can, by what the studio writes with
(studio/book.py), and is killed at a random moment. Another one then opens the voice: every take that was acknowledged
must be there, bit by bit, apart from that of the line under way, and the folder must be whole.
"""

from __future__ import annotations

import hashlib
import os
import random
import select
import signal
import tempfile
import time
from pathlib import Path
from typing import IO

import click

from timbre.pipeline.voice.folder import open_voice
from timbre.pipeline.voice.metadata import FILE as METADATA
from timbre.pipeline.voice.new_voice import new_voice
from timbre.studio.book import Book
from timbre.studio.errors import StudioError

_LINES = 12
_LONGEST_S = 3.0


def work(voices: Path, chance: random.Random, tell: IO[str]) -> None:
    """Until it is killed. Tells "begin LINE" before and "done LINE SHA-256" after each change ("-" for a deletion)."""
    book = Book(voices, "ada")
    while True:
        key = f"{chance.randrange(1, _LINES + 1):04d}"
        line = book.line(key)
        print("begin", key, file=tell, flush=True)
        if line.file and chance.random() < 0.3:
            book.delete(key)
            print("done", key, "-", file=tell, flush=True)
        elif line.deleted and chance.random() < 0.3:
            book.bring_back(key)
            found = hashlib.sha256((voices / "ada/wavs" / f"{key}.flac").read_bytes()).hexdigest()
            print("done", key, found, file=tell, flush=True)
        else:
            data = chance.randbytes(chance.randrange(1_000, 200_000))
            book.take(key, data)
            print("done", key, hashlib.sha256(data).hexdigest(), file=tell, flush=True)


def run_and_kill(voices: Path, chance: random.Random, kept: dict[str, str]) -> tuple[str, int]:
    """One process, killed. Brings kept up to date; the line that was under way and how many changes were made."""
    reading, writing = os.pipe()
    seed = chance.random()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "w") as tell:
            work(voices, random.Random(seed), tell)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as told:
        select.select([told], [], [], 60)
        time.sleep(chance.uniform(0, _LONGEST_S))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        current, changes = "", 0
        for verb, key, *rest in (text.split() for text in told.read().decode().splitlines()):
            current = key if verb == "begin" else ""
            if verb == "done":
                kept[key] = rest[0]
                changes += 1
    return current, changes


def digest_of(voice: Path, key: str) -> str:
    """SHA-256 of the take of a line, "-" for none."""
    path = voice / "wavs" / f"{key}.flac"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "-"


@click.command()
@click.option("--kills", type=int, default=50, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(kills: int, seed: int) -> None:
    """Prints how many takes were lost."""
    chance, kept = random.Random(seed), dict[str, str]()
    lost, broken, total, within = 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        voices = Path(folder) / "voices"
        voice = new_voice(Path(folder), "ada", "en").folder
        (voice / METADATA).write_text("file|text\n", encoding="utf-8")
        for _ in range(kills):
            current, changes = run_and_kill(voices, chance, kept)
            total, within = total + changes, within + bool(current)
            book = Book(voices, "ada")
            for key, expected in kept.items():
                found = digest_of(voice, key)
                if key != current:
                    lost += found != expected
                elif found == "-" and expected != "-":
                    # Deleted at that moment: the take must come back.
                    try:
                        book.bring_back(key)
                    except StudioError:
                        lost += 1
                kept[key] = digest_of(voice, key)
            problems = [item for item in open_voice(voice).problems if "consent" not in item.where]
            problems = [item for item in problems if item.value != "no row"]
            remains = [path for path in voice.rglob(".*") if path.suffix not in ("", ".gitkeep") and path.is_file()]
            broken += bool(problems or remains)
            for item in [*problems, *remains]:
                print(f"<!-- {item} -->")
    print(f"kills: {kills}, {within} of them within a change; changes: {total}")
    print(f"takes lost besides that of the line under way: {lost}; folders not whole: {broken}")
    # Without changes that went well between the kills nothing was shown.
    raise SystemExit(bool(lost or broken or total < kills))


if __name__ == "__main__":
    main()
