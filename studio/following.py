"""How a pushed voice fares: stages as they pass, red gates beside the takes behind them, versions to compare and move.

records of the registry, takes of the studio, the person -> plain data for the page
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from timbre.pipeline.release.permitted import offer, rollback_target
from timbre.pipeline.release.red_gates import explained, sample_texts
from timbre.pipeline.release.run_view import RunView, views
from timbre.pipeline.stages.table import STAGES
from timbre.registry.actor import Actor
from timbre.registry.manifest import Manifest
from timbre.registry.names import PRODUCTION
from timbre.registry.registry import Registry
from timbre.registry.run_records import RunRecord, runs_of
from timbre.studio.book import Line
from timbre.studio.judging import TakeReport

SAMPLES = "samples/"
_MOST_RUNS, _MOST_RECORDS, _MOST_SAMPLES, _MOST_CLIPS = 5, 40, 3, 3
_ENDED = {"done": "passed", "fetched": "passed", "skipped": "passed", "failed": "failed"}
_NOISE, _SPEAKER, _WORDS, _LEVEL = "noise", "speaker", "words", "level"
# What of a take stage 1 measured that bears upon what a gate hears. Gates that are not here concern no single take.
_BEHIND = {
    "pesq_nb": _NOISE, "pesq_wb": _NOISE, "stoi": _NOISE, "estoi": _NOISE, "dnsmos": _NOISE, "distilled_mos": _NOISE,
    "phone_error_rate": _WORDS, "word_error_rate": _WORDS, "listener_error_rate": _WORDS, "failed_sentences": _WORDS,
    "speaker_similarity": _SPEAKER, "level_dbfs": _LEVEL,
}  # fmt: skip
_HEARD = "heard"

Takes = Sequence[tuple[Line, TakeReport | None]]


@dataclass(frozen=True)
class Suspect:
    """A take that may be behind a red gate."""

    line: str
    """Id of the line in the book."""
    why: str
    """"heard": the gate judged it worst; "noise", "speaker", "words" or "level": stage 1 found it weakest in that."""


def runs(registry: Registry, voice: str, takes: Takes) -> list[dict[str, Any]]:
    """The newest runs, newest first, each with all five stages and its red gates."""
    records = runs_of(registry.store, voice, _MOST_RECORDS)
    found = list(reversed(views(records)))[:_MOST_RUNS]
    return [
        {
            **view.plain(),
            "stages": stages(view, records),
            "gates": [_gate(name, gate, takes) for name, gate in _red(view)],
        }
        for view in found
    ]


def stages(view: RunView, records: Iterable[RunRecord]) -> list[dict[str, str]]:
    """Each of the five with its state: waiting, running, passed or failed. CI may run each in a job of its own."""
    states = dict.fromkeys((row.name for row in STAGES), "waiting")
    about = view.record.about
    for record in records:
        # As run_view.py puts the jobs of one commit together; a merge request's are others.
        both = [(item.get("commit"), item.get("merge_request") or "") for item in (about, record.about)]
        same = record.id == view.record.id or (about.get("commit") and both[0] == both[1])
        if same and record.trusted == view.record.trusted:
            for stage in RunView(record).stages:
                if stage.name in states:
                    states[stage.name] = _ENDED.get(stage.state, states[stage.name])
    if view.state == "running":
        # A run tells what it made when it ends: until then, the first stage that has not passed is the one under way.
        for name, state in states.items():
            if state != "passed":
                states[name] = "running"
                break
    return [{"name": name, "state": state} for name, state in states.items()]


def suspects(gate: Mapping[str, Any], takes: Takes) -> list[Suspect]:
    """At most three takes to record again for a red gate: those that it judged worst, then the weakest in its way."""
    here = {line.file: line.id for line, _ in takes if line.file}
    clips = gate.get("clips")
    found = [Suspect(here[str(clip)], _HEARD) for clip in clips if str(clip) in here] if isinstance(clips, list) else []
    why = _BEHIND.get(str(gate.get("metric", "")), "")
    if why:
        weak = [
            (strength, line.id) for line, report in takes if report and (strength := _strength(report, why)) is not None
        ]
        taken = {suspect.line for suspect in found}
        found += [Suspect(key, why) for _, key in sorted(weak) if key not in taken]
    return found[:_MOST_CLIPS]


def versions(registry: Registry, voice: str, who: Actor) -> dict[str, Any]:
    """The newest version, that in production and the one before it, what this person may do with each, and where they
    may roll back to.
    """
    if voice not in registry.voices():
        return {"versions": [], "rollback": None}
    state = registry.alias(voice, PRODUCTION)
    every = {item.version: item for item in registry.versions(voice)}
    newest = max(every.values(), key=lambda item: item.sequence).version if every else None
    wanted = [newest, *((state.version, state.previous) if state else ())]
    shown = [every[key] for key in dict.fromkeys(wanted) if key in every]
    return {
        "versions": [
            {
                "version": item.version,
                "created": item.created,
                "author": item.provenance.author or item.provenance.actor,
                "passed": item.passed,
                "newest": item.version == newest,
                "production": state is not None and state.version == item.version,
                "samples": samples(registry, item),
                **asdict(offer(registry, item, who)),
            }
            for item in shown
        ],
        "rollback": rollback_target(registry, voice, who),
    }


def samples(registry: Registry, manifest: Manifest) -> list[dict[str, str]]:
    """path and text of the samples of a version; the same sentence has the same path in every version."""
    texts = sample_texts(registry, manifest)
    return [{"path": path, "text": texts.get(path, "")} for path in sample_paths(manifest)[:_MOST_SAMPLES]]


def sample_paths(manifest: Manifest) -> list[str]:
    """The files of a package that may be listened to."""
    return [entry.path for entry in manifest.files if entry.path.startswith(SAMPLES)]


def _red(view: RunView) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, gate) for name, gate in view.gates.items() if not gate.get("passed") and gate.get("blocks", True)]


def _gate(name: str, gate: Mapping[str, Any], takes: Takes) -> dict[str, Any]:
    return {
        "name": name[:100],
        **explained(str(gate.get("metric", "")), str(gate.get("title", name))[:100]),
        "value": gate.get("value"),
        "limit": gate.get("limit"),
        "direction": gate.get("direction"),
        "takes": [asdict(suspect) for suspect in suspects(gate, takes)],
    }


def _strength(report: TakeReport, why: str) -> float | None:
    """The less, the more likely behind a gate; None where the take says nothing of it."""
    if why == _WORDS:
        return -float(len(report.missed)) if report.missed else None
    known: dict[str, Callable[[], float | None]] = {
        _NOISE: lambda: report.snr_db, _SPEAKER: lambda: report.similarity, _LEVEL: lambda: report.level_dbfs,
    }  # fmt: skip
    return known[why]()
