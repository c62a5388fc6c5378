"""The static site of a registry: an index and a page per voice, readable without a server.

registry, folders -> VoiceView, ... -> index.html, <voice>.html, voices.json
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timbre.cli.dashboard.page import index_page, voice_page
from timbre.core.errors import TimbreError
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.release.registry_view import VoiceSummary, voice_summaries
from timbre.registry.events import Event
from timbre.registry.manifest import Manifest
from timbre.registry.names import PRODUCTION
from timbre.registry.registry import Registry

DATA_FILE = "voices.json"


@dataclass(frozen=True)
class VoiceView:
    """One voice: status, versions and events, oldest first. problem: why records could not be read, or ""."""

    known: VoiceSummary
    versions: tuple[Manifest, ...] = ()
    events: tuple[Event, ...] = ()
    problem: str = ""

    @property
    def production(self) -> Manifest | None:
        """The version that the alias points to."""
        return next((item for item in self.versions if item.version == self.known.version), None)


def collect(workspace: Workspace | None, registry: Registry, alias: str = PRODUCTION) -> tuple[VoiceView, ...]:
    """All voices of the repository and the registry, by name. A damaged voice is shown as such and hides no other."""
    return tuple(_view(known, registry) for known in voice_summaries(workspace, registry, alias))


def write_site(target: Path, views: Sequence[VoiceView], made: str) -> list[Path]:
    """Writes the site and returns its files. made: time and commit, for the foot of each page. Raises OSError."""
    target.mkdir(parents=True, exist_ok=True)
    pages = {"index.html": index_page(views, made), DATA_FILE: _data(views)}
    pages |= {f"{view.known.name}.html": voice_page(view, made) for view in views}
    for name, text in pages.items():
        (target / name).write_text(text, encoding="utf-8")
    return [target / name for name in pages]


def _view(known: VoiceSummary, registry: Registry) -> VoiceView:
    if known.state == "not published":
        return VoiceView(known)
    try:
        return VoiceView(known, tuple(registry.versions(known.name)), tuple(registry.history(known.name)))
    except TimbreError as error:
        return VoiceView(known, problem=error.message)


def _data(views: Sequence[VoiceView]) -> str:
    """The same as plain data, for other pages and for alerts."""
    plain: list[dict[str, Any]] = [
        {
            **dataclasses.asdict(view.known),
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
        }
        for view in views
    ]
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
