"""The rules that call a spoken sentence failed: loops, silence, cut-off, implausible durations, missing words.

The engine uses them to speak a sentence again, the gates use them to count; both mean the same by "failed".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SentenceLimits:
    """When a spoken sentence counts as failed."""

    duration_ratio_min: float = 0.6
    """Lowest ratio of spoken seconds to those that the sounds alone take at the voice's pace."""
    duration_ratio_max: float = 1.7
    """Highest ratio to the seconds of sounds, pauses and edges together."""
    error_rate_max: float = 0.5
    """Phone error rate above which the words may be missing; of few phones it is rounded up to a whole one."""
    doubt_max: float = 2.5
    """Nats per phone by which another reading must be likelier before words count as missing (Recogniser.doubt). Of 30
    short English texts by nine voices none is above it and of 132 short Mandarin ones by four voices 8 %; of other
    texts of like length 2 % are below it in either language.
    """
    loop_run: int = 4
    """How many times in a row the same group of codes may follow itself."""
    silence_dbfs: float = -50.0
    """RMS below which it is silent."""
    slack_s: float = 0.5
    """Always allowed on top, since a single word is drawn out."""

    def longest_s(self, expected_s: float) -> float:
        """Seconds after which a sentence is cut off."""
        return self.duration_ratio_max * expected_s + self.slack_s

    def error_rate_of(self, phones: int) -> float:
        """The largest error rate of so many phones: of three, two may be wrong. 0: their number is not known."""
        return math.ceil(self.error_rate_max * phones) / phones if phones else self.error_rate_max


def longest_loop(codes: Sequence[int], *, max_period: int = 50, min_span: int = 25) -> int:
    """How often the most repeated group of codes follows itself without a break (1: nothing repeats).

    Groups of 1 to max_period codes (2 s) are tried. A repetition counts only when it spans at least min_span codes (1
    s): held vowels and pauses repeat one code for a while in healthy speech.
    """
    items = np.asarray(codes)
    best = 1
    for period in range(1, min(max_period, len(items) // 2) + 1):
        breaks = np.flatnonzero(items[period:] != items[:-period])
        edges = np.concatenate(([-1], breaks, [len(items) - period]))
        span = int(np.max(np.diff(edges)) - 1) + period
        if span >= max(min_span, 2 * period):
            best = max(best, span // period)
    return best


def sentence_failures(
    *,
    duration_s: float,
    expected_s: float,
    rms_dbfs: float,
    error_rate: float,
    loop: int,
    reached_limit: bool,
    limits: SentenceLimits,
    sounding_s: float | None = None,
    phones: int = 0,
    doubt: float = math.inf,
) -> tuple[str, ...]:
    """The reasons why a sentence failed, in words; empty when it did not.

    duration_s, expected_s: spoken seconds and the seconds expected of the whole piece; sounding_s: of its sounds alone
    (None: the same). phones: how many there were to say, 0 where that is not known. doubt: of Recogniser.doubt,
    infinity where it was not asked. loop: of longest_loop.
    reached_limit: decoding stopped at its length limit instead of the end token (cut off).
    """
    reasons = []
    if rms_dbfs < limits.silence_dbfs:
        reasons.append(f"silent: {rms_dbfs:.0f} dBFS is below {limits.silence_dbfs:g}")
    least = limits.duration_ratio_min * (expected_s if sounding_s is None else sounding_s)
    most = limits.longest_s(expected_s)
    if not least <= duration_s <= most:
        reasons.append(
            f"duration {duration_s:.2f} s is outside {least:.2f} to {most:.2f} s ({expected_s:.2f} s are expected)"
        )
    if loop > limits.loop_run:
        reasons.append(f"loops: a group of codes follows itself {loop} times (limit {limits.loop_run})")
    if reached_limit:
        reasons.append("cut off: no end token before the length limit")
    most_wrong = limits.error_rate_of(phones)
    if not error_rate <= most_wrong and doubt > limits.doubt_max:
        reasons.append(f"words missing: phoneme error rate {error_rate:.0%} is above {most_wrong:.0%}")
    return tuple(reasons)
