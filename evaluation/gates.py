"""Gates: a metric, a protocol, a statistic and a limit from bases/<base>/gates.yaml, decided again every time.

gates.yaml, measurements (and those of production) -> one verdict a gate -> passed or not, with the reason in words

Relative limits compare with the same base without the adapter (base_margin) and with what production points to
(production_margin), and with the voice's recordings (recorded_margin); a margin is how much worse than the other the
voice may be. A loss against base or production beyond it is forgiven only where chance explains it (chance_allowance):
a handful of sentences says little. Limit and base_margin of what the recogniser mishears grow by a share of what it
mishears of the recordings beyond the base (MISHEARD_SHARE). A sample without a value is a miss.

A gate with fp32_margin judges the int8 graphs: the same sentences from the same seeds with both profiles. It never
keeps a voice from being published; where one is red, or the words were not judged, the version is served with fp32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np

from timbre.evaluation.measurements import FP32, INT8, Group, Measurements, Sample
from timbre.evaluation.metrics.catalogue import (
    RECORDED_SHARE,
    Direction,
    Metric,
    Protocol,
    metric,
    misheard_allowance,
)
from timbre.evaluation.metrics.display import importance
from timbre.evaluation.metrics.summary import Interval, summarise
from timbre.evaluation.paired import chance_allowance, standard_error

WORDS = "word_error_rate"
"""Metric that int8 must be judged by before it is served."""
OF_TRAINING = ("memorisation", "held_out_loss")
"""Metrics of stage 3: one value for a voice, none for a sentence."""


class Statistic(StrEnum):
    """What of all samples is compared with the limit."""

    MEAN = "mean"
    WORST = "worst"


@dataclass(frozen=True)
class Gate:
    """One line of gates.yaml."""

    metric: str
    """A name of METRICS."""
    protocol: Protocol
    """Which samples are measured."""
    limit: float | None = None
    """Absolute, or None."""
    statistic: Statistic = Statistic.MEAN
    """What is compared with the limit."""
    base_margin: float | None = None
    """How much worse than the base without adapter the voice may be, or None."""
    production_margin: float | None = None
    """How much worse than the version in production the voice may be, or None."""
    recorded_margin: float | None = None
    """How much worse than its own held-out recordings the voice may be, or None."""
    fp32_margin: float | None = None
    """How much worse than the fp32 graphs the int8 graphs may be, or None: then it does not judge int8."""
    blocks: bool = True
    """A miss fails the run."""
    why: str = ""
    """In words."""

    @property
    def name(self) -> str:
        """Name in reports: metric, protocol, the statistic when it is not the mean, and whether it judges int8."""
        suffix = "" if self.statistic is Statistic.MEAN else f"_{self.statistic}"
        return f"{self.metric}_{self.protocol}{suffix}{'_int8' if self.judges_int8 else ''}"

    @property
    def judges_int8(self) -> bool:
        """Whether it compares the int8 graphs with the fp32 graphs."""
        return self.fp32_margin is not None


@dataclass(frozen=True)
class GateSet:
    """All gates of a base."""

    version: int
    """As gates.yaml has it."""
    min_sentences: int
    """Different sentences that each gate needs, whatever the number of seeds."""
    gates: tuple[Gate, ...]
    """In the order of gates.yaml."""
    calibration: Mapping[str, Any]
    """How the limits were set, as gates.yaml has it; empty: not calibrated."""


@dataclass(frozen=True)
class Verdict:
    """Verdict of one gate."""

    gate: Gate
    """With the limit that applied."""
    passed: bool
    """Whether the value meets every limit."""
    value: float | None
    """The statistic, None when it cannot be measured."""
    low: float | None
    """Lower end of the bootstrap interval of the mean, over sentences with all their seeds."""
    high: float | None
    """Upper end of that interval."""
    count: int
    """Samples, sentences times seeds."""
    worst: float | None
    """Value of the worst sample."""
    worst_file: str
    """File of the worst sample, "" without one."""
    base: float | None
    """The same statistic of the base without adapter, or None."""
    production: float | None
    """The same statistic of the version in production, or None."""
    reason: str
    """Why it did not pass; empty otherwise."""
    fp32: float | None = None
    """The same statistic of the fp32 graphs over the same sentences and seeds; None for other gates."""

    @property
    def metric(self) -> Metric:
        """The metadata of the metric."""
        return metric(self.gate.metric)

    @property
    def title(self) -> str:
        """Name for people: of the metric, and whether it judges int8."""
        return self.metric.title + (", int8" if self.gate.judges_int8 else "")


@dataclass(frozen=True)
class Verdicts:
    """All verdicts of a voice."""

    verdicts: tuple[Verdict, ...]
    """One for each decided gate, in the order of gates.yaml."""
    confidence: float = Interval.confidence
    """Level of their intervals."""
    calibration: Mapping[str, Any] = field(default_factory=dict)
    """Of the gates, as gates.yaml has it."""
    left_out: str = ""
    """Why nothing was compared with the version in production although there is one; empty otherwise."""
    edited: tuple[str, ...] = ()
    """Names of gates whose limits are not those that the calibration set."""
    undecided: Mapping[str, str] = field(default_factory=dict)
    """Gate -> why its metric was not measured here."""
    gates_digest: str = ""
    """SHA-256 of the gates.yaml that they were taken by."""
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the voice's own `recipe:` changed: section -> setting -> value."""

    @property
    def passed(self) -> bool:
        """Whether every blocking gate passed; no gate at all is no pass."""
        return bool(self.verdicts) and all(item.passed for item in self.verdicts if item.gate.blocks)

    @property
    def ordered(self) -> tuple[Verdict, ...]:
        """Every verdict, the most important gate first."""
        return tuple(sorted(self.verdicts, key=lambda item: importance(item.gate.name)))

    @property
    def int8(self) -> tuple[Verdict, ...]:
        """Those that judge int8, the most important first."""
        return tuple(item for item in self.ordered if item.gate.judges_int8)

    @property
    def served_profile(self) -> str:
        """Of the graphs that a server on a processor takes by itself; Manifest.int8_passed says it of a version."""
        words = any(item.gate.metric == WORDS for item in self.int8)
        return INT8 if words and all(item.passed for item in self.int8) else FP32

    @property
    def red(self) -> tuple[Verdict, ...]:
        """Blocking gates that failed, the most important first."""
        return tuple(item for item in self.ordered if item.gate.blocks and not item.passed)


