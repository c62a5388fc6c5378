"""What each metric is: unit, direction, inputs, model, and what its value does not show.

A value without this metadata cannot be compared: PESQ narrow band and wide band differ by up to one point on the same
pair, and a similarity of one speaker encoder says nothing about another encoder's. Reports print it beside every value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from timbre.core.errors import ConfigurationError
from timbre.evaluation.metrics.display import quantity


class Direction(StrEnum):
    """Which way a metric gets better."""

    HIGHER = "higher"
    LOWER = "lower"


class Protocol(StrEnum):
    """How the measured audio was made.

    COPY: a held-out recording through posterior encoder, flow-free latent and decoder, frame by frame aligned with it.
    TTS: a sentence spoken from its text; nothing is aligned with any recording.
    """

    COPY = "copy"
    TTS = "tts"


@dataclass(frozen=True)
class Metric:
    """Metadata of one metric."""

    name: str
    """Identifier in gates.yaml, gates.json and OpenMetrics."""
    title: str
    """Name for people."""
    unit: str
    """"MOS-LQO", "ratio", "dB", "1" for a pure number between 0 and 1."""
    direction: Direction
    """Which way is better; a gate's limit is the least or the most accordingly."""
    protocols: tuple[Protocol, ...]
    """Sounds that it can be measured on: copies, speech from text."""
    needs_reference: bool
    """Whether an aligned recording of the same words is needed."""
    needs_text: bool
    """Whether the spoken text is needed."""
    model: str
    """The model or standard that gives the value, with its version where one exists."""
    caution: str
    """What the value does not show."""
    extra: str = ""
    """Of the package that brings the model; empty: needed wherever voices are evaluated."""

    def better(self, value: float, limit: float) -> bool:
        """True when value meets limit in this metric's direction (equal counts; NaN never does)."""
        return value >= limit if self.direction is Direction.HIGHER else value <= limit

    def text(self, value: float | None) -> str:
        """A value as people read it, with its unit; "-" for none."""
        return quantity(self.name, value, self.unit)


def _metric(
    name: str,
    title: str,
    unit: str,
    direction: Direction,
    protocols: tuple[Protocol, ...],
    model: str,
    caution: str,
    *,
    reference: bool = False,
    text: bool = False,
    extra: str = "",
) -> Metric:
    return Metric(name, title, unit, direction, protocols, reference, text, model, caution, extra)


_COPY, _TTS = (Protocol.COPY,), (Protocol.TTS,)
_UP, _DOWN = Direction.HIGHER, Direction.LOWER

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _metric(
            "pesq_nb",
            "PESQ narrow band",
            "MOS-LQO",
            _UP,
            _COPY,
            "ITU-T P.862 with P.862.1 mapping (pesq)",
            "Needs the same words at the same times; blind to clipping and to everything above 3.4 kHz.",
            reference=True,
        ),
        _metric(
            "pesq_wb",
            "PESQ wide band",
            "MOS-LQO",
            _UP,
            _COPY,
            "ITU-T P.862.2 (pesq)",
            "Needs the same words at the same times; punishes faint hiss far beyond what is heard.",
            reference=True,
        ),
        _metric(
            "stoi",
            "STOI",
            "1",
            _UP,
            _COPY,
            "Taal et al. 2011 (pystoi)",
            "Untrained copy synthesis already passes 0.95: low values alarm, high values prove little.",
            reference=True,
        ),
        _metric(
            "estoi",
            "Extended STOI",
            "1",
            _UP,
            _COPY,
            "Jensen and Taal 2016 (pystoi)",
            "Needs alignment to about a millisecond.",
            reference=True,
        ),
        _metric(
            "phone_error_rate",
            "Phoneme error rate",
            "1",
            _DOWN,
            _TTS,
            "the base's own phoneme recogniser",
            "Counts the recogniser's mistakes too: compare with the rate on real recordings.",
            text=True,
        ),
        _metric(
            "word_error_rate",
            "Word error rate",
            "1",
            _DOWN,
            _TTS,
            "the base's own phoneme recogniser, by word (English) or syllable (Mandarin)",
            "A word counts when two thirds of its phones are wrong; tones are not heard.",
            text=True,
        ),
        _metric(
            "listener_error_rate",
            "Word error rate, Whisper",
            "1",
            _DOWN,
            _TTS,
            "Whisper by faster-whisper: words in English, toned syllables in Mandarin",
            "A language model hears what is likely: it forgives what a listener would have to guess.",
            text=True,
            extra="whisper",
        ),
        _metric(
            "tone_error_rate",
            "Tone error rate",
            "1",
            _DOWN,
            _TTS,
            "a small network over F0 (Praat) of each syllable, which the phoneme recogniser places",
            "Mandarin alone. Counts the network's mistakes too: compare with the rate on real recordings. Neutral "
            "tones are not judged.",
            text=True,
        ),
        _metric(
            "pitch_distance",
            "Melody",
            "st",
            _DOWN,
            _TTS,
            "mean distance between quantiles of F0, spoken and recorded (Praat)",
            "Compares how high and how lively, not which word is stressed.",
        ),
        _metric(
            "pause_deviation",
            "Pauses",
            "1",
            _DOWN,
            _TTS,
            "silence inside a sentence beside that of its marks in the recordings, over the sentence's seconds",
            "Says how much is silent, not whether the pause is at its mark.",
            text=True,
        ),
        _metric(
            "pace_deviation",
            "Pace and pauses",
            "1",
            _DOWN,
            _TTS,
            "absolute log ratio of spoken seconds to those that the recordings' pace and pauses give",
            "Says how long a sentence takes, not where.",
            text=True,
        ),
        _metric(
            "failed_sentences",
            "Failed sentences",
            "1",
            _DOWN,
            _TTS,
            "rules on duration, loops, silence and cut-off",
            "Share of sentences a listener would reject at once.",
            text=True,
        ),
        _metric(
            "speaker_similarity",
            "Speaker similarity, relative",
            "ratio",
            _UP,
            _TTS,
            "GE2E (resemblyzer 0.1.4)",
            "Cosine to held-out recordings divided by the voice's own real-to-real cosine.",
        ),
        _metric(
            "dnsmos",
            "DNSMOS overall",
            "MOS",
            _UP,
            (Protocol.COPY, Protocol.TTS),
            "DNSMOS P.835 (speechmos)",
            "A prediction made for noise suppression; generous to clean synthetic speech.",
        ),
        _metric(
            "distilled_mos",
            "Predicted opinion, DistillMOS",
            "MOS",
            _UP,
            (Protocol.COPY, Protocol.TTS),
            "DistillMOS (distillmos)",
            "Recordings have 4.2; Mandarin ones less. It knows no words: a clear voice that says nonsense passes.",
            extra="mos",
        ),
        _metric(
            "level_dbfs",
            "Level of active speech",
            "dBFS",
            _UP,
            (Protocol.COPY, Protocol.TTS),
            "RMS over active frames",
            "Too quiet or too loud is a setting, not a voice.",
        ),
        _metric(
            "peak_dbfs",
            "Sample peak",
            "dBFS",
            _DOWN,
            (Protocol.COPY, Protocol.TTS),
            "largest absolute sample",
            "Inter-sample peaks can be higher. Of speech: before the engine turns a loud sentence down, as it does in "
            "whole answers; a stream is cut at full scale instead.",
        ),
        _metric(
            "clipped_share",
            "Flat-topped samples",
            "1",
            _DOWN,
            (Protocol.COPY, Protocol.TTS),
            "samples in flat extremes of three or more",
            "Soft limiting leaves no flat tops.",
        ),
        _metric(
            "bandwidth_hz",
            "Roll-off (99 %)",
            "Hz",
            _UP,
            (Protocol.COPY, Protocol.TTS),
            "99 % energy roll-off of active speech",
            "Telephone sound passes PESQ; this sees it.",
        ),
        _metric(
            "memorisation",
            "Memorisation",
            "ratio",
            _DOWN,
            _TTS,
            "held-out over training loss of stage 3, relative to the base",
            "1 means that unknown sentences gained as much as those trained on; the larger network's ratio counts.",
        ),
        _metric(
            "held_out_loss",
            "Held-out loss after training",
            "ratio",
            _DOWN,
            _TTS,
            "held-out loss with the adapter over that of the base, stage 3",
            "1 means that training had no effect; the network that improved more counts.",
        ),
    )
}

