"""Consent by another speaker accepted, by the same refused, other words believed: python -m benchmarks.consent

Needs the shared speech data (TIMBRE_SHARED, or ../shared). A statement is 6 s of a speaker's clips, the voice 8 others;
words are a phrase of 24 phones that a clip holds, or one of another speaker's clip. Exit status 1 beyond a limit.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.validate_speakers import corpus_rows, shared_speech
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Samples
from timbre.core.base import load_base
from timbre.core.recipe import ValidateRecipe
from timbre.inference.speaker_groups import Vectors, least_likeness, likeness
from timbre.pipeline.bases.recogniser import recognising_base
from timbre.pipeline.stages.validate.listening import Listener
from timbre.pipeline.stages.validate.speakers import SpeakerEncoder
from timbre.text.alignment_score import log_softmax, phrase_score
from timbre.text.frontend import phonemize
from timbre.text.recognition import spoken_class_ids

_RATE_HZ = 16_000
_STATEMENT_S, _CLIPS, _PHRASE = 6.0, 8, 24
_OTHERS_LIMIT, _SAME_LIMIT = 0.02, 0.05
Row = tuple[Path, str, str, str]


@dataclass(frozen=True)
class Person:
    """One speaker."""

    statement: Vectors
    """Embedding (256,) of the statement."""
    voice: Vectors
    """Embeddings (n, 256) of the clips."""
    right: float
    """Score of a phrase that a clip holds, in nats a phone; 0 is perfect."""
    wrong: tuple[float, ...]
    """Scores of phrases of other people's clips in it."""


def phrase(text: str) -> tuple[int, ...]:
    """Classes of the first 24 phones of a text."""
    return tuple(spoken_class_ids(phonemize(text, "en").phones)[:_PHRASE])


def spoken(rows: Sequence[Row]) -> list[Samples]:
    """The rows' samples at 16 kHz."""
    return [resample(read(file), _RATE_HZ).samples for file, *_ in rows]


def listen(rows: Sequence[Row], foreign: Sequence[str], encoder: SpeakerEncoder, listener: Listener) -> Person:
    """Measure one speaker; foreign: texts that the speaker did not read in the first clip."""
    sounds = spoken(rows)
    seconds = np.cumsum([len(sound) for sound in sounds]) / _RATE_HZ
    used = int(np.searchsorted(seconds, _STATEMENT_S)) + 1
    statement = np.concatenate(sounds[:used])[: round(_STATEMENT_S * _RATE_HZ)]
    vectors = encoder.embed([statement, *sounds[used : used + _CLIPS]])
    chances = log_softmax(listener.scores(sounds[0]))
    return Person(
        vectors[0],
        vectors[1:],
        phrase_score(chances, phrase(rows[0][3])),
        tuple(phrase_score(chances, phrase(text)) for text in foreign),
    )


@click.command()
@click.option("--base", default="nano", show_default=True, help="Whose recogniser listens.")
@click.option("--every", default=1, show_default=True, help="Only every so many speakers.")
def main(base: str, every: int) -> None:
    """Measure the checks of consent on the speakers of speechocean762."""
    hears = recognising_base(load_base(base))
    if hears is None:
        raise click.ClickException(f"base {base}: no recogniser")
    rows = corpus_rows(shared_speech() / "speechocean762")
    names = sorted({row[1] for row in rows})[::every]
    chance, encoder, listener = random.Random(1), SpeakerEncoder(), Listener(hears)
    people = []
    for name in names:
        own = [row for row in rows if row[1] == name and len(phrase(row[3])) >= _PHRASE // 2]
        chance.shuffle(own)
        foreign = [row[3] for row in chance.sample(rows, 20) if row[3] != own[0][3] and len(phrase(row[3])) == _PHRASE]
        people.append(listen(own[: _CLIPS + 6], foreign[:3], encoder, listener))
    limits = ValidateRecipe()
    statements = np.stack([one.statement for one in people])
    found = [likeness(one.voice, statements) for one in people]
    least = [least_likeness(limits.min_consent_similarity, len(one.voice)) for one in people]
    accepted = (np.stack(found) >= np.asarray(least)[:, None]).T
    pairs = len(people) * (len(people) - 1)
    others, same = int(accepted.sum() - np.trace(accepted)), len(people) - int(np.trace(accepted))
    missed = sum(one.right < limits.min_consent_words for one in people)
    believed = [score >= limits.min_consent_words for one in people for score in one.wrong]
    refused = sum(not accepted[i, i] or one.right < limits.min_consent_words for i, one in enumerate(people))
    click.echo(f"{len(people)} speakers, similarity at least {limits.min_consent_similarity:g}")
    click.echo(f"another speaker accepted: {others} of {pairs} = {100 * others / pairs:.2f} % (limit 2 %)")
    click.echo(f"the same refused by the voice: {same} of {len(people)}, by the words: {missed} of {len(people)}")
    click.echo(f"the same refused: {refused} of {len(people)} = {100 * refused / len(people):.1f} % (limit 5 %)")
    click.echo(f"other words believed: {sum(believed)} of {len(believed)}")
    if others / pairs > _OTHERS_LIMIT or refused / len(people) > _SAME_LIMIT:
        sys.exit(1)


if __name__ == "__main__":
    main()