def decide(
    gates: GateSet, measured: Measurements, production: Measurements | None = None, interval: Interval | None = None
) -> Verdicts:
    """One verdict a gate. Measurements of another base are not compared with. interval: of the means, shown only.

    A gate whose metric cannot be measured here (Measurements.unasked) has no verdict; a value that is missing without
    such a reason is a miss.
    """
    other = production if production is not None and production.base_digest == measured.base_digest else None
    how = interval or Interval()
    undecided = {gate.name: why for gate in gates.gates if (why := _unasked(gate, measured))}
    found = tuple(
        _decide(gate, gates.min_sentences, measured, other, how) for gate in gates.gates if gate.name not in undecided
    )
    return Verdicts(found, how.confidence, gates.calibration, edited=edited_by_hand(gates), undecided=undecided)


def limits_as_set(gates: GateSet) -> dict[str, list[float | bool | None]]:
    """Gate -> limit, margins and whether it blocks: what a calibration writes down to be compared with later. The
    margin to the recordings stands last, where there is one. Without the gates of int8, which no calibration sets.
    """
    return {
        gate.name: [gate.limit, gate.base_margin, gate.production_margin, gate.blocks]
        + ([] if gate.recorded_margin is None else [gate.recorded_margin])
        for gate in gates.gates if not gate.judges_int8
    }  # fmt: skip


def edited_by_hand(gates: GateSet) -> tuple[str, ...]:
    """Gates whose limits differ from those that the calibration set, added and removed ones too; none where it did not
    write them down (calibrations of earlier versions).
    """
    before = gates.calibration.get("limits")
    if not isinstance(before, Mapping):
        return ()
    now = limits_as_set(gates)
    return tuple(name for name in dict.fromkeys((*now, *before)) if now.get(name) != before.get(name))


