"""Mandarin tones by the melody of each syllable: which of the four it has, whatever the text says.

sound, log probabilities of the recogniser, phones of the text -> place of each syllable -> F0 in and around it, beside
the speaker's own range -> a small network (evaluation/data/tones.npz) -> tone

The recogniser says where a syllable sounds and knows no tones; the network sees F0 and time alone, no text, so that no
context makes it forgive a tone. It is fitted by benchmarks/fit_tones.py. Neutral tones take their height from the
syllable before them and are not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timbre.audio.waveform import Waveform
from timbre.core.digests import digest_file
from timbre.evaluation.metrics.errors import UnmeasurableError
from timbre.evaluation.metrics.prosody import pitch_track
from timbre.text.alignment_score import log_softmax
from timbre.text.edit_distance import EditCounts
from timbre.text.forced_path import best_path, states_of
from timbre.text.phone_codes import NEUTRAL, tone_of
from timbre.text.recognition import BLANK, MANDARIN_INITIALS, SILENCE, class_of

LANGUAGE = "zh"
TONES = 4
WEIGHTS = Path(__file__).parents[1] / "data" / "tones.npz"
LEAST_SYLLABLES = 4
"""Fewer tell no range of the speaker from a tone."""
LEAST_VOICED_S = 0.3

_FRAME_S, _FIRST_S = 0.02, 0.0125
_TAIL_S = 0.3
"""How long a final may sound on after its last frame where nothing follows: recognisers mark its beginning only."""
_LEAST_SPREAD = 2.0
"""Semitones: a flat voice is not stretched until its tracker's noise is a melody."""
_FARTHEST = 4.0
_CONTOUR = 6
_OFFSETS_S = np.arange(-7, 10) * 0.04
_NEIGHBOURS = (-2, -1, 1, 2)
_APART_S = 0.6

Floats = NDArray[np.float64]
Track = tuple[Floats, Floats]
"""Seconds [N] of frames and F0 in Hz [N], 0 where unvoiced."""


@dataclass(frozen=True)
class Syllable:
    """One syllable of a text and where it sounds."""

    tone: int
    """As the text is to be read, 1 to 5 (neutral)."""
    start_s: float
    """Of its initial, or of its final where it has none."""
    final_s: float
    """Where its final is first heard."""
    end_s: float
    """Where the next sound begins, or its own tail ends."""


