"""What voices a repository has, from their folders alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timbre.core.table import Table
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.voice.folder import open_voice


@dataclass(frozen=True)
class ListedVoice:
    """A voice folder in a listing."""

    name: str
    """Of the folder."""
    language: str
    """Empty when voice.yaml names none."""
    base: str
    """Name of the base; empty when the folder cannot be opened."""
    consent: str
    """Kind, one of CONSENT_KINDS; empty when there is none."""
    clips: int
    """Usable rows of metadata.csv."""
    problems: int
    """Problems that files and texts show; `timbre validate` also listens."""


def list_voices(workspace: Workspace) -> list[ListedVoice]:
    """Every folder of voices/ with a voice.yaml, by name."""
    found = []
    for name in workspace.voice_names():
        try:
            voice = open_voice(workspace.voices / name)
        except Exception:
            # One bad folder must not hide the others; `timbre validate NAME` says what is wrong with it.
            found.append(ListedVoice(name, "", "", "", 0, 1))
            continue
        kind = voice.consent.kind
        found.append(ListedVoice(name, voice.language, voice.base, kind, len(voice.clips), len(voice.problems)))
    return found


def voices_markdown(voices: Sequence[ListedVoice]) -> str:
    """A Markdown table."""
    rows = [(v.name, v.language, v.base, v.consent, str(v.clips), str(v.problems)) for v in voices]
    return Table(("voice", "language", "base", "consent", "clips", "problems"), rows).markdown()
