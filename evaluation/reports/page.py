"""report.html: one file that needs nothing else. Verdict first, then each red gate with its meaning, sounds and
what to do; yellow and green gates are folded. English and Chinese are both in the page, the reader's browser chooses.

verdicts, measurements, samples, training.json -> values for templates/report.html.j2 -> HTML
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from timbre.evaluation.gates import Verdict, Verdicts
from timbre.evaluation.measurements import Measurements, Sample
from timbre.evaluation.metrics.catalogue import Protocol
from timbre.evaluation.reports import chinese as zh
from timbre.evaluation.reports.advice import advice
from timbre.evaluation.reports.calibration_note import (
    calibration_sentence,
    edited_sentence,
    left_out_sentence,
    limits_sentence,
    undecided_sentence,
)
from timbre.evaluation.reports.charts import Series, line_chart
from timbre.evaluation.reports.curves import training_curves
from timbre.evaluation.reports.heard import CAUTIONS, HEARD, fact
from timbre.evaluation.reports.int8_note import int8_rows, most_changed, served_sentence
from timbre.evaluation.reports.pages import CSS, LANGUAGE_SCRIPT, environment
from timbre.evaluation.reports.pitch import pitch_curve
from timbre.evaluation.reports.said import said_of
from timbre.evaluation.reports.sound import Sound, sound
from timbre.evaluation.reports.summary import (
    interval,
    level,
    limit_quantity,
    reason_in_chinese,
    totals,
    worst_samples,
)

_MAX_PAIRS = 3
_MAX_FAILED = 10
_MAX_RED_HEARD = 3
"""Red gates whose samples are embedded: a page with thirty players would be too large to send."""
_PROTOCOLS = {Protocol.COPY: ("copied recordings", "还原录音"), Protocol.TTS: ("spoken sentences", "由文本合成")}
Pair = tuple[str, str]


def report_page(
    verdicts: Verdicts,
    measured: Measurements,
    samples: Path,
    *,
    training: Mapping[str, Any] | None = None,
    commit: str = "",
    author: str = "",
    production: Mapping[tuple[str, str], bytes] | None = None,
) -> str:
    """The page. samples: the stage's output folder, below which the kept samples lie. training: training.json of stage
    3, for its curves. author: with or without address; only the name is shown. production: (id, text) of a sentence ->
    how the version in production says it.
    """
    sounds = _Sounds(samples, production or {})
    gates = [_gate(item, measured) for item in verdicts.ordered if not item.gate.judges_int8]
    audible = [item for item in verdicts.red if worst_samples(measured, item)][:_MAX_RED_HEARD]
    red = [_gate(item, measured) | _red(item, measured, sounds if item in audible else None) for item in verdicts.red]
    failed = [sample for sample in measured.adapted.tts if sample.failures][:_MAX_FAILED]
    warnings = [left_out_sentence(verdicts.left_out)] if verdicts.left_out else []
    warnings += [edited_sentence(verdicts.edited)] if verdicts.edited else []
    warnings += [undecided_sentence(verdicts.undecided)] if verdicts.undecided else []
    page = environment("timbre.evaluation.reports").get_template("report.html.j2")
    return page.render(
        css=Markup(CSS), script=Markup(LANGUAGE_SCRIPT), confidence=f"{100 * verdicts.confidence:g}",
        voice=measured.voice, passed=verdicts.passed,
        about=_about(measured.voice, commit, author.partition(" <")[0]), verdict=_verdict(verdicts),
        totals=totals(measured.adapted.tts), counts=_counts(gates), warnings=warnings, red=red, gates=gates,
        served=served_sentence(verdicts), int8=int8_rows(verdicts), changed=_changed(measured, sounds),
        pairs=_pairs(measured, sounds), failed=[_failed(item, sounds) for item in failed],
        curves=training_curves(training or {}),
        method=_method(measured, verdicts),
        calibration=calibration_sentence(verdicts.calibration, measured.base_digest),
        marked=any(word.expected != word.heard for item in measured.adapted.tts for word in item.words),
        facts=[(fact(name), f"{value:.3g}") for name, value in sorted(measured.real.items())],
    )  # fmt: skip


class _Sounds:
    """Sounds of one report; each is read and encoded once."""

    def __init__(self, folder: Path, production: Mapping[tuple[str, str], bytes]) -> None:
        self._folder, self._known, self._production = folder, dict[str, Sound | None](), production

    def __call__(self, file: str) -> Sound | None:
        if not file:
            return None
        if file not in self._known:
            self._known[file] = sound(self._folder / file)
        return self._known[file]

    def recording(self, identity: str) -> Sound | None:
        return self(f"samples/real-{identity}.wav")

    def production(self, sample: Sample) -> Sound | None:
        data = self._production.get((sample.id, sample.text))
        return sound(data) if data is not None and sample.seed is not None else None


def _about(voice: str, commit: str, author: str) -> Pair:
    english = f"voices/{voice}" + (f" at {commit}" if commit else "") + (f" by {author}" if author else "")
    chinese = f"voices/{voice}" + (f"，提交 {commit}" if commit else "") + (f"，作者 {author}" if author else "")
    return english, chinese


def _verdict(verdicts: Verdicts) -> Pair:
    if verdicts.passed:
        return "Passed: this voice may be published.", "通过：这个声音可以发布。"
    names = ", ".join(item.title for item in verdicts.red)
    chinese = "、".join(zh.title(item) for item in verdicts.red)
    return f"Failed: {names}. Nothing was published.", f"未通过：{chinese}。没有发布任何内容。"


def _counts(gates: list[dict[str, Any]]) -> Pair:
    found = {name: sum(gate["level"] == name for gate in gates) for name in ("red", "yellow", "green")}
    return (
        "Gates: {red} red, {yellow} near their limit or not blocking, {green} green.".format(**found),
        "质量门：{red} 项未通过，{yellow} 项接近限值或不参与判定，{green} 项通过。".format(**found),
    )


def _gate(item: Verdict, measured: Measurements) -> dict[str, Any]:
    worst = item.gate.statistic != "mean"
    mode = _PROTOCOLS[item.gate.protocol]
    model = " ".join(part for part in (item.metric.model, measured.models.get(item.gate.metric, "")) if part)
    return {
        "name": item.gate.name, "title": (item.title, zh.title(item)), "level": level(item),
        "mode": (mode[0] + ", worst" * worst, mode[1] + "，最差值" * worst),
        "meaning": (item.gate.why, zh.meaning(item)), "value": item.metric.text(item.value),
        "limit": limit_quantity(item), "interval": interval(item), "base": item.metric.text(item.base),
        "production": item.metric.text(item.production), "count": item.count, "model": model,
        "caution": (item.metric.caution, CAUTIONS[item.gate.metric]),
    }  # fmt: skip


def _red(item: Verdict, measured: Measurements, sounds: _Sounds | None) -> dict[str, Any]:
    base, production = item.metric.text(item.base), item.metric.text(item.production)
    english = [f"base alone: {base}"] * (item.base is not None) + [f"production: {production}"] * (
        item.production is not None
    )
    chinese = [f"仅底模：{base}"] * (item.base is not None) + [f"生产版本：{production}"] * (
        item.production is not None
    )
    return {
        "heard": HEARD[item.gate.metric], "advice": advice(item.gate.metric),
        "reason": (f"{item.reason}.", f"{zh.reason(item)}。"),
        "compared": (f"({', '.join(english)})", f"（{'，'.join(chinese)}）") if english else None,
        "samples": [_worst(one, item, measured, sounds) for one in worst_samples(measured, item)] if sounds else [],
    }  # fmt: skip


def _worst(sample: Sample, item: Verdict, measured: Measurements, sounds: _Sounds) -> dict[str, Any]:
    same = measured.plain.samples(item.gate.protocol)
    base = next((other.file for other in same if other.id == sample.id and other.file), "")
    voice, recording = sounds(sample.file), sounds.recording(sample.id)
    return {
        "value": item.metric.text(sample.values.get(item.gate.metric)),
        "failures": [(reason, reason_in_chinese(reason)) for reason in sample.failures],
        "voice": voice, "recording": recording, "base": sounds(base),
        "production": sounds.production(sample), "said": said_of(sample), "pitch": pitch_chart(voice, recording),
    }  # fmt: skip


def _pairs(measured: Measurements, sounds: _Sounds) -> list[dict[str, Any]]:
    """Sentences to hear: what was recorded, or what production says too, beside what this voice says."""
    spoken: dict[str, Sample] = {}
    for sample in measured.adapted.tts:
        if sample.file:
            spoken.setdefault(sample.id, sample)
    found: list[dict[str, Any]] = []
    for source in ("held-out", "fixed"):
        kept = 0
        for sample in spoken.values():
            if sample.source != source or kept == _MAX_PAIRS:
                continue
            recording, production = sounds.recording(sample.id), sounds.production(sample)
            if recording or production:
                kept += 1
                voice = sounds(sample.file)
                found.append({
                    "recording": recording, "voice": voice, "production": production,
                    "said": said_of(sample), "pitch": pitch_chart(voice, recording),
                })  # fmt: skip
    return found


def _changed(measured: Measurements, sounds: _Sounds) -> dict[str, Any] | None:
    """The sentence of which int8 loses most words, with both profiles."""
    found = most_changed(measured)
    if found is None:
        return None
    int8, fp32 = found
    return {"said": said_of(int8), "int8": sounds(int8.file), "fp32": sounds(fp32.file)}


def pitch_chart(voice: Sound | None, recording: Sound | None) -> Markup:
    """Pitch of the voice and of the recording over seconds; empty where one of the two has none."""
    curves = [pitch_curve(item.samples) if item else [] for item in (voice, recording)]
    if not all(curves):
        return Markup("")
    names = (("pitch of this voice (Hz)", "这个声音的音高（Hz）"), ("pitch of the recording (Hz)", "录音的音高（Hz）"))
    series = [Series(name, curve) for name, curve in zip(names, curves, strict=True)]
    return line_chart(series, ("over seconds", "横轴：秒"))


def _failed(sample: Sample, sounds: _Sounds) -> dict[str, Any]:
    reasons = [(reason, reason_in_chinese(reason)) for reason in sample.failures]
    return {
        "seed": sample.seed, "failures": reasons, "voice": sounds(sample.file),
        "said": said_of(sample),
    }  # fmt: skip


def _method(measured: Measurements, verdicts: Verdicts) -> Pair:
    base, digest = measured.base, measured.base_digest[:12]
    limits = limits_sentence(verdicts.gates_digest, verdicts.overrides)
    return (
        f"Base {base} {digest}, graphs {measured.profile}, texts version {measured.texts_version}. {limits[0]}".strip(),
        f"底模 {base} {digest}，计算图 {measured.profile}，文本版本 {measured.texts_version}。{limits[1]}",
    )
