"""The static site of a registry: an index, a page per voice, a feed of failures; readable without a server.

registry, folders -> fingerprint of each voice -> VoiceView of those that changed -> index.html, <voice>.html,
failures.xml, voices.json, voices.prom, samples/
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from timbre.cli.dashboard.blind_listening import blind_test
from timbre.cli.dashboard.metrics import Families, metrics_of, prometheus_text
from timbre.cli.dashboard.voice_view import (
    RUN_STATES,
    STATES,
    VoiceView,
    artifact_link,
    failures,
    name_only,
    reason_of,
    report_link,
)
from timbre.core.atomic import remove_tree, write_bytes, write_text
from timbre.core.digests import digest_value
from timbre.core.errors import TimbreError
from timbre.evaluation.reports.pages import CSS, LANGUAGE_SCRIPT, environment, read
from timbre.pipeline.engine.run_samples import LIST
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.release.registry_view import VoiceSummary, short, voice_summaries
from timbre.pipeline.release.run_view import RunView, views
from timbre.registry.manifest import Manifest
from timbre.registry.names import PRODUCTION, RUN_AREAS
from timbre.registry.registry import Registry
from timbre.registry.run_records import open_sample, runs_of

DATA_FILE, FEED_FILE, METRICS_FILE, CACHE_FILE = "voices.json", "failures.xml", "voices.prom", ".dashboard.json"
SCHEMA = 3
_PACKAGE = "timbre.cli.dashboard"
_MOST_RUNS, _MOST_FAILURES, _MOST_SAMPLES = 60, 50, 3
_HEADS = (
    ("time", "时间"), ("event", "事件"), ("version", "版本"), ("by", "操作者"), ("commit", "提交"),
    ("why, stages", "原因与阶段"), ("link", "链接"),
)  # fmt: skip
_VERSION_HEADS = (
    ("version", "版本"), ("made", "制作时间"), ("gates", "质量门"), ("base", "底模"), ("size", "大小"),
    ("commit", "提交"), ("author", "作者"), ("report", "报告"),
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """What the files about all voices need of one. Kept between builds."""

    name: str
    """Name of the voice and of its page."""
    fingerprint: str
    """Digest of what the page was made from; an equal one means that nothing changed."""
    state: str
    """A key of STATES; sorts and filters the index."""
    card: str
    """HTML for the index."""
    data: str
    """JSON as it is written: hundreds of voices are not parsed and copied for one that changed."""
    failed: list[dict[str, str]]
    """Failed runs for the feed, oldest first: voice, id, time, state, link, text."""
    metrics: Families
    """Lines for voices.prom."""


@dataclass(frozen=True)
class Site:
    """Writes the site of a registry into a folder."""

    target: Path
    """Folder of the site, made where it is missing."""
    registry: Registry
    """Only read."""
    workspace: Workspace | None = None
    """Adds voices that have a folder and no version; None for the registry alone."""
    alias: str = PRODUCTION
    """The alias that counts as production."""
    samples: bool = True
    """Copy sounds beside the pages: of the version in production, and what red runs spoke; recordings of people stay in
    the registry and in the reports."""

    def write(self, made: str) -> list[Path]:
        """Writes what changed since the last build into the same folder; returns all files of the site. made: time and
        commit, for the foot of each page. Raises OSError.
        """
        self.target.mkdir(parents=True, exist_ok=True)
        before, parts = self._cached(), dict[str, Part]()
        marks = self._marks()
        for known in voice_summaries(self.workspace, self.registry, self.alias):
            about = {**dataclasses.asdict(known), "keys": marks.get(known.name, []), "samples": self.samples}
            fingerprint = digest_value({"schema": SCHEMA, **about})
            part = before.get(known.name)
            page = self.target / f"{known.name}.html"
            fresh = part is not None and part.fingerprint == fingerprint and page.is_file()
            parts[known.name] = part if part is not None and fresh else self._voice(known, fingerprint, made)
        for gone in before.keys() - parts.keys():
            (self.target / f"{gone}.html").unlink(missing_ok=True)
            remove_tree(self.target / "samples" / gone)
        pages = {
            "index.html": index_page(list(parts.values()), made),
            FEED_FILE: feed([item for part in parts.values() for item in part.failed], self.registry.now()),
            DATA_FILE: "[" + ",\n".join(part.data for part in parts.values()) + "]\n",
            METRICS_FILE: prometheus_text(part.metrics for part in parts.values()),
            CACHE_FILE: json.dumps({name: vars(part) for name, part in parts.items()}, ensure_ascii=False),
        }
        for name, text in pages.items():
            write_text(self.target / name, text)
        return [self.target / name for name in (*pages, *(f"{name}.html" for name in parts)) if name != CACHE_FILE]

    def _cached(self) -> dict[str, Part]:
        try:
            found = json.loads((self.target / CACHE_FILE).read_text(encoding="utf-8"))
            return {name: Part(**part) for name, part in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _marks(self) -> dict[str, list[str]]:
        """Voice -> keys of its objects: records never change under a key, but for aliases, which the summary shows."""
        found: dict[str, list[str]] = {}
        for prefix, place in (("voices/", 1), *((f"{area}/", -2) for area in RUN_AREAS)):
            for key in self.registry.store.list(prefix):
                found.setdefault(key.split("/")[place], []).append(key)
        return found

    def _voice(self, known: VoiceSummary, fingerprint: str, made: str) -> Part:
        view = self._view(known)
        remove_tree(self.target / "samples" / known.name)
        spoken = self._production_samples(view) if self.samples else []
        write_text(self.target / f"{known.name}.html", self._page(view, spoken, made))
        failed = [
            {"voice": name, "id": run.record.id, "time": f"{run.time.replace(' ', 'T')}:00Z", "state": run.state,
             "link": run.job or f"{name}.html", "text": ", ".join(run.red) or run.text("error")}
            for name, run in failures([view])
        ]  # fmt: skip
        data = json.dumps(_data(view), ensure_ascii=False)
        latest = failed[-_MOST_FAILURES:]
        return Part(known.name, fingerprint, view.state, card(view, spoken[:1]), data, latest, metrics_of(view))

    def _view(self, known: VoiceSummary) -> VoiceView:
        store = self.registry.store
        try:
            runs = views(runs_of(store, known.name, _MOST_RUNS)) if _is_plain(known.name) else ()
        except TimbreError as error:
            return VoiceView(known, problem=error.message)
        if known.state == "not published":
            return VoiceView(known, runs=runs)
        try:
            versions = tuple(self.registry.versions(known.name))
            return VoiceView(known, versions, tuple(self.registry.history(known.name)), runs)
        except TimbreError as error:
            return VoiceView(known, runs=runs, problem=error.message)

    def _page(self, view: VoiceView, spoken: Sequence[str], made: str) -> str:
        last = view.runs[-1] if view.runs and view.runs[-1].failed else None
        now = view.production
        test = blind_test(view, self.registry, partial(self._put, view)) if self.samples else None
        script = LANGUAGE_SCRIPT + (read("timbre.evaluation.reports", "listening.js") if test else "")
        return _template("voice.html.j2").render(
            css=_css(), script=Markup(script), test=test, test_data=Markup(test.data if test else ""),
            made=made, view=view, names=_names(view.state), now=now,
            since=short(view.known.since), charts=[view.chart(name) for name in view.gate_names], last=last,
            last_names=_run_names(last) if last else None,
            last_reason=reason_of(last) if last else None, last_link=_run_link(last) if last else "",
            red_samples=self._red_samples(view, last) if last and self.samples else [], samples=spoken,
            timeline=view.timeline(), heads=_HEADS, version_heads=_VERSION_HEADS,
            versions=[_version(item, view.known.version) for item in reversed(view.versions)],
        )  # fmt: skip

    def _production_samples(self, view: VoiceView) -> list[str]:
        """Sounds of the version that speaks, copied beside the pages."""
        now = view.production
        if now is None or view.state in ("revoked", "retired"):
            return []
        paths = [entry.path for entry in now.files if entry.path.startswith("samples/")][:_MOST_SAMPLES]
        return [name for path in paths if (name := self._copied(view, path.rpartition("/")[2], now, path))]

    def _copied(self, view: VoiceView, name: str, manifest: Manifest, path: str) -> str:
        try:
            return self._put(view, name, self.registry.read_file(manifest, path))
        except TimbreError:
            # Encrypted and no key is at hand, or damaged: the page then has no player.
            return ""

    def _put(self, view: VoiceView, name: str, data: bytes) -> str:
        relative = f"samples/{view.known.name}/{name}"
        (self.target / relative).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(self.target / relative, data)
        return relative

    def _red_samples(self, view: VoiceView, run: RunView) -> list[dict[str, str]]:
        """What a red run spoke, with text; never a recording."""
        if view.state == "revoked":
            return []
        entries = {entry.path: entry for entry in run.record.samples}
        try:
            listed = json.loads(open_sample(self.registry.store, run.record, entries[LIST], self.registry.keys))
            found = []
            for item in listed:
                shown = {"text": str(item["text"])}
                for part in ("voice", "base"):
                    entry = entries.get(str(item.get(part, "")))
                    if entry is not None:
                        data = open_sample(self.registry.store, run.record, entry, self.registry.keys)
                        shown[part] = self._put(view, f"red-{Path(entry.path).name}", data)
                found.append({"voice": "", "base": "", **shown})
            return found
        except (TimbreError, KeyError, TypeError, ValueError):
            return []


def index_page(parts: Sequence[Part], made: str) -> str:
    """All voices as cards, those that need somebody first; filters for name, author and state."""
    order = {state: number for number, state in enumerate(("red", "damaged", "waiting", "running", "not promoted"))}
    sorted_parts = sorted(parts, key=lambda part: (order.get(part.state, 9), part.name))
    counts = {state: sum(part.state == state for part in parts) for state in STATES}
    states = [(state, STATES[state], count) for state, count in counts.items() if count]
    script = LANGUAGE_SCRIPT + read(_PACKAGE, "filter.js")
    return _template("index.html.j2").render(
        css=_css(), script=Markup(script), made=made, cards=[Markup(part.card) for part in sorted_parts], states=states,
        all_states="—",
    )  # fmt: skip


def card(view: VoiceView, spoken: Sequence[str]) -> str:
    """One voice on the index."""
    now, last = view.production, view.runs[-1] if view.runs else None
    about = [view.known.base or (now.base if now else ""), view.known.version, short(view.known.since)[:10]]
    author = name_only(now.provenance.author) if now else last.text("author") if last else ""
    why = reason_of(last) if last and view.state == "red" else (view.problem, view.problem)
    return _template("card.html.j2").render(
        name=view.known.name, author=author, state=view.state, names=_names(view.state),
        why=(why[0][:160], why[1][:160]),
        about=" · ".join(item for item in (*about, author) if item), sample=spoken[0] if spoken else "",
        charts=view.card_charts(),
    )  # fmt: skip


def feed(failed: Iterable[Mapping[str, str]], now: str) -> str:
    """Atom: the latest failures of all voices, newest first."""
    latest = sorted(failed, key=lambda item: item["id"], reverse=True)[:_MOST_FAILURES]
    entries = [{**item, "title": f"{item['voice']}: {item['state']}"} for item in latest]
    updated = latest[0]["time"] if latest else f"{now[:19]}Z"
    return _template("feed.xml.j2").render(entries=entries, updated=updated)


def _template(name: str) -> Any:
    return environment(_PACKAGE).get_template(name)


def _css() -> Markup:
    return Markup(CSS + read(_PACKAGE, "dashboard.css"))


def _names(state: str) -> tuple[str, str, str]:
    return STATES.get(state, (state, state, ""))


def _run_names(run: RunView) -> tuple[str, str, str]:
    return RUN_STATES.get(run.state, (run.state, run.state, ""))


def _run_link(run: RunView) -> str:
    return artifact_link(run.job, run.record.voice) if run.gates else run.job


def _is_plain(name: str) -> bool:
    return re.fullmatch(r"[^/\\\x00-\x1f]+", name) is not None


def _version(item: Manifest, current: str) -> dict[str, Any]:
    gates, came = item.gates, item.provenance
    blocked = any(gate.get("blocks", True) and not gate.get("passed") for gate in gates.values())
    return {
        "version": item.version, "now": item.version == current, "created": short(item.created)[:16],
        "passed": not blocked, "green": sum(bool(gate.get("passed")) for gate in gates.values()), "total": len(gates),
        "base": item.base, "digest": item.base_digest[:8], "size": f"{item.size_bytes / 1e6:.1f}",
        "commit": (came.commit or "-")[:12], "author": name_only(came.author), "link": report_link(item),
    }  # fmt: skip


def _data(view: VoiceView) -> dict[str, Any]:
    """The same as plain data, for other pages and for alerts."""
    return {
        **dataclasses.asdict(view.known),
        "now": view.state,
        "problem": view.problem,
        "history": [
            {
                "version": item.version,
                "created": item.created,
                "commit": item.provenance.commit,
                "job": item.provenance.job,
                "gates": {
                    name: {key: gate.get(key) for key in ("value", "limit", "passed", "blocks")}
                    for name, gate in item.gates.items()
                },
            }
            for item in view.versions
        ],
        "runs": [run.plain() for run in view.runs],
    }
