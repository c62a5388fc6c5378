"""Limits from measured good and degraded adapters: set on half of the speakers, verified on the other half.

specimens -> halves -> limits of the setting half -> gates -> how many of each half pass, and which gate caught what

The rule, a gate at a time:
    1. Every kind of degradation goes to the gate that separates it best from the good adapters of the setting half (its
       nearest specimen lies beyond the worst good one, measured in spreads of the good ones), and to the figures of the
       training that separate it, which are witnesses of another kind. The base alone (UNTRAINED) goes to the latter
       only: it speaks well, and a limit between it and the good ones by what is heard would be chance.
    2. limit = worst good value + margin spreads towards the bad side, but never further than half way to the nearest
       specimen of a kind that went to this gate, or to the worst value there is (WORST_POSSIBLE): a limit beyond that
       could not be missed, and a gate whose good ones are as bad as can be is left out.
       spread = |median - worst| of the good ones, at least RESOLUTION.
    3. A limit stays when it catches a degraded adapter of the setting half; one that catches none is dropped, and so
       is its gate unless the next two rules keep it.
    4. PESQ and STOI of copies have a floor for every base (FLOORS): their limits are raised to it, never lowered, and
       they block.
    5. Words and quality are also compared with the same base without the adapter and with what is in production
       (MARGINS), tones with the recordings too (RECORDED_MARGINS): a voice that is worse by more than the margin is
       refused. Judges that the calibrating machine lacks, or that hear another language than its speakers', get such
       a gate too: it has a verdict where they are.
The judging half has no say in any of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from timbre.core.digests import digest_bytes
from timbre.core.errors import InputError
from timbre.evaluation.gates import OF_TRAINING, Gate, GateSet, Statistic, allowance, decide
from timbre.evaluation.measurements import Measurements
from timbre.evaluation.metrics.catalogue import FLOORS, METRICS, WORST_POSSIBLE, Direction, Protocol, metric
from timbre.evaluation.metrics.summary import Interval

GOOD = "good"
UNTRAINED = "untrained"
"""The base alone: nothing is wrong with how it speaks, it only is no voice of its own."""
LOADING = "loading"
"""What is said to have caught an adapter that the engine refused to load."""
DEFAULT_MARGIN = 2.0
ENOUGH_GOOD = 0.9
_MIN_GOOD = 2
_NO_INTERVAL = Interval(resamples=1)
"""Calibration prints no intervals, and they would take most of the time."""

RESOLUTION: Mapping[str, float] = {
    "pesq_nb": 0.1, "pesq_wb": 0.1, "stoi": 0.01, "estoi": 0.02, "dnsmos": 0.1, "level_dbfs": 2.0, "peak_dbfs": 0.05,
    "bandwidth_hz": 150.0, "clipped_share": 5e-4, "phone_error_rate": 0.02, "failed_sentences": 0.1,
    "word_error_rate": 0.03, "pace_deviation": 0.05, "pause_deviation": 0.03, "pitch_distance": 0.5,
    "listener_error_rate": 0.03, "distilled_mos": 0.1, "tone_error_rate": 0.05,
    "speaker_similarity": 0.02, "memorisation": 0.15, "held_out_loss": 5e-4,
}  # fmt: skip
"""Differences below these mean nothing: least spread, in the metric's unit. Memorisation: a voice that is trained for
real knows its recordings better than the short trainings of a calibration do, and may.
"""

MARGINS: Mapping[str, tuple[float, float]] = {
    "phone_error_rate": (0.05, 0.05), "word_error_rate": (0.08, 0.08), "failed_sentences": (0.1, 0.1),
    "listener_error_rate": (0.05, 0.05), "dnsmos": (0.3, 0.2), "distilled_mos": (0.3, 0.2),
    "tone_error_rate": (0.08, 0.08),
}  # fmt: skip
"""Under `tts`: how much worse than the base without the adapter, and than production, a voice may be."""
RECORDED_MARGINS: Mapping[str, float] = {"tone_error_rate": 0.2}
"""Under `tts`: how much worse than its recordings a voice may be."""

INT8_GATES = tuple(
    Gate(metric, Protocol.TTS, fp32_margin=margin, blocks=False, why=why)
    for metric, margin, why in (
        ("word_error_rate", 0.005, "int8 says the same words"),
        ("speaker_similarity", 0.01, "int8 sounds like the same speaker"),
        ("distilled_mos", 0.1, "int8 is predicted to sound as good"),
    )
)
"""How much worse than fp32 the int8 graphs may be: no calibration finds it, and each writes it."""

_WORST = ("level_dbfs", "clipped_share")
"""Judged by their worst sentence. Not the peak: stage 4 hears several times as many sentences as a calibration does,
and the highest of more peaks is higher.
"""
WHY: Mapping[str, str] = {
    "pesq_nb": "the recordings survive the round trip through the model",
    "pesq_wb": "as the narrow band, up to 7 kHz",
    "stoi": "words stay intelligible through the model",
    "estoi": "as STOI, with the changes between bands",
    "dnsmos": "it is predicted to sound clean",
    "level_dbfs": "every sentence is heard",
    "peak_dbfs": "streams cut what exceeds full scale",
    "clipped_share": "nothing has flat tops",
    "bandwidth_hz": "it does not sound like a telephone",
    "phone_error_rate": "it says what the text says",
    "word_error_rate": "its words are heard",
    "listener_error_rate": "a listener hears its words",
    "distilled_mos": "it is predicted to sound good",
    "tone_error_rate": "its tones are those of the text",
    "pitch_distance": "its melody is that of its recordings",
    "pause_deviation": "it pauses as its recordings do",
    "pace_deviation": "it takes the time that its recordings take",
    "failed_sentences": "no sentence is lost, cut off or repeated",
    "speaker_similarity": "it sounds like its own recordings",
    "memorisation": "it learned the voice, not its recordings",
    "held_out_loss": "training had an effect",
}


@dataclass(frozen=True)
class Specimen:
    """One measured adapter."""

    speaker: str
    """Name of the voice folder; a speaker belongs to one half with everything made from it."""
    kind: str
    """GOOD or how it was degraded."""
    measured: Measurements | None
    """None if it could not be loaded (`refusal`)."""
    refusal: str = ""
    """The error; an adapter that does not load counts as caught."""


@dataclass(frozen=True)
class Half:
    """How the gates did on some specimens."""

    speakers: tuple[str, ...]
    """Of this half, sorted."""
    good: tuple[int, int]
    """(measured, passed) of the adapters as they were trained."""
    degraded: tuple[int, int]
    """(measured, passed) of those that were harmed on purpose."""
    refused: Mapping[str, tuple[str, ...]]
    """Good ones that failed, with their red gates."""
    let_through: tuple[str, ...]
    """Degraded ones that passed."""
    caught: Mapping[str, Mapping[str, int]]
    """Kind -> gate -> how many specimens of that kind it turned red for."""

    def plain(self) -> dict[str, Any]:
        """As gates.yaml and the reports have it."""
        return {
            "speakers": len(self.speakers),
            "good": {"measured": self.good[0], "passed": self.good[1]},
            "degraded": {"measured": self.degraded[0], "passed": self.degraded[1]},
        }


@dataclass(frozen=True)
class Calibration:
    """Gates with their limits, and both halves."""

    gates: GateSet
    """With their limits."""
    setting: Half
    """The half of the speakers that set the limits."""
    judging: Half
    """The other half, which verifies them."""
    margin: float
    """Of the rule."""
    separated: Mapping[str, tuple[str, ...]]
    """Kind -> gates that it went to."""

    @property
    def holds(self) -> bool:
        """Whether the judging half agrees: no degraded adapter passes, and at least nine in ten good ones do."""
        measured, passed = self.judging.good
        return self.judging.degraded[1] == 0 and passed >= ENOUGH_GOOD * measured


def candidates() -> list[Gate]:
    """Every metric under every protocol that it has a meaning under, without limits."""
    found = []
    for about in METRICS.values():
        for protocol in about.protocols:
            statistic = Statistic.WORST if about.name in _WORST else Statistic.MEAN
            found.append(Gate(about.name, protocol, statistic=statistic, why=WHY.get(about.name, "")))
    return found


def split_speakers(speakers: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(setting half, verification half): in the order of the SHA-256 of their names, taken in turn."""
    order = sorted(set(speakers), key=lambda name: digest_bytes(name.encode()))
    return tuple(sorted(order[::2])), tuple(sorted(order[1::2]))


