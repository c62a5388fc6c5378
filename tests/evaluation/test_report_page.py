"""The page of a run: whole Chinese, units, levels, curves within the page, limits that somebody edited."""

from __future__ import annotations

import html.parser
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.evaluation.test_gates import gate_lines, gates_of, measured
from timbre.evaluation.gates import decide, limits_as_set
from timbre.evaluation.measurements import Group, Measurements
from timbre.evaluation.metrics.catalogue import METRICS
from timbre.evaluation.metrics.words import HeardWord
from timbre.evaluation.reports.charts import Point, Series, line_chart, spark
from timbre.evaluation.reports.heard import CAUTIONS, HEARD
from timbre.evaluation.reports.page import report_page
from timbre.evaluation.reports.pitch import pitch_curve
from timbre.evaluation.reports.sound import sound
from timbre.evaluation.reports.summary import kind_of, level, limit_quantity, reason_in_chinese, totals

# Names of measures, standards, models and formats, and units.
NAMES = {
    "PESQ", "STOI", "ESTOI", "DNSMOS", "MOS", "LQO", "Hz", "kHz", "dB", "dBFS", "s", "csv", "metadata", "lexicon",
    "training", "txt", "json", "DistillMOS", "Whisper", "st", "trade_off", "voices", "ada", "pico", "fp", "int", "abc",
    "Ada",
}  # fmt: skip
REASONS = (
    "duration 9.00 s is outside 1.00 to 3.00 s (2.00 s are expected)",
    "duration 0.50 s is outside 1.00 to 3.00 s (2.00 s are expected)",
    "words missing: phoneme error rate 75% is above 60%",
    "loops: a group of codes follows itself 9 times (limit 6)",
    "silent: -70 dBFS is below -50",
    "cut off: no end token before the length limit",
    "not spoken: the text is empty",
    "something that nobody foresaw",
)


class Chinese(html.parser.HTMLParser):
    """All text that a reader of Chinese sees: everything but what only readers of English are shown."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        hidden = tag in ("style", "script", "code") or (given.get("lang") == "en" and tag != "html")
        if tag not in ("meta", "link", "input", "img", "br", "line", "rect", "polyline"):
            self._open.append((tag, hidden))
        shown = not any(state for _, state in self._open)
        self.text += [given[name] or "" for name in ("title", "alt", "placeholder") if name in given and shown]

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop()[0] == tag, f"</{tag}> closes nothing"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Closes at once: holds no text."""

    def handle_data(self, data: str) -> None:
        if not any(hidden for _, hidden in self._open):
            self.text.append(data)

    def english(self, names: set[str]) -> list[str]:
        words = re.findall(r"[A-Za-z][A-Za-z_]*", re.sub(r"\b[0-9a-f]{8,12}\b", "", " ".join(self.text)))
        return sorted(set(words) - names)


def failing() -> Measurements:
    values = measured({"stoi": 0.5, "phone_error_rate": 0.5, "failed_sentences": 1.0}, count=8)
    tts = tuple(
        replace(item, text="一句话。", failures=(reason,))
        for item, reason in zip(values.adapted.tts, REASONS, strict=True)
    )
    copies = tuple(replace(item, text="一句话。") for item in values.adapted.copy)
    return replace(values, adapted=Group(copies, tts))


TRAINING = {
    "networks": {
        "t2s": {
            "best_step": 40,
            "history": [
                {"step": n, "training": {"total": 5 - n / 40}, "held_out": {"total": 5.0}} for n in (0, 40, 80)
            ],
        }
    }
}


def test_a_reader_of_chinese_sees_no_english(tmp_path: Path) -> None:
    values = failing()
    verdicts = decide(gates_of(tmp_path, gate_lines()), values)
    for found in (
        verdicts,
        replace(verdicts, edited=("stoi_copy",)),
        replace(verdicts, undecided={"stoi_copy": "the extra mos is not installed"}),
        decide(gates_of(tmp_path, gate_lines()), measured()),
    ):
        page = report_page(found, values, tmp_path, training=TRAINING, commit="abc", author="Ada")
        seen = Chinese(page)
        assert seen.english(NAMES | {"stoi_copy", "English"}) == [], "names and units only"
        assert not seen._open, "every tag is closed"
    assert '<html lang="en">' in page, "the browser chooses, and lang follows"
    assert "navigator.language" in page, "the browser chooses, and lang follows"


def test_the_check_for_english_can_fail() -> None:
    assert Chinese('<p>red<span lang="en">gate</span></p>').english(NAMES) == ["red"]


def test_limits_edited_after_the_calibration_are_called_so(tmp_path: Path) -> None:
    gates = gates_of(tmp_path, gate_lines())
    block = {"calibration": {"limits": limits_as_set(gates)}}
    assert decide(gates_of(tmp_path, gate_lines(), **block), measured()).edited == ()
    lines = [{**line, "limit": 0.9} if line["metric"] == "stoi" else line for line in gate_lines()]
    found = decide(gates_of(tmp_path, lines, **block), measured())
    assert found.edited == ("stoi_copy",)
    page = report_page(found, measured(), tmp_path)
    assert "Limits edited by hand" in page
    assert "手工修改过的限值" in page
    assert decide(gates_of(tmp_path, gate_lines()[1:], **block), measured()).edited == ("pesq_nb_copy",), "or removed"
    assert decide(gates, measured()).edited == (), "calibrations of earlier versions do not say"


