"""Fits the network that hears Mandarin tones (evaluation/metrics/tones.py), and measures it on speech it did not see.

    python -m benchmarks.fit_tones [--clips 1100] [--cache FOLDER] [--write]

Speech: train/ of AISHELL and the teacher's Mandarin (TIMBRE_SHARED, or ../shared); never fitted on: eval/ of AISHELL,
and every clip in which one of two teacher voices has a share. nano's recogniser places the syllables, Praat tracks F0.
Printed, for fitted and unseen speech: syllables whose tone is heard as another one, as they are, with one pitch
throughout, upside down, and held to the tones of other syllables. --write: into the package.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.tones import MELODIES as WRONG_MELODIES
from benchmarks.tones import nano_recogniser
from benchmarks.validate_speakers import corpus_rows, shared_speech
from timbre.audio.reader import read
from timbre.core.table import Table
from timbre.evaluation.degradation import Heights
from timbre.evaluation.metrics.errors import UnmeasurableError
from timbre.evaluation.metrics.prosody import pitch_track
from timbre.evaluation.metrics.tones import TONES, WEIGHTS, Syllable, ToneNetwork, Track, contours, syllables_of
from timbre.text.frontend import phonemize

UNSEEN_VOICES = ("zf_xiaoni", "zm_yunjian")
FITTED, UNSEEN_READER, UNSEEN_TEACHER = "fitted", "AISHELL, eval/", "teacher, unseen voices"
HIDDEN, STEPS, BATCH, RATE, DECAY = 32, 3000, 512, 3e-3, 0.05
JITTER_S, COPIES = 0.02, 4
"""Syllables are moved by so much at random in so many copies of the speech: no recogniser places them exactly."""

MELODIES: Mapping[str, Callable[[Heights], Heights]] = {
    "as it is": lambda heights: heights,
    **{name: WRONG_MELODIES[name] for name in ("one pitch", "upside down")},
}
"""log F0 of the voiced frames [N] -> others."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip with its syllables and its melody."""

    group: str
    """FITTED or one of the two that are not."""
    syllables: tuple[Syllable, ...]
    """Of its text, placed."""
    track: Track
    """Its F0."""


def listed(speech: Path, count: int) -> list[tuple[str, Path, str]]:
    """(group, file, text): all of the unseen reader, then `count` others, readers and teacher in turn."""
    rows = [(file, text) for file, _, _, text in corpus_rows(speech / "aishell")]
    unseen = [(UNSEEN_READER, file, text) for file, text in rows if file.parent.name == "eval"]
    read_aloud = [(FITTED, file, text) for file, text in rows if file.parent.name != "eval"]
    lines = (speech / "teacher" / "zh" / "clips.jsonl").read_text(encoding="utf-8").splitlines()
    taught = []
    for clip in map(json.loads, lines):
        hidden = any(name in UNSEEN_VOICES for name, _ in clip["voice"])
        file = speech / "teacher" / "zh" / f"{clip['id']}.ogg"
        taught.append((UNSEEN_TEACHER if hidden else FITTED, file, str(clip["text"])))
    draw = random.Random(1)
    draw.shuffle(read_aloud)
    draw.shuffle(taught)
    mixed = [item for pair in zip(read_aloud, taught, strict=False) for item in pair]
    return unseen + (mixed + taught[len(read_aloud) :])[:count]


def clips_of(items: Sequence[tuple[str, Path, str]], cache: Path | None) -> Iterator[Clip]:
    """Each clip as the network sees it; one whose text does not fit is left out. cache: of what takes long."""
    recogniser = nano_recogniser()
    for group, file, text in items:
        kept = cache / f"{file.stem}.npz" if cache is not None else None
        if kept is not None and kept.is_file():
            with np.load(kept, allow_pickle=False) as arrays:
                heard = {name: arrays[name] for name in ("logits", "t", "f0")}
        else:
            wave = read(file)
            seconds, f0 = pitch_track(wave.samples, wave.rate_hz)
            heard = {"logits": recogniser.logits(wave).astype(np.float16), "t": seconds, "f0": f0}
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                np.savez(kept, **heard)
        try:
            syllables = syllables_of(phonemize(text, "zh").phones, heard["logits"].astype(np.float32))
        except UnmeasurableError:
            continue
        if syllables:
            yield Clip(group, tuple(syllables), (heard["t"].astype(np.float64), heard["f0"].astype(np.float64)))