def calibrate(specimens: Sequence[Specimen], *, margin: float = DEFAULT_MARGIN, min_sentences: int = 5) -> Calibration:
    """Limits from one half, judged on the other. Raises InputError when a half has fewer than two good adapters."""
    setting, judging = split_speakers([item.speaker for item in specimens])
    sets = [item for item in specimens if item.speaker in setting]
    for name, half in (("setting", sets), ("judging", [item for item in specimens if item.speaker in judging])):
        count = sum(item.kind == GOOD and item.measured is not None for item in half)
        if count < _MIN_GOOD:
            raise InputError(
                f"calibration: {count} good voices in the {name} half, at least {_MIN_GOOD} are needed",
                "give more voice folders",
            )
    gates, separated = _limits(sets, margin)
    whole = GateSet(1, min_sentences, tuple(gates), {})
    final = replace(whole, gates=tuple(kept for gate in gates if (kept := _kept(gate, sets)) is not None))
    return Calibration(
        final, judge_half(final, specimens, setting), judge_half(final, specimens, judging), margin, separated
    )


def _kept(gate: Gate, specimens: Sequence[Specimen]) -> Gate | None:
    """The gate without a limit that caught nothing, unless that is its floor; None where nothing is left of it."""
    floor = _floor(gate)
    if gate.limit is not None and floor is None:
        alone = replace(gate, base_margin=None, production_margin=None, recorded_margin=None)
        one = GateSet(1, 1, (alone,), {})
        degraded = [item for item in specimens if item.kind != GOOD and item.measured is not None]
        if not any(red_gates(one, item) for item in degraded):
            gate = replace(gate, limit=None)
    relative = gate.base_margin is not None or gate.production_margin is not None
    return gate if gate.limit is not None or relative else None