def syllables_of(phones: Sequence[str], logits: NDArray[np.float32]) -> list[Syllable]:
    """Mandarin syllables of phones of the v2 table, placed by scores [T, K] of a recogniser at 50 frames a second.

    Raises UnmeasurableError where the sound is too short for the text.
    """
    chances = log_softmax(logits).astype(np.float64)
    chances[:, SILENCE] = np.logaddexp(chances[:, SILENCE], chances[:, BLANK])
    kinds = [(kind, place) for place, phone in enumerate(phones) if (kind := class_of(phone)) is not None]
    classes, costs = states_of([kind for kind, _ in kinds], pause_cost=0.0)
    path, _ = best_path(chances, classes, costs)
    if not path:
        raise UnmeasurableError(f"tones: {len(logits)} frames are too few for {len(kinds)} phones")
    places = [place for kind, place in kinds if kind != SILENCE]
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for frame, state in enumerate(path):
        if state % 2:
            first.setdefault(state // 2, frame * _FRAME_S + _FIRST_S)
            last[state // 2] = frame * _FRAME_S + _FIRST_S
    found = []
    for number, place in enumerate(places):
        if not (tone := tone_of(phones[place])):
            continue
        begun = number > 0 and places[number - 1] == place - 1 and phones[place - 1] in MANDARIN_INITIALS
        end = min(first.get(number + 1, np.inf), last[number] + _TAIL_S)
        found.append(Syllable(tone, first[number - begun], first[number], end))
    return found


def contours(syllables: Sequence[Syllable], track: Track) -> NDArray[np.float32]:
    """What the network sees of each syllable, [N, D]. Raises UnmeasurableError with less than 0.3 s of voice."""
    seconds, f0 = track
    voiced = f0 > 0
    if voiced.sum() * 0.01 < LEAST_VOICED_S:
        raise UnmeasurableError(f"tones: {voiced.sum() * 0.01:.2f} s of voice are too little for a melody")
    heights = 12.0 * np.log2(f0[voiced] / 100.0)
    low, middle, high = np.quantile(heights, (0.16, 0.5, 0.84))
    scaled = np.clip((heights - middle) / max(_LEAST_SPREAD, (high - low) / 2), -_FARTHEST, _FARTHEST)
    melody = _Melody(seconds, voiced, np.interp(seconds, seconds[voiced], scaled))
    rows = [[*_own(item, melody), *_around(syllables, number, melody)] for number, item in enumerate(syllables)]
    return np.asarray(rows, np.float32).reshape(len(syllables), -1)


@dataclass(frozen=True, eq=False)
class _Melody:
    """F0 of a sound in its speaker's own range."""

    seconds: Floats
    """[N], of frames."""
    voiced: NDArray[np.bool_]
    """[N]"""
    heights: Floats
    """[N], 0 is the median and 1 a spread above it; straight lines where unvoiced."""

    def inside(self, item: Syllable) -> NDArray[np.bool_]:
        return (self.seconds >= item.start_s) & (self.seconds < item.end_s)


def _own(item: Syllable, melody: _Melody) -> list[float]:
    """The contour of a syllable from its first voiced frame to its last, and where these are."""
    inside = melody.inside(item)
    voiced = inside & melody.voiced
    seconds, heights = melody.seconds[voiced], melody.heights[voiced]
    if len(seconds) < 3:
        return [0.0] * (_CONTOUR + 5)
    points = np.interp(np.linspace(seconds[0], seconds[-1], _CONTOUR), seconds, heights)
    centred = seconds - seconds.mean()
    slope = float(np.dot(centred, heights) / np.dot(centred, centred))
    share = len(seconds) / max(1, int(inside.sum()))
    edges = (seconds[0] - item.final_s, seconds[-1] - item.final_s)
    return [*points, 1.0, *edges, share, float(np.clip(slope / 5, -3, 3))]


def _around(syllables: Sequence[Syllable], number: int, melody: _Melody) -> list[float]:
    """The melody at fixed times from the final, the distances of the neighbours, their mean heights, the position."""
    item, last = syllables[number], len(syllables) - 1
    nearest = np.rint((item.final_s + _OFFSETS_S - melody.seconds[0]) / 0.01).astype(int)
    places = np.clip(nearest, 0, len(melody.seconds) - 1)
    before = item.final_s - syllables[number - 1].final_s if number else _APART_S
    after = syllables[number + 1].final_s - item.final_s if number < last else _APART_S
    found = [item.start_s - item.final_s, item.end_s - item.final_s, min(before, _APART_S), min(after, _APART_S)]
    found += [*melody.heights[places], *melody.voiced[places].astype(float)]
    for step in _NEIGHBOURS:
        there = 0 <= number + step <= last
        voiced = melody.inside(syllables[number + step]) & melody.voiced if there else np.zeros(0, bool)
        found += [float(melody.heights[voiced].mean()), 1.0] if voiced.any() else [0.0, 0.0]
    return [*found, number / max(1, last)]


@dataclass(frozen=True, eq=False)
class ToneNetwork:
    """One hidden layer."""

    mean: NDArray[np.float32]
    """[D], of the inputs."""
    spread: NDArray[np.float32]
    """[D], their standard deviation."""
    hidden: NDArray[np.float32]
    """[D + 1, H], the last row is the bias."""
    output: NDArray[np.float32]
    """[H + 1, 4], the last row is the bias."""

    def scores(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inputs [N, D] -> scores of the four tones [N, 4], not normalised."""
        seen = np.tanh((inputs - self.mean) / self.spread @ self.hidden[:-1] + self.hidden[-1])
        return np.asarray(seen @ self.output[:-1] + self.output[-1], np.float32)

    def write(self, path: Path) -> None:
        """As half floats."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {"mean": self.mean, "spread": self.spread, "hidden": self.hidden, "output": self.output}
        np.savez(path, **{name: values.astype(np.float16) for name, values in arrays.items()})


@cache
def tone_network(path: Path = WEIGHTS) -> ToneNetwork:
    """The network that comes with the package."""
    with np.load(path, allow_pickle=False) as arrays:
        return ToneNetwork(*(arrays[name].astype(np.float32) for name in ("mean", "spread", "hidden", "output")))


def heard_tones(syllables: Sequence[Syllable], track: Track) -> list[int]:
    """Tone, 1 to 4, of each syllable by its melody. Raises UnmeasurableError as contours does."""
    scores = tone_network().scores(contours(syllables, track))
    return [int(tone) for tone in scores.argmax(1) + 1]


def tone_errors(wave: Waveform, logits: NDArray[np.float32], phones: Sequence[str]) -> EditCounts:
    """How many syllables that have a tone are heard with another one.

    logits: of the recogniser for the wave, [T, K] at 50 frames a second; phones: of the text. Raises UnmeasurableError
    with fewer than four such syllables, for a sound that is too short or has too little voice, and ConfigurationError
    as pitch_track does.
    """
    toned = sum(tone_of(phone) not in (0, NEUTRAL) for phone in phones)
    if toned < LEAST_SYLLABLES:
        raise UnmeasurableError(f"tones: {toned} syllables with a tone, at least {LEAST_SYLLABLES} are needed")
    syllables = syllables_of(phones, logits)
    heard = heard_tones(syllables, pitch_track(wave.samples, wave.rate_hz))
    wrong = sum(item.tone != tone for item, tone in zip(syllables, heard, strict=True) if item.tone != NEUTRAL)
    return EditCounts(wrong, 0, 0, toned)


def tones_to_judge(language: str, phones: Sequence[str]) -> bool:
    """Whether a text is Mandarin and has as many syllables with a tone as `tone_errors` needs."""
    return language == LANGUAGE and sum(tone_of(phone) not in (0, NEUTRAL) for phone in phones) >= LEAST_SYLLABLES


def tone_digest() -> str:
    """SHA-256 of the network, to be written beside its values."""
    return digest_file(WEIGHTS)
