"""What the studio says of single takes: python -m benchmarks.studio_faults

60 good takes of four speakers, and 40 with one fault each: noise, clipping, other words, another speaker, too soft.
Each is judged after the good takes before it, as in the studio. Needs the shared speech data (TIMBRE_SHARED). Prints a
table, how many faults were named, how many good takes were called bad, and seconds a take.
"""

from __future__ import annotations

import io
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from benchmarks.validate_speakers import corpus_rows, shared_speech
from timbre.audio.reader import read
from timbre.core.base import load_base
from timbre.core.recipe import ValidateRecipe
from timbre.inference.speaker_groups import Vectors
from timbre.pipeline.stages.validate.listening import listener_for
from timbre.pipeline.stages.validate.one_clip import ClipJudge, ClipJudgement

_TAKES, _FAULTS = 15, 8
_LEAST_S, _MOST_S = 3.0, 10.0
# Full scale that phones and sound cards use; the corpora are softer or louder.
_SNR_DB, _SOFT_DBFS = 6.0, -55.0


@dataclass(frozen=True)
class Take:
    """A recording as the studio gets it."""

    samples: NDArray[np.float32]
    rate_hz: int
    text: str
    language: str


def takes_of(rows: list[tuple[Path, str, str, str]], speaker: str) -> list[Take]:
    """The first clips of a speaker that are as long as a line of the script."""
    found: list[Take] = []
    for path, who, language, text in rows:
        if who != speaker or len(found) == _TAKES or len(text) < 10:
            continue
        wave = read(path)
        if _LEAST_S <= wave.duration_s <= _MOST_S:
            found.append(Take(wave.samples, wave.rate_hz, text, language))
    return found


def speakers(speech: Path) -> dict[str, list[Take]]:
    """Four people: studio recordings, audio books and a telephone, in English and Mandarin."""
    found: dict[str, list[Take]] = {}
    for corpus, count in (("vctk", 1), ("ljspeech", 1), ("kathleen", 1), ("aishell", 1)):
        rows = corpus_rows(speech / corpus)
        names = sorted({who for _, who, _, _ in rows})
        complete = ((name, takes_of(rows, name)) for name in names)
        found |= dict([(name, takes) for name, takes in complete if len(takes) == _TAKES][:count])
    return found


def spoil(kind: str, take: Take, other: Take, rng: np.random.Generator) -> tuple[NDArray[np.float32], int, str]:
    """Samples, rate and text of a take with that fault."""
    level = float(np.sqrt(np.mean(take.samples**2)))
    if kind == "noise":
        noise = rng.normal(0, level * 10 ** (-_SNR_DB / 20), len(take.samples))
        return take.samples + noise.astype(np.float32), take.rate_hz, take.text
    if kind == "clipped":
        top = float(np.quantile(np.abs(take.samples), 0.95))
        return np.clip(take.samples, -top, top) / top * 0.99, take.rate_hz, take.text
    if kind == "soft":
        return take.samples * np.float32(10 ** (_SOFT_DBFS / 20) / level), take.rate_hz, take.text
    if kind == "words":
        return take.samples, take.rate_hz, other.text
    return other.samples, other.rate_hz, other.text


def main() -> None:
    """Prints the table."""
    judge = ClipJudge(ValidateRecipe(), 24_000, listener_for(load_base("nano")))
    rng, chance = np.random.default_rng(0), random.Random(0)
    people = speakers(shared_speech())
    earlier: dict[str, list[Vectors]] = {}
    wrong: list[str] = []
    seconds: list[tuple[float, float, float]] = []

    def judged(
        samples: NDArray[np.float32], rate_hz: int, text: str, language: str, before: list[Vectors]
    ) -> ClipJudgement:
        out = io.BytesIO()
        sf.write(out, np.clip(samples, -1, 1), rate_hz, format="FLAC", subtype="PCM_16")
        path = Path(folder) / "take.flac"
        path.write_bytes(out.getvalue())
        started, cpu = time.perf_counter(), time.process_time()
        found = judge.judge(path, text, language, before)
        # On a machine that others use, the clock says more about them; the processor's time is that of an idle core.
        seconds.append((time.perf_counter() - started, time.process_time() - cpu, len(samples) / rate_hz))
        return found

    with tempfile.TemporaryDirectory() as folder:
        for name, takes in people.items():
            earlier[name] = []
            for take in takes:
                found = judged(take.samples, take.rate_hz, take.text, take.language, earlier[name])
                if not found.good:
                    wrong.append(f"{name}: {take.text[:40]}: {'; '.join(str(p.value) for p in found.problems)}")
                elif found.vector is not None:
                    earlier[name].append(found.vector)
        print("| fault | takes | named |\n|---|---|---|")
        total = 0
        for kind in ("noise", "clipped", "words", "speaker", "soft"):
            named = 0
            for _ in range(_FAULTS):
                # Another person who reads the same language: nothing but the voice tells them apart.
                names = [who for who in sorted(people) if kind != "speaker" or people[who][0].language == "en"]
                name = chance.choice(names)
                language = people[name][0].language
                others = [who for who in sorted(people) if who != name and people[who][0].language == language]
                take, number = chance.choice(people[name]), chance.randrange(_TAKES)
                same = [item for item in people[name] if item.text != take.text]
                other = people[chance.choice(others)][number] if kind == "speaker" else chance.choice(same)
                samples, rate_hz, text = spoil(kind, take, other, rng)
                found = judged(samples, rate_hz, text, language, earlier[name])
                hit = any(problem.kind == kind for problem in found.problems)
                named += hit
                if not hit:
                    print(f"<!-- missed {kind}: {name}, {text[:40]}: {[p.value for p in found.problems]} -->")
            total += named
            print(f"| {kind} | {_FAULTS} | {named} |")
    print(f"\nfaults named: {total} of {5 * _FAULTS}; good takes called bad: {len(wrong)} of {len(people) * _TAKES}")
    print("\n".join(f"- {line}" for line in wrong))
    for title, column in (("clock", 0), ("processor", 1)):
        spent = [item[column] for item in seconds[1:]]
        long = [item[column] for item in seconds[1:] if 7 <= item[2] <= 9]
        print(f"{title}: {np.median(spent):.2f} s a take (median), {max(spent):.2f} s at most; ", end="")
        print(f"{len(long)} takes of 7 to 9 s: {np.median(long):.2f} s (median), {max(long):.2f} s at most")


if __name__ == "__main__":
    main()
