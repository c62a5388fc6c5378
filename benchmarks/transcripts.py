"""Shifted and exchanged texts that stage 1 finds, and right ones it doubts: python -m benchmarks.transcripts

Needs the shared speech data (TIMBRE_SHARED, or ../shared). Prints one line a speaker, then the sums.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from benchmarks.validate_speakers import corpus_rows, shared_speech
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.core.base import load_base
from timbre.pipeline.bases.recogniser import recognising_base
from timbre.pipeline.stages.validate.listening import Listener
from timbre.pipeline.stages.validate.transcripts import Spoken, find_mismatches
from timbre.text.frontend import phonemize
from timbre.text.recognition import spoken_class_ids

_KINDS = ("right", "shifted", "exchanged")


def heard(listener: Listener, rows: Sequence[tuple[Path, str, str, str]]) -> list[Spoken]:
    """Recordings of one speaker with their own texts."""
    found = []
    for file, _, language, text in rows:
        phones = spoken_class_ids(phonemize(text, language).phones)
        scores = listener.scores(resample(read(file), 16_000).samples)
        found.append(Spoken(file.name, text, phones, scores.astype(np.float16)))
    return found


def with_texts(spoken: Sequence[Spoken], order: Sequence[int]) -> list[Spoken]:
    """The same recordings, each with the text of another one."""
    return [
        Spoken(item.clip, spoken[i].text, spoken[i].phones, item.scores) for item, i in zip(spoken, order, strict=True)
    ]


def doubted(spoken: Sequence[Spoken]) -> bool:
    """Whether stage 1 finds something certain."""
    found, _ = find_mismatches(spoken, [item.clip for item in spoken])
    return any(item.certain for item in found)


@click.command()
@click.option("--base", default="nano", show_default=True, help="Whose recogniser listens.")
@click.option("--clips", default=12, show_default=True, help="Recordings of each speaker.")
@click.option("--every", default=1, show_default=True, help="Only every so many speakers.")
def main(base: str, clips: int, every: int) -> None:
    """Measure the check of transcripts on the speakers of speechocean762."""
    hears = recognising_base(load_base(base))
    if hears is None:
        raise click.ClickException(f"base {base}: no recogniser")
    listener, rows = Listener(hears), corpus_rows(shared_speech() / "speechocean762")
    names = sorted({row[1] for row in rows})[::every]
    sums = dict.fromkeys(_KINDS, 0)
    for name in names:
        chance = random.Random(name)
        own = [row for row in rows if row[1] == name]
        chance.shuffle(own)
        spoken = heard(listener, own[:clips])
        order = list(range(len(spoken)))
        one, other = chance.sample(order, 2)
        exchanged = [other if i == one else one if i == other else i for i in order]
        orders = dict(zip(_KINDS, (order, order[1:] + order[:1], exchanged), strict=True))
        results = {kind: doubted(with_texts(spoken, places)) for kind, places in orders.items()}
        for kind, found in results.items():
            sums[kind] += found
        click.echo(f"{name}: " + ", ".join(f"{kind} {'doubted' if r else 'believed'}" for kind, r in results.items()))
    click.echo(f"{len(names)} speakers; doubted: " + ", ".join(f"{kind} {count}" for kind, count in sums.items()))


if __name__ == "__main__":
    main()