def with_melody(track: Track, melody: Callable[[Heights], Heights]) -> Track:
    """The same voiced frames with other pitches."""
    seconds, f0 = track
    changed, voiced = f0.copy(), f0 > 0
    if voiced.any():
        changed[voiced] = np.exp(melody(np.log(f0[voiced])))
    return seconds, changed


def examples(
    clips: Sequence[Clip], melody: Callable[[Heights], Heights], jitter: np.random.Generator | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(inputs [N, D], tones [N] from 0) of all syllables that have a tone."""
    inputs, tones = [], []
    for clip in clips:
        syllables = list(clip.syllables)
        if jitter is not None:
            moved = jitter.normal(0.0, JITTER_S, (len(syllables), 3))
            syllables = [
                replace(item, start_s=item.start_s + a, final_s=item.final_s + b, end_s=item.end_s + c)
                for item, (a, b, c) in zip(syllables, moved, strict=True)
            ]
        try:
            rows = contours(syllables, with_melody(clip.track, melody))
        except UnmeasurableError:
            continue
        toned = [number for number, item in enumerate(syllables) if item.tone <= TONES]
        inputs.append(rows[toned])
        tones += [syllables[number].tone - 1 for number in toned]
    return np.concatenate(inputs), np.asarray(tones, np.int64)


def fit(inputs: NDArray[np.float32], tones: NDArray[np.int64]) -> ToneNetwork:
    """By cross entropy; every tone counts as much as its syllables."""
    import torch

    torch.manual_seed(1)
    mean, spread = inputs.mean(0), inputs.std(0) + 1e-3
    seen, wanted = torch.from_numpy((inputs - mean) / spread), torch.from_numpy(tones)
    first, last = torch.nn.Linear(seen.shape[1], HIDDEN), torch.nn.Linear(HIDDEN, TONES)
    optimizer = torch.optim.AdamW([*first.parameters(), *last.parameters()], lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(0, len(seen), (BATCH,))
        loss = torch.nn.functional.cross_entropy(last(torch.tanh(first(seen[chosen]))), wanted[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    def layer(linear: Any) -> NDArray[np.float32]:
        return np.concatenate([linear.weight.detach().numpy().T, linear.bias.detach().numpy()[None]])

    return ToneNetwork(mean, spread, layer(first), layer(last))


def wrong_share(network: ToneNetwork, inputs: NDArray[np.float32], tones: NDArray[np.int64]) -> float:
    """Share of the syllables that are heard with another tone."""
    return float(np.mean(network.scores(inputs).argmax(1) != tones))


@click.command(help=__doc__)
@click.option("--clips", default=1100, show_default=True, help="Beside those of AISHELL's eval/.")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help="Keep what the recogniser hears here.")
@click.option("--write", "overwrite", is_flag=True, help="Overwrite the network of the package.")
def main(clips: int, cache: Path | None, overwrite: bool) -> None:
    """Fit, print, write."""
    found = list(clips_of(listed(shared_speech(), clips), cache))
    groups = {name: [clip for clip in found if clip.group == name] for name in (FITTED, UNSEEN_READER, UNSEEN_TEACHER)}
    jitter = np.random.default_rng(1)
    parts = [examples(groups[FITTED], MELODIES["as it is"], jitter) for _ in range(COPIES)]
    network = fit(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
    target = WEIGHTS if overwrite else (cache or Path(".timbre")) / "tones.npz"
    network.write(target)
    click.echo(f"{target}: {target.stat().st_size} bytes")
    rows = []
    for name, own in groups.items():
        shares = []
        for melody in MELODIES.values():
            inputs, tones = examples(own, melody)
            shares.append(f"{100 * wrong_share(network, inputs, tones):.1f}")
        inputs, tones = examples(own, MELODIES["as it is"])
        shares.append(f"{100 * wrong_share(network, inputs, np.random.default_rng(2).permutation(tones)):.1f}")
        rows.append((name, str(len(own)), str(len(tones)), *shares))
    head = ("tones heard as another one, %", "clips", "syllables", *MELODIES, "other tones")
    click.echo(Table(head, rows).markdown())


if __name__ == "__main__":
    main()
