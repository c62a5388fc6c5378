"""How long each sound lasts on nano: the table of text/phone_lengths.py, and how many runs of the graph it saves.

    python -m benchmarks.phone_lengths [--passes 2]

Speaks the texts of benchmarks/listener_texts.py as codes alone and counts how often a sound that has had so many codes
goes on. Prints a row a sound, then the runs for each code of other texts (evaluation/texts) with the table and without.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from benchmarks.listener import texts_of
from benchmarks.nano_engine import exported_nano
from timbre.core.base import load_base
from timbre.evaluation.texts import fixed_sentences
from timbre.inference.engine import Engine
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampler, Sampling
from timbre.inference.voice import Voice
from timbre.pipeline.release.zero_shot import zero_shot
from timbre.text.phone_codes import UNITS, TextPath
from timbre.text.phone_lengths import MOST
from timbre.text.recognition import CLASSES

RECORDINGS = {
    "en": ("awb/wavs/0001.flac", "wren/wavs/0001.flac", "kathleen/wavs/0001.ogg"),
    "zh": ("aishell/wavs/0001.flac", "lian/wavs/0001.flac"),
}
_SHARED = 8
"""Observations that the mean of all sounds counts for."""
_Counts = defaultdict[tuple[int, int], list[int]]


def spoken(
    engine: Engine, voices: Sequence[Voice], language: str, texts: Sequence[str], seed: int
) -> Iterator[tuple[list[int], list[int]]]:
    """(phones, codes) of every sentence."""
    for index, text in enumerate(texts):
        voice = voices[index % len(voices)]
        request = SpeechRequest(text, language=language, sampling=Sampling(seed=seed + index), check=False)
        planned, _ = engine._planner.plan(request, voice)
        for item in planned:
            job = engine.scheduler.submit(engine._planner.job(item, request, voice))
            yield item.ids.tolist(), list(job.codes())


def count(counts: _Counts, ids: list[int], codes: list[int]) -> None:
    """Adds what each sound but the last silence did: (class, codes so far) -> [went on, observed]."""
    path = TextPath.of(ids)
    if path is None:
        return
    for code in codes:
        at, stayed = path.place
        if 0 <= at < len(path._stops) - 1:
            found = counts[UNITS[path._stops[at].unit][0], min(stayed, MOST)]
            found[0] += code % 2
            found[1] += 1
        path.take(code)


def rows(counts: _Counts) -> list[str]:
    """As text/phone_lengths.py has them."""
    whole = {so_far: [sum(counts[key][side] for key in list(counts) if key[1] == so_far) for side in (0, 1)]
             for so_far in range(1, MOST + 1)}  # fmt: skip
    found = []
    for kind in sorted({kind for kind, _ in counts}, key=lambda kind: CLASSES[kind]):
        shares = []
        for so_far in range(1, MOST + 1):
            went, seen = counts[kind, so_far]
            share = whole[so_far][0] / max(1, whole[so_far][1])
            shares.append(round(100 * (went + _SHARED * share) / (seen + _SHARED)))
        found.append(f"{CLASSES[kind]} {' '.join(map(str, shares))}")
    return found


@click.command(help=__doc__)
@click.option(
    "--passes", default=2, show_default=True, help="How often every text is spoken, each time from other seeds."
)
@click.option("--keep", type=click.Path(path_type=Path), default=Path(".timbre/benchmarks"), show_default=True)
def main(passes: int, keep: Path) -> None:
    """Print the table and what it saves."""
    exported, counts = exported_nano(keep), _Counts(lambda: [0, 0])
    voices = {
        language: [zero_shot(exported, name.partition("/")[0], Path("voices") / name, language) for name in names]
        for language, names in RECORDINGS.items()
    }
    with Engine(exported) as engine:
        for kind, language, texts in texts_of(load_base("nano"), 10_000):
            for number in range(passes):
                click.echo(f"{kind}, pass {number + 1} ...", err=True)
                for ids, codes in spoken(engine, voices[language], language, texts, 1000 * (number + 1)):
                    count(counts, ids, codes)
    click.echo("\n".join(rows(counts)))
    expected = Sampler._expected
    for language in RECORDINGS:
        for name, how in (("with the table", expected), ("each sound as long as it mostly lasts", _known)):
            setattr(Sampler, "_expected", how)  # noqa: B010  (a method in place of another)
            with Engine(exported) as engine:
                others = fixed_sentences(language)[:20]
                total = sum(len(codes) for _, codes in spoken(engine, voices[language], language, others, 1))
                click.echo(f"{language}: {engine.scheduler.steps / total:.3f} runs a code, {name}")
    setattr(Sampler, "_expected", expected)  # noqa: B010


def _known(sampler: Sampler, path: TextPath) -> Mapping[int, float] | None:
    tally = sampler._foreseen.get(path.place)
    return None if tally is None else path.odds_of(tally, sampler._end)


if __name__ == "__main__":
    main()