def _floor(gate: Gate) -> float | None:
    return FLOORS.get(gate.metric) if gate.protocol is Protocol.COPY and gate.statistic is Statistic.MEAN else None


def _with_margins(gate: Gate) -> Gate:
    """The gate with its margins, if it has some."""
    if gate.protocol is not Protocol.TTS or gate.statistic is not Statistic.MEAN or gate.metric not in MARGINS:
        return gate
    base, production = MARGINS[gate.metric]
    recorded = RECORDED_MARGINS.get(gate.metric)
    return replace(gate, base_margin=base, production_margin=production, recorded_margin=recorded)


def judge_half(gates: GateSet, specimens: Sequence[Specimen], speakers: Sequence[str]) -> Half:
    """How many of the specimens of these speakers pass."""
    good, degraded = [0, 0], [0, 0]
    refused: dict[str, tuple[str, ...]] = {}
    let_through: list[str] = []
    caught: dict[str, dict[str, int]] = {}
    for item in specimens:
        if item.speaker not in speakers:
            continue
        red = red_gates(gates, item)
        counts = good if item.kind == GOOD else degraded
        counts[0] += 1
        counts[1] += not red
        if item.kind == GOOD:
            if red:
                refused[item.speaker] = red
            continue
        if not red:
            let_through.append(f"{item.speaker}: {item.kind}")
        table = caught.setdefault(item.kind, {})
        for name in red:
            table[name] = table.get(name, 0) + 1
    return Half(tuple(speakers), (good[0], good[1]), (degraded[0], degraded[1]), refused, tuple(let_through), caught)


def red_gates(gates: GateSet, item: Specimen) -> tuple[str, ...]:
    """Names of the blocking gates that are red for a specimen; LOADING for one that the engine refused."""
    if item.measured is None:
        return (LOADING,)
    return tuple(verdict.gate.name for verdict in decide(gates, item.measured, interval=_NO_INTERVAL).red)


def value_of(gate: Gate, measured: Measurements) -> float | None:
    """The statistic that the gate compares, less what the gate forgives; None when a measured sample has none, which is
    a miss, or when none was asked.
    """
    if gate.metric in measured.unasked:
        return None
    if gate.metric in OF_TRAINING:
        found: float | None = getattr(measured, gate.metric)
        return found
    verdict = decide(GateSet(1, 1, (replace(gate, limit=0.0),), {}), measured, interval=_NO_INTERVAL).verdicts[0]
    if verdict.value is None or "could not be measured" in verdict.reason:
        return None
    return verdict.value - allowance(gate, measured)