WORST_POSSIBLE: Mapping[str, float] = {
    "pesq_nb": 1.0, "pesq_wb": 1.0, "stoi": 0.0, "estoi": 0.0, "clipped_share": 1.0, "failed_sentences": 1.0,
    "speaker_similarity": 0.0, "bandwidth_hz": 0.0, "distilled_mos": 1.0, "listener_error_rate": 1.0,
    "tone_error_rate": 1.0,
}  # fmt: skip
"""Where a metric's scale ends on its bad side; the others have no end there."""


RECORDED_SHARE: Mapping[str, float] = {"bandwidth_hz": 0.9}
"""A limit never asks for more than this share of what the recordings have: what a microphone cut off no voice owes."""

MISHEARD_SHARE: Mapping[str, float] = {"phone_error_rate": 0.25, "word_error_rate": 0.25}
"""Of what the base's recogniser mishears of the recordings beyond what it mishears of the base: so much more of the
voice may be misheard. One that sounds like its owner is misheard like its owner, accent and all: docs/gates.md has the
same voices heard by Whisper.
"""
MOST_MISHEARD = 0.1
"""Recordings with other texts than theirs are misheard altogether: no more than this is forgiven."""

ON_RECORDINGS = (
    "dnsmos", "distilled_mos", "phone_error_rate", "word_error_rate", "listener_error_rate", "tone_error_rate"
)  # fmt: skip
"""Metrics that are measured on the recordings too (evaluation/recorded.py): a gate may compare with them."""

FLOORS: Mapping[str, float] = {"pesq_nb": 3.5, "stoi": 0.85}
"""Least limits of a mean under `copy`, for every base: a calibration may ask for more, and nothing may ask for less."""


def misheard_allowance(name: str, recorded: float | None, base: float | None) -> float:
    """How much more than the base a voice may be misheard because its owner is; 0 for other metrics, and where the
    recordings or the base have no value."""
    if recorded is None or base is None:
        return 0.0
    return min(MOST_MISHEARD, MISHEARD_SHARE.get(name, 0.0) * max(0.0, recorded - base))


def metric(name: str) -> Metric:
    """The metadata of a metric. Raises ConfigurationError with the known names for an unknown one."""
    try:
        return METRICS[name]
    except KeyError:
        raise ConfigurationError(
            f"gates: there is no metric named {name!r}",
            remedy=f"use one of: {', '.join(sorted(METRICS))}",
        ) from None