def _decide(
    gate: Gate, minimum: int, measured: Measurements, production: Measurements | None, interval: Interval
) -> Verdict:
    about = metric(gate.metric)
    if gate.judges_int8:
        return _beside_fp32(gate, about, minimum, measured, interval)
    if gate.metric in OF_TRAINING:
        return _single(gate, about, getattr(measured, gate.metric))
    samples = _asked(measured.adapted.samples(gate.protocol), gate.metric)
    values = [sample.values[gate.metric] for sample in samples if gate.metric in sample.values]
    base = _statistic(gate, about, measured.plain)
    other = _statistic(gate, about, production.adapted) if production else None
    missing = [sample for sample in samples if gate.metric not in sample.values]
    if not values:
        why = (
            missing[0].unmeasurable.get(gate.metric) or missing[0].unmeasurable["speech"]
            if missing
            else "nothing was measured: nothing was spoken, or the base has no model for it"
        )
        return Verdict(gate, False, None, None, None, 0, None, _file(missing), base, other, f"no value: {why}")
    measurable = [sample for sample in samples if gate.metric in sample.values]
    gate = _against_recordings(gate, measured)
    found = summarise(values, about.direction, interval, sentences=[sample.id for sample in measurable])
    worst = measurable[found.worst_index]
    value = found.mean if gate.statistic is Statistic.MEAN else found.worst
    errors = (
        _standard_error(gate, measured.adapted, measured.plain),
        _standard_error(gate, measured.adapted, production.adapted) if production else 0.0,
    )
    reasons = _misses(gate, about, value, base, other, errors, measured.real.get(gate.metric))
    if missing:
        first = missing[0].unmeasurable.get(gate.metric) or missing[0].unmeasurable.get("speech", "no value")
        reasons.append(f"{len(missing)} of {len(samples)} samples could not be measured ({missing[0].id}: {first})")
    sentences = len({sample.id for sample in samples})
    if sentences < minimum:
        reasons.append(f"{sentences} different sentences are too few to decide on (limit {minimum})")
    return Verdict(
        gate, not reasons, value, found.low, found.high, len(values), found.worst,
        _file(missing) or worst.file, base, other, "; ".join(reasons),
    )  # fmt: skip


def _unasked(gate: Gate, measured: Measurements) -> str:
    """Why a gate has no verdict here; empty for one that has."""
    if gate.judges_int8 and not measured.beside:
        return "only one profile of the graphs was heard"
    return measured.unasked.get(gate.metric, "")


def _beside_fp32(gate: Gate, about: Metric, minimum: int, measured: Measurements, interval: Interval) -> Verdict:
    """Verdict of int8 against fp32: a sentence that has a value with fp32 and none with int8 is a miss."""
    name = gate.metric
    asked = [(one, other) for one, other in measured.int8_and_fp32 if name in other.values]
    lost = [one for one, _ in asked if name not in one.values]
    both = [(one, other) for one, other in asked if name in one.values]
    int8, fp32 = (Group((), tuple(pair[side] for pair in both)) for side in (0, 1))
    value, plain = _statistic(gate, about, int8), _statistic(gate, about, fp32)
    reasons = []
    if lost:
        why = lost[0].unmeasurable.get(name) or lost[0].unmeasurable.get("speech", "no value")
        reasons.append(f"{len(lost)} of {len(asked)} sentences cannot be measured with int8 ({lost[0].id}: {why})")
    sentences = len({one.id for one, _ in both})
    if sentences < minimum:
        reasons.append(f"{sentences} different sentences are too few to decide on (limit {minimum})")
    if value is None or plain is None:
        return Verdict(gate, False, None, None, None, 0, None, _file(lost), None, None, "; ".join(reasons))
    reasons += _worse(gate, about, value, ((FP32, gate.fp32_margin, plain, _standard_error(gate, int8, fp32)),))
    spoken = int8.tts
    found = summarise(
        [item.values[name] for item in spoken], about.direction, interval, sentences=[i.id for i in spoken]
    )
    return Verdict(
        gate, not reasons, value, found.low, found.high, len(spoken), found.worst,
        _file(lost) or spoken[found.worst_index].file, None, None, "; ".join(reasons), plain,
    )  # fmt: skip