# -- the rule --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scale:
    """Values of one gate, turned so that larger is worse."""

    gate: Gate
    goods: tuple[float, ...]
    """Values of the good voices; `degraded`: kind -> values, inf where there is none."""
    degraded: Mapping[str, tuple[float, ...]]

    @property
    def worst(self) -> float:
        return max(self.goods)

    @property
    def spread(self) -> float:
        return max(self.worst - float(np.median(self.goods)), RESOLUTION[self.gate.metric])

    def gap(self, kind: str) -> float:
        """Distance from the worst good one to the nearest of the kind; zero or less: not separated."""
        return min(self.degraded[kind]) - self.worst


def _scale(gate: Gate, specimens: Sequence[Specimen]) -> _Scale | None:
    """None for a gate that has no value for every good specimen: it cannot be calibrated here."""
    sign = -1.0 if metric(gate.metric).direction is Direction.HIGHER else 1.0
    goods: list[float] = []
    degraded: dict[str, list[float]] = {}
    for item in specimens:
        if item.measured is None:
            continue
        value = value_of(gate, item.measured)
        if item.kind == GOOD:
            if value is None:
                return None
            goods.append(sign * value)
        else:
            degraded.setdefault(item.kind, []).append(np.inf if value is None else sign * value)
    return _Scale(gate, tuple(goods), {kind: tuple(values) for kind, values in degraded.items()}) if goods else None


def _limits(specimens: Sequence[Specimen], margin: float) -> tuple[list[Gate], dict[str, tuple[str, ...]]]:
    scales = [scale for gate in candidates() if (scale := _scale(gate, specimens)) is not None]
    kinds = sorted({kind for scale in scales for kind in scale.degraded})
    given: dict[str, list[str]] = {scale.gate.name: [] for scale in scales}
    separated: dict[str, tuple[str, ...]] = {}
    for kind in kinds:
        # What is heard and what training says are two witnesses: the best gate of each.
        heard = [scale for scale in scales if scale.gate.metric not in OF_TRAINING and kind != UNTRAINED]
        trained = [scale for scale in scales if scale.gate.metric in OF_TRAINING]
        able = [scale for group in (heard, trained) if (scale := _clearest(group, kind)) is not None]
        separated[kind] = tuple(scale.gate.name for scale in able)
        for scale in able:
            given[scale.gate.name].append(kind)
    gates = []
    for scale in scales:
        sign = -1.0 if metric(scale.gate.metric).direction is Direction.HIGHER else 1.0
        room = min((scale.gap(kind) for kind in given[scale.gate.name]), default=np.inf)
        room = min(room, sign * WORST_POSSIBLE.get(scale.gate.metric, sign * np.inf) - scale.worst)
        gate, floor = _with_margins(scale.gate), _floor(scale.gate)
        if room <= 0:
            # No limit of its own can be missed or met here, but what is relative or has a floor stays a gate.
            if floor is not None or gate.base_margin is not None:
                gates.append(replace(gate, limit=floor))
            continue
        step = min(margin * scale.spread, room / 2)
        limit = _rounded(sign * (scale.worst + step), step)
        gates.append(replace(gate, limit=limit if floor is None else max(limit, floor)))
    known = {gate.name for gate in gates}
    away = [gate for gate in map(_with_margins, candidates()) if gate.base_margin is not None]
    unasked = [gate for gate in away if metric(gate.metric).extra or not _asked(gate, specimens)]
    gates += [gate for gate in unasked if gate.name not in known]
    return gates, separated


def _asked(gate: Gate, specimens: Sequence[Specimen]) -> bool:
    """Whether the metric was asked of any sample: one for Mandarin never is where only English was read."""
    measured = [item.measured for item in specimens if item.measured is not None]
    groups = [found.adapted.samples(gate.protocol) for found in measured if gate.metric not in found.unasked]
    return any(gate.metric in {*sample.values, *sample.unmeasurable} for group in groups for sample in group)


def _clearest(scales: Sequence[_Scale], kind: str) -> _Scale | None:
    """The gate that keeps a kind furthest from the good ones, in spreads; None where none does."""
    able = [scale for scale in scales if kind in scale.degraded and scale.gap(kind) > 0]
    return max(able, key=lambda scale: scale.gap(kind) / scale.spread, default=None)


def _rounded(limit: float, step: float) -> float:
    """Two digits finer than its distance from the worst good one, so that rounding never crosses that or a degraded
    one."""
    digits = max(0, 2 - int(np.floor(np.log10(step)))) if step > 0 else 12
    return float(round(limit, digits))
