"""Is it the same person? False alarms and strangers let in: python -m benchmarks.studio_speakers [--vectors FILE.npz]

122 people of speechocean762, eight sentences each, all recorded alike: a stranger differs in nothing but the voice, and
is of the same sex. In two halves by the SHA-256 of their names: limits are set on the first and judged on the second.
Then 10 people of LibriSpeech (test-other), ten sentences each. None of them is in benchmarks.studio_faults. Compared
are the likeness of stage 1 and the studio with its limit, and what it replaced, the cosine to the mean of the takes.

Needs the shared speech data (TIMBRE_SHARED). --vectors keeps the embeddings, which take minutes on one core.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.speakers import CORPUS
from benchmarks.validate_speakers import corpus_rows, shared_speech
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.core.recipe import ValidateRecipe
from timbre.inference.speaker_groups import Vectors, least_likeness, likeness
from timbre.pipeline.stages.validate.speakers import SpeakerEncoder

_SENTENCES, _SHORTEST_S, _MOST_S = 8, 2.2, 10.0
_TAKES = (1, 2, 3, 5, 7)
_STATEMENT = 2
_TOGETHER = 16
_BEFORE, _CONSENT_BEFORE = 0.66, 0.84
People = Mapping[str, Vectors]
Scores = NDArray[np.float64]
Score = Callable[[Vectors, Vectors], Scores]


def to_mean(voice: Vectors, vectors: Vectors) -> Scores:
    """Cosine of vectors (m, d) to the mean of the voice's (n, d), as it was before."""
    total = voice.sum(axis=0)
    return np.asarray(vectors @ (total / np.linalg.norm(total)), np.float64)


def learners(speech: Path) -> Iterator[tuple[Path, str]]:
    """The first sentences of each speaker that are long enough for an embedding."""
    counts: dict[str, int] = {}
    lines = (speech / CORPUS / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]
    seconds = [float(line.rpartition("|")[2]) for line in lines]
    for (path, who, _, _), length in zip(corpus_rows(speech / CORPUS), seconds, strict=True):
        if length >= _SHORTEST_S and counts.setdefault(who, 0) < _SENTENCES:
            counts[who] += 1
            yield path, who


def embedded(files: Sequence[tuple[Path, str]]) -> dict[str, Vectors]:
    """Embeddings (n, d) by speaker."""
    encoder = SpeakerEncoder()
    found: dict[str, list[Vectors]] = {}
    for start in range(0, len(files), _TOGETHER):
        part = files[start : start + _TOGETHER]
        waves = [resample(read(path), 16_000) for path, _ in part]
        vectors = encoder.embed([wave.samples[: round(_MOST_S * wave.rate_hz)] for wave in waves])
        for (_, who), vector in zip(part, vectors, strict=True):
            found.setdefault(who, []).append(vector)
    return {who: np.stack(vectors) for who, vectors in found.items()}


def readers(speech: Path) -> list[tuple[Path, str]]:
    """LibriSpeech, those with several clips."""
    files = [(path, path.name.partition("-")[0]) for path in sorted((speech / "librispeech-speakers").glob("*.ogg"))]
    names = [who for _, who in files]
    return [(path, who) for path, who in files if names.count(who) > 1]


def trials(people: People, alike: Callable[[str, str], bool], takes: int, score: Score) -> tuple[Scores, Scores]:
    """Scores of the same person (each sentence against `takes` others) and of strangers (two sentences of each)."""
    same = [
        score(np.delete(vectors, index, axis=0)[:takes], vectors[index : index + 1])
        for vectors in people.values()
        for index in range(len(vectors))
    ]
    other = [
        score(vectors[:takes], people[stranger][:2])
        for who, vectors in people.items()
        for stranger in people
        if stranger != who and alike(who, stranger)
    ]
    return np.concatenate(same), np.concatenate(other)


def statements(people: People, alike: Callable[[str, str], bool], takes: int, score: Score) -> tuple[Scores, Scores]:
    """The same of a statement of two sentences, whose embedding is the mean of theirs, against `takes` others."""

    def made(vectors: Vectors) -> Vectors:
        total = vectors[-_STATEMENT:].sum(axis=0)
        return np.asarray((total / np.linalg.norm(total))[None], np.float32)

    same = [score(vectors[:takes], made(vectors)) for vectors in people.values()]
    other = [
        score(vectors[:takes], made(people[stranger]))
        for who, vectors in people.items()
        for stranger in people
        if stranger != who and alike(who, stranger)
    ]
    return np.concatenate(same), np.concatenate(other)


def equal_error(same: Scores, other: Scores) -> float:
    """Share of errors at the limit where both kinds are equally frequent."""
    limits = np.unique(same)
    return float(min(max(np.mean(same < limit), np.mean(other >= limit)) for limit in limits))


def table(name: str, people: People, alike: Callable[[str, str], bool]) -> None:
    """Rows of the printed table."""
    recipe = ValidateRecipe()
    for what, measure, before, after, counts in (
        ("take", trials, _BEFORE, recipe.min_speaker_similarity, _TAKES),
        ("statement", statements, _CONSENT_BEFORE, recipe.min_consent_similarity, (1, 3, _SENTENCES - _STATEMENT)),
    ):
        for takes in counts:
            cells = []
            for score, limit in ((to_mean, before), (likeness, least_likeness(after, takes))):
                same, other = measure(people, alike, takes, score)
                wrong = f"{np.mean(same < limit):.1%}", f"{np.mean(other >= limit):.1%}"
                cells += [f"{limit:.2f}", *wrong, f"{equal_error(same, other):.1%}"]
            pairs = f"{len(same)} / {len(other)}"
            click.echo(f"| {name} | {what} | {takes} | {pairs} | {' | '.join(cells)} |")


@click.command()
@click.option("--vectors", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Keeps the embeddings.")
def main(vectors: Path | None) -> None:
    """Prints a Markdown table."""
    speech = shared_speech()
    if vectors is not None and vectors.is_file():
        people: dict[str, Vectors] = dict(np.load(vectors))
    else:
        people = embedded([*learners(speech), *readers(speech)])
        if vectors is not None:
            np.savez(vectors, **people)
    rows = (speech / CORPUS / "speakers.csv").read_text(encoding="utf-8").splitlines()[1:]
    sex = {row.split("|")[0]: row.split("|")[1] for row in rows}
    found: dict[str, dict[str, Vectors]] = {"first half": {}, "second half": {}, "LibriSpeech": {}}
    for who, own in people.items():
        odd = int(hashlib.sha256(who.encode()).hexdigest(), 16) % 2
        where = "LibriSpeech" if who not in sex else "second half" if odd else "first half"
        if where == "LibriSpeech" or len(own) == _SENTENCES:
            found[where][who] = own
    click.echo(
        "| people | what | takes before | same / strangers | limit before | refused | let in | equal error | ", nl=False
    )
    click.echo("limit now | refused | let in | equal error |")
    click.echo("|" + "---|" * 12)
    for name, group in found.items():
        table(f"{name}, {len(group)}", group, lambda one, two: sex.get(one) == sex.get(two))


if __name__ == "__main__":
    main()