def allowance(gate: Gate, measured: Measurements) -> float:
    """What limit and base_margin of this gate forgive beyond themselves, since the recordings are misheard too."""
    if gate.protocol is not Protocol.TTS or gate.statistic is not Statistic.MEAN:
        return 0.0
    base = _statistic(gate, metric(gate.metric), measured.plain)
    return misheard_allowance(gate.metric, measured.real.get(gate.metric), base)


def _against_recordings(gate: Gate, measured: Measurements) -> Gate:
    """The gate with a limit and a base_margin that the voice's own recordings could meet."""
    share, recorded, more = RECORDED_SHARE.get(gate.metric), measured.real.get(gate.metric), allowance(gate, measured)
    if more > 0:
        limit, margin = (None if value is None else round(value + more, 4) for value in (gate.limit, gate.base_margin))
        return replace(gate, limit=limit, base_margin=margin)
    if share is None or recorded is None or gate.limit is None:
        return gate
    return replace(gate, limit=min(gate.limit, share * recorded))


def _misses(
    gate: Gate, about: Metric, value: float, base: float | None, production: float | None,
    errors: tuple[float, float] = (0.0, 0.0), recorded: float | None = None,
) -> list[str]:  # fmt: skip
    word = "below" if about.direction is Direction.HIGHER else "above"
    reasons = []
    alone = gate.limit is None and gate.base_margin is None and gate.production_margin is None
    if alone and recorded is None:
        reasons.append(f"{about.title}: the recordings have no value, and the gate compares with nothing else")
    if gate.limit is not None and not about.better(value, gate.limit):
        reasons.append(f"{about.title} {about.text(value)} is {word} the limit {about.text(gate.limit)}")
    others = (
        ("the base without adapter", gate.base_margin, base, errors[0]),
        ("production", gate.production_margin, production, errors[1]),
        ("the recordings", gate.recorded_margin, recorded, 0.0),
    )
    return reasons + _worse(gate, about, value, others)


def _worse(
    gate: Gate, about: Metric, value: float, others: Sequence[tuple[str, float | None, float | None, float]]
) -> list[str]:
    """What the value is worse than. others: name, margin, its value, standard error of the difference."""
    word = "below" if about.direction is Direction.HIGHER else "above"
    reasons = []
    for name, margin, other, error in others:
        if margin is None or other is None:
            continue
        chance = chance_allowance(margin, error)
        allowed = margin + chance
        limit = other - allowed if about.direction is Direction.HIGHER else other + allowed
        if not about.better(value, limit):
            beside = f" and {about.text(chance)} for chance" if chance else ""
            reasons.append(
                f"{about.title} {about.text(value)} is more than {about.text(margin)}{beside} {word} {name} "
                f"({about.text(other)})"
            )
    return reasons


def _single(gate: Gate, about: Metric, value: float | None) -> Verdict:
    if value is None:
        return Verdict(gate, False, None, None, None, 0, None, "", None, None, "no value: stage 3 did not report it")
    reasons = _misses(gate, about, value, None, None)
    return Verdict(gate, not reasons, value, None, None, 1, value, "", None, None, "; ".join(reasons))


def _statistic(gate: Gate, about: Metric, group: Group) -> float | None:
    values = [sample.values[gate.metric] for sample in group.samples(gate.protocol) if gate.metric in sample.values]
    if not values:
        return None
    if gate.statistic is Statistic.MEAN:
        return float(np.mean(values))
    return float(min(values) if about.direction is Direction.HIGHER else max(values))


def _standard_error(gate: Gate, group: Group, other: Group) -> float:
    """0 for a worst value: only means differ by chance."""
    if gate.statistic is not Statistic.MEAN:
        return 0.0
    return standard_error(group.samples(gate.protocol), other.samples(gate.protocol), gate.metric)


def _asked(samples: Sequence[Sample], name: str) -> list[Sample]:
    """Samples that the metric was asked about: it has a value there, or a reason why not, or nothing was spoken."""
    return [
        item for item in samples if name in item.values or name in item.unmeasurable or "speech" in item.unmeasurable
    ]


def _file(samples: Sequence[Sample]) -> str:
    return samples[0].file if samples else ""