@pytest.mark.parametrize(
    ("reason", "kind"),
    list(zip(REASONS, ["long", "short", "words", "loops", "silent", "cut", "refused", "other"], strict=True)),
)
def test_reasons_are_counted_and_said_in_chinese(reason: str, kind: str) -> None:
    assert kind_of(reason) == kind
    assert not re.search(r"[a-z]{4,}", reason_in_chinese(reason))


def test_totals_count_sentences_not_reasons() -> None:
    assert totals(failing().adapted.tts)[0].startswith("8 of 8 sentences failed: 1 too long, 1 too short")
    assert totals(measured().adapted.tts) == ("All 6 sentences were spoken in full.", "6 句全部完整读出。")


def test_units_and_decimals(tmp_path: Path) -> None:
    found = {item.gate.metric: item for item in decide(gates_of(tmp_path, gate_lines()), measured()).verdicts}
    assert found["phone_error_rate"].metric.text(0.12345) == "12.3 %"
    assert found["level_dbfs"].metric.text(-21.37) == "-21.4 dBFS"
    assert found["bandwidth_hz"].metric.text(7216.4) == "7216 Hz"
    assert found["stoi"].metric.text(0.91234) == "0.912"
    assert found["stoi"].metric.text(None) == "-"
    assert limit_quantity(found["failed_sentences"]) == "≤ 5.0 %"


def test_a_limit_inside_the_interval_is_yellow(tmp_path: Path) -> None:
    (sure,) = decide(gates_of(tmp_path, [{"metric": "stoi", "protocol": "copy", "limit": 0.85}]), measured()).verdicts
    assert level(sure) == "green"
    assert level(replace(sure, low=0.8, high=0.95)) == "yellow"
    assert level(replace(sure, passed=False)) == "red"
    assert level(replace(sure, passed=False, gate=replace(sure.gate, blocks=False))) == "yellow"


def test_charts_fit_and_take_no_broken_numbers() -> None:
    chart = line_chart([Series(("a", "甲"), [(0, 1), (10, float("nan")), (20, 3)])], ("x", "轴"), 10)
    assert 'viewBox="0 0 640 240"' in chart
    assert "nan" not in chart
    assert 'class="mark"' in chart
    assert line_chart([Series(("a", "甲"), [(5, 5)])], ("x", "轴")), "one point has a range too"
    assert spark([Point(1.0), Point(None), Point(float("inf"))], 0.0).count("<circle") == 1
    assert spark([], None) == ""
    assert 'y="0.0"' in spark([Point(2.0)], 1.0, lower_is_better=True), "what misses is above"


def tone(path: Path, hertz: float) -> None:
    """A second of a sawtooth that rises by a fifth, silence in the middle."""
    time = np.arange(16_000) / 16_000
    wave = 0.3 * (2 * (np.cumsum(hertz * (1 + time / 2)) / 16_000 % 1) - 1)
    wave[6000:9000] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, 16_000)


def heard_page(tmp_path: Path, production: dict[tuple[str, str], bytes] | None = None, **more: Any) -> str:
    """A red report of one sentence that was misheard, beside its recording."""
    values = failing()
    tone(tmp_path / "samples" / "x.wav", 120)
    tone(tmp_path / "samples" / "real-a.wav", 180)
    words = (HeardWord("再", "z ai", "z ai", False), HeardWord("见", "j ian", "q v", True))
    worst = replace(values.adapted.tts[0], id="a", text="再见", file="samples/x.wav", words=words, source="held-out")
    values = replace(values, adapted=Group((), (worst,)))
    return report_page(
        decide(gates_of(tmp_path, gate_lines()), values), values, tmp_path, production=production, **more
    )


def test_words_that_were_not_heard_are_marked(tmp_path: Path) -> None:
    page = heard_page(tmp_path)
    assert "再<mark>见</mark>" in page
    assert "<code>j ian</code>" in page
    assert "<code>q v</code>" in page
    assert Chinese(page).english(NAMES | {"English"}) == []
    assert "<mark>" not in report_page(decide(gates_of(tmp_path, gate_lines()), failing()), failing(), tmp_path)


def test_pitch_of_voice_and_recording(tmp_path: Path) -> None:
    pytest.importorskip("parselmouth")
    page = heard_page(tmp_path)
    chart = page[page.index("pitch of this voice") - 4000 :]
    assert page.count("pitch of this voice (Hz)") >= 2
    assert chart.count("<polyline") >= 4, "two curves, each with a gap"
    found = sound(tmp_path / "samples" / "x.wav")
    assert found is not None
    curve = [(at, hertz) for at, hertz in pitch_curve(found.samples) if math.isfinite(hertz)]
    for at, hertz in curve[2:-2]:
        assert hertz == pytest.approx(120 * (1 + at / 2), rel=0.05)
    assert not any(0.4 < at < 0.55 for at, _ in curve), "silence has no pitch"
    assert pitch_curve(np.zeros(16_000, np.float32)) == []
    assert pitch_curve(found.samples[:1000]) == []


def test_production_is_heard_beside_the_new_version(tmp_path: Path) -> None:
    assert "production</div>" not in heard_page(tmp_path)
    tone(tmp_path / "old.wav", 150)
    data = (tmp_path / "old.wav").read_bytes()
    page = heard_page(tmp_path, {("a", "再见"): data})
    assert page.count('<div lang="en">production</div>') >= 2, "at the worst sample, and among those to listen to"
    assert "production</div>" not in heard_page(tmp_path, {("a", "another text"): data})
    assert "production</div>" not in heard_page(tmp_path, {("a", "再见"): b"no sound"})


def test_every_metric_says_what_is_heard() -> None:
    assert set(HEARD) == set(CAUTIONS) == set(METRICS)
