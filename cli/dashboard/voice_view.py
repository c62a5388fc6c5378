"""One voice as the dashboard shows it: its state, versions, runs, events, and how its gates moved over commits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from timbre.core.numbers import number
from timbre.evaluation.listening import in_chinese
from timbre.evaluation.metrics.catalogue import METRICS
from timbre.evaluation.metrics.display import importance, quantity
from timbre.evaluation.reports.charts import Point, spark
from timbre.evaluation.reports.chinese import TITLES
from timbre.pipeline.release.promotion import KNOWN_SOURCE, PASSED
from timbre.pipeline.release.registry_view import VoiceSummary, short
from timbre.pipeline.release.run_view import RunView
from timbre.registry.events import Event
from timbre.registry.manifest import Manifest

Pair = tuple[str, str]
ON_CARDS: tuple[tuple[tuple[str, ...], Pair], ...] = (
    (("speaker_similarity_tts",), ("Likeness", "相似度")),
    (("word_error_rate_tts", "phone_error_rate_tts"), ("Words", "词语")),
    (("dnsmos_tts", "dnsmos_copy"), ("MOS", "MOS")),
)
STATES: dict[str, tuple[str, str, str]] = {
    "published": ("in production", "已上线", "ok"),
    "waiting": ("waiting for review", "等待审核", "warn"),
    "red": ("red", "未通过", "bad"),
    "running": ("training", "训练中", "warn"),
    "not promoted": ("not promoted", "等待上线", "warn"),
    "not published": ("not published", "未发布", ""),
    "retired": ("retired", "已下线", ""),
    "revoked": ("revoked", "已撤回", "bad"),
    "damaged": ("damaged", "记录损坏", "bad"),
}
RUN_STATES: dict[str, tuple[str, str, str]] = {
    "promoted": ("promoted", "已上线", "ok"), "published": ("published", "已发布", "ok"),
    "waiting": ("waiting for review", "等待审核", "warn"), "superseded": ("superseded", "已被更新的提交取代", ""),
    "tried": ("passed, not published", "通过，未发布", "ok"), "stopped-early": ("stages done", "阶段完成", "ok"),
    "red": ("red", "未通过", "bad"), "refused": ("refused", "被拒绝", "bad"), "cancelled": ("cancelled", "已取消", ""),
    "failed": ("machine failed", "机器故障", "bad"), "misconfigured": ("misconfigured", "配置错误", "bad"),
    "bug": ("bug", "程序错误", "bad"), "lost": ("never ended", "未正常结束", "bad"),
    "running": ("running", "运行中", "warn"),
}  # fmt: skip
ACTS: dict[str, Pair] = {
    "published": ("published", "发布"), "promoted": ("promoted", "上线"), "rolled-back": ("rolled back", "回滚"),
    "retired": ("retired", "下线"), "revoked": ("revoked", "撤回"), "pruned": ("pruned", "清理"),
    "restored": ("restored", "恢复"), "rotated": ("keys rotated", "更换密钥"),
}  # fmt: skip
REASONS = {
    PASSED: "通过所有质量门",
    KNOWN_SOURCE: "录音与已通过的版本相同",
}
"""What the pipeline itself writes as the reason of an event; people's words stay as they are."""
_MOST_POINTS = 40
_PROTOCOLS: dict[str, Pair] = {"copy": ("copied recordings", "还原录音"), "tts": ("spoken sentences", "由文本合成")}


@dataclass(frozen=True)
class VoiceView:
    """One voice with all that the registry knows of it."""

    known: VoiceSummary
    """Its line in the listing of voices."""
    versions: tuple[Manifest, ...] = ()
    """Oldest first; empty when it was never published or its records cannot be read."""
    events: tuple[Event, ...] = ()
    """Oldest first; acts of people and of pipelines."""
    runs: tuple[RunView, ...] = ()
    """Oldest first, those of merge requests too."""
    problem: str = ""
    """Why records could not be read, or ""."""

    @property
    def production(self) -> Manifest | None:
        """The version that the alias points to."""
        return next((item for item in self.versions if item.version == self.known.version), None)

    @property
    def state(self) -> str:
        """A key of STATES. What a merge request's run says counts only for a voice that was never published."""
        settled = self.known.state in ("retired", "revoked", "damaged")
        own = [run for run in self.runs if run.record.trusted or not self.versions]
        if settled or not own:
            return self.known.state
        last = own[-1]
        if last.state == "running":
            return "running"
        return "red" if last.failed else "waiting" if self.waiting else self.known.state

    @property
    def waiting(self) -> str:
        """The version of the last run that may publish, where it waits for a review and was never promoted; else ""."""
        own = [run for run in self.runs if run.record.trusted]
        version = own[-1].text("version") if own and own[-1].state == "waiting" else ""
        reviewed = any(event.version == version and event.act == "promoted" for event in self.events)
        return "" if reviewed else version

    @property
    def gate_names(self) -> list[str]:
        """All gates of the latest versions and runs, by importance, then as the base lists them."""
        names = dict.fromkeys(name for _, gates in reversed(self._measured()) for name in gates)
        return sorted(names, key=importance)

    def chart(self, name: str, dots: tuple[str, ...] = ()) -> dict[str, Any]:
        """Title, latest value, limit and a small chart of one gate over versions and red runs."""
        found = [(label, gates[name]) for label, gates in self._measured() if name in gates]
        points = [_point(label, gate, label == self.known.version) for label, gate in found]
        last = next((gate for label, gate in reversed(found) if label == self.known.version), found[-1][1])
        limit = number(last.get("limit"))
        lower = last.get("direction") == "lower"
        english = str(last.get("title", name))
        sign, unit, protocol = "≤" if lower else "≥", str(last.get("unit", "")), str(last.get("protocol", ""))
        return {
            "title": title_of(name, last),
            "mode": _PROTOCOLS.get(protocol, (protocol, protocol)),
            "value": shown(name, number(last.get("value")), unit),
            "limit": "" if limit is None else f"{sign} {shown(name, limit, unit)}", "passed": bool(last.get("passed")),
            "svg": spark(points, limit, lower, english, dots),
        }  # fmt: skip

    def card_charts(self) -> list[tuple[Pair, dict[str, Any]]]:
        """Likeness, words and MOS, as far as they were measured."""
        there = set(self.gate_names)
        wanted = ((title, next((name for name in names if name in there), "")) for names, title in ON_CARDS)
        return [(title, self.chart(name, ("bad", "now"))) for title, name in wanted if name]

    def timeline(self) -> list[dict[str, Any]]:
        """Runs, publications, promotions and rollbacks, newest first."""
        found = [_of_event(event) for event in self.events] + [_of_run(run) for run in self.runs]
        return sorted(found, key=lambda item: str(item["time"]), reverse=True)

    def _measured(self) -> Sequence[tuple[str, Mapping[str, Mapping[str, Any]]]]:
        """Version or run -> gates, oldest first: every version, and runs that led to none."""
        found: list[tuple[str, str, Mapping[str, Mapping[str, Any]]]] = [
            (item.created[:19].replace(":", ""), item.version, item.gates) for item in self.versions
        ]
        found += [
            (run.record.id[:17], run.record.id, dict(run.gates))
            for run in self.runs
            if run.gates and run.failed and run.record.trusted
        ]
        return [(label, gates) for _, label, gates in sorted(found, key=lambda item: item[0])][-_MOST_POINTS:]


