"""What the registry holds and what happened to it, as plain data and as tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from timbre.core.errors import TimbreError
from timbre.core.table import Table
from timbre.pipeline.ci.changes import Changes
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.voice.listing import list_voices
from timbre.registry.errors import NotFoundError
from timbre.registry.events import Event
from timbre.registry.manifest import Manifest
from timbre.registry.names import PRODUCTION
from timbre.registry.registry import Registry
from timbre.registry.verification import Damage


@dataclass(frozen=True)
class VoiceSummary:
    """A voice of this repository, of the registry, or of both."""

    name: str
    """Of the folder, or of the voice in the registry."""
    folder: bool
    """Whether voices/<name> is here."""
    language: str
    """As voice.yaml names it; empty without a folder."""
    base: str
    """As voice.yaml names it; empty without a folder."""
    consent: str
    """Kind of consent; empty without a folder."""
    problems: int
    """Problems that its files show."""
    version: str
    """What the alias points to."""
    since: str
    """When the alias moved there."""
    versions: int
    """How many the registry holds."""
    state: str
    """Published, retired, revoked, "not promoted" or "not published"; damaged when its records cannot be read."""


def voice_summaries(workspace: Workspace | None, registry: Registry, alias: str = PRODUCTION) -> list[VoiceSummary]:
    """All voices of both places, by name."""
    folders = {item.name: item for item in list_voices(workspace)} if workspace else {}
    found = []
    for name in sorted({*folders, *registry.voices()}):
        here = folders.get(name)
        version, since, versions, state = _published(registry, name, alias)
        found.append(
            VoiceSummary(
                name,
                here is not None,
                here.language if here else "",
                here.base if here else "",
                here.consent if here else "",
                here.problems if here else 0,
                version,
                since,
                versions,
                state,
            )
        )
    return found


def _published(registry: Registry, voice: str, alias: str) -> tuple[str, str, int, str]:
    try:
        versions = len(list(registry.store.list(f"voices/{voice}/versions/")))
        mark = registry.tombstone(voice)
        if mark is not None:
            return "", str(mark["time"]), versions, "revoked"
        state = registry.alias(voice, alias)
    except NotFoundError:
        return "", "", 0, "not published"
    except TimbreError:
        return "", "", 0, "damaged"
    if state is None:
        return "", "", versions, "not promoted" if versions else "not published"
    return state.version or "", state.time, versions, "published" if state.version else "retired"


def voices_table(voices: Sequence[VoiceSummary]) -> Table:
    """For people."""
    rows = []
    for item in voices:
        folder = "none" if not item.folder else "ok" if not item.problems else f"{item.problems} problems"
        version = item.version or "-"
        rows.append((item.name, folder, item.language, item.base, item.consent, item.state, version, short(item.since)))
    return Table(("voice", "folder", "language", "base", "consent", "state", "version", "since"), rows)


def history_table(events: Sequence[Event]) -> Table:
    """One row an event, oldest first."""
    rows = [
        (
            short(item.time), str(item.act), item.version or "-", item.previous or "-", item.alias or "-",
            f"{item.actor} ({item.proof})", item.approved_by or "-", (item.commit or "-")[:12], item.reason,
        )
        for item in events
    ]  # fmt: skip
    return Table(("time", "act", "version", "before", "alias", "by", "approved by", "commit", "why"), rows)


def history_plain(registry: Registry, voice: str, events: Sequence[Event]) -> dict[str, Any]:
    """For --json: the aliases as they stand, and every event."""
    names = [key.rsplit("/", 1)[-1].removesuffix(".json") for key in registry.store.list(f"voices/{voice}/aliases/")]
    states = {name: registry.alias(voice, name) for name in names}
    return {
        "voice": voice,
        "aliases": {name: dataclasses.asdict(state) for name, state in states.items() if state is not None},
        "events": [dataclasses.asdict(event) for event in events],
    }


def audit_table(manifests: Sequence[Manifest]) -> Table:
    """Where each version came from and on what it was judged."""
    rows = []
    for item in manifests:
        came, gates = item.provenance, item.gates
        green = sum(bool(gate.get("passed")) for gate in gates.values())
        rows.append(
            (
                f"{item.voice}@{item.version}",
                short(item.created),
                (came.commit or "-")[:12],
                came.author or "-",
                came.job or "-",
                f"{item.base} {item.base_digest[:12]}",
                came.recipe_digest[:12],
                f"{green} of {len(gates)}",
                str(item.consent.get("kind", "-")),
                "required" if item.review_required else "-",
            )
        )
    head = ("version", "created", "commit", "author", "job", "base", "recipe", "gates green", "consent", "review")
    return Table(head, rows)


def findings_table(findings: Sequence[Damage]) -> Table:
    """What is wrong with the registry."""
    return Table(("object", "problem", "affects"), [(i.key, i.problem, ", ".join(i.affects)) for i in findings])


def changes_table(found: Changes) -> Table:
    """What a push changed."""
    return Table(("voice", "change", "was"), [(i.voice, str(i.kind), i.was or "-") for i in found.changes])


def short(time: str) -> str:
    """2026-11-21T10:00:00.000000+00:00 -> 2026-11-21 10:00:00 (UTC, as everywhere)."""
    return time[:19].replace("T", " ")