def title_of(name: str, gate: Mapping[str, Any]) -> Pair:
    """English and Chinese title of a gate."""
    english = str(gate.get("title", name))
    return english, TITLES.get(str(gate.get("metric", "")), TITLES.get(_stem(name), (english,)))[0]


def reason_of(run: RunView) -> Pair:
    """Why a run did not end well: its red gates, or the message as it was written."""
    red = [
        title_of(name, gate) for name, gate in run.gates.items() if not gate.get("passed") and gate.get("blocks", True)
    ]
    if red and run.failed:
        return ", ".join(title for title, _ in red), "、".join(title for _, title in red)
    return run.text("error"), run.text("error")


def shown(gate: str, value: float | None, unit: str) -> str:
    """A value with its unit, rates in per cent."""
    return quantity(_stem(gate), value, unit)


def report_link(manifest: Manifest) -> str:
    """The report among the artifacts of the job on GitLab or Jenkins; "" for a job without an address."""
    return artifact_link(manifest.provenance.job or "", manifest.voice)


def artifact_link(job: str, voice: str) -> str:
    """Address of report.html, or of the job where the address of its artifacts is unknown."""
    path = f".timbre/reports/{voice}/evaluate/report.html"
    if not job.startswith(("https://", "http://")):
        return ""
    if "/-/jobs/" in job:
        return f"{job}/artifacts/file/{path}"
    return f"{job}artifact/{path}" if job.endswith("/") else job


def name_only(person: str | None) -> str:
    """The name without the address: the site may be public."""
    return (person or "-").partition(" <")[0] or "-"


def _point(label: str, gate: Mapping[str, Any], now: bool) -> Point:
    state = "now" if now else "ok" if gate.get("passed") else "bad" if gate.get("blocks", True) else "soft"
    return Point(number(gate.get("value")), state, label[:17].replace("T", " "))


def _of_event(event: Event) -> dict[str, Any]:
    return {
        "time": short(event.time)[:16], "what": ACTS.get(str(event.act), (str(event.act), str(event.act))),
        "kind": "bad" if event.act in ("revoked", "rolled-back") else "ok", "version": event.version or "",
        "by": name_only(event.actor), "approved": name_only(event.approved_by) if event.approved_by else "",
        "commit": (event.commit or "")[:12], "link": "", "stages": [], "jobs": 0,
        "why": (event.reason, REASONS.get(event.reason, in_chinese(event.reason))),
    }  # fmt: skip


def _of_run(run: RunView) -> dict[str, Any]:
    english, chinese, kind = RUN_STATES.get(run.state, (run.state, run.state, ""))
    link = artifact_link(run.job, run.record.voice) if run.reached == "evaluate" else run.job
    return {
        "time": run.time, "what": (f"run: {english}", f"运行：{chinese}"), "kind": kind, "version": run.text("version"),
        "by": run.text("author") or "-", "approved": "", "commit": run.where, "link": link, "jobs": run.jobs,
        "why": reason_of(run),
        "stages": [(stage.name, stage.seconds, stage.peak_memory_mib) for stage in run.stages],
    }  # fmt: skip


def _stem(name: str) -> str:
    return next((metric for metric in METRICS if name.startswith(metric)), name)


def failures(views: Sequence[VoiceView]) -> Iterator[tuple[str, RunView]]:
    """Voice and run of every failure."""
    for view in views:
        yield from ((view.known.name, run) for run in view.runs if run.failed)
