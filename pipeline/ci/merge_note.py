"""The note of a voice in GitLab's merge request: its gates and two players, in one note that is kept up to date.

report.md, two sounds, address of the job -> text of the note -> notes API

Off unless the operator gives a token. A note never changes the outcome of a job: a GitLab that refuses is a warning.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from timbre.core.errors import TimbreError
from timbre.core.redaction import Redactor
from timbre.pipeline.ci.forge_call import forge_call

TOKEN = "TIMBRE_GITLAB_TOKEN"
_ADDRESS = "CI_API_V4_URL"
_PAGE_SIZE = 100
_MOST_PAGES = 50
_MARK = re.compile(r"<!-- timbre voice=(\S+) pipeline=(\d+) -->")
# A line that begins with a slash is a command to GitLab ("/merge"), which it carries out with the rights of the token.
_COMMAND = re.compile(r"^(\s*)/", re.M)


@dataclass(frozen=True)
class Player:
    """A sound in a note."""

    label: str
    """Whose voice it plays."""
    path: str
    """WAV file among the artefacts of the job, with `/`."""


@dataclass(frozen=True)
class MergeRequestNotes:
    """The notes of one merge request."""

    api: str
    """Address of GitLab's API, without a slash at its end."""
    project: str
    """Number or path of the target project."""
    number: str
    """Of the merge request within its project (IID)."""
    token: str
    """Secret with the scope `api`; its user owns the notes."""
    pipeline: int
    """Number of this pipeline; later pipelines have larger ones."""
    job: str
    """Address of this job's page."""

    def show(self, voice: str, text: str, log: logging.Logger) -> bool:
        """Writes the voice's note, or replaces the one of an earlier pipeline. False, with a warning in the log, when
        it could not be written; False too where a later pipeline was first.
        """
        try:
            known = self._own(voice)
            if known is not None and int(_mark(known)[1]) > self.pipeline:
                log.info("note of a later pipeline stays", extra={"voice": voice, "merge_request": self.number})
                return False
            harmless = _COMMAND.sub(r"\1\\/", text)
            body = {"body": f"<!-- timbre voice={voice} pipeline={self.pipeline} -->\n{harmless}"}
            if known is None:
                self._call("POST", self._notes, body)
            else:
                self._call("PUT", f"{self._notes}/{int(known['id'])}", body)
        except (TimbreError, KeyError, TypeError, ValueError, AttributeError) as error:
            reason = str(error) if isinstance(error, TimbreError) else f"an answer of another form ({error!r})"
            log.warning("note not written", extra={"voice": voice, "merge_request": self.number, "reason": reason})
            return False
        return True

    def _own(self, voice: str) -> Mapping[str, Any] | None:
        """The note that this token's user wrote about the voice: anybody may write the same mark."""
        author = self._call("GET", "/user")["id"]
        for page in range(1, _MOST_PAGES + 1):
            found = self._call("GET", f"{self._notes}?per_page={_PAGE_SIZE}&page={page}&order_by=created_at&sort=asc")
            for note in found:
                if note["author"]["id"] == author and _mark(note)[0] == voice:
                    ours: Mapping[str, Any] = note
                    return ours
            if len(found) < _PAGE_SIZE:
                break
        return None

    @property
    def _notes(self) -> str:
        return f"/projects/{quote(self.project, safe='')}/merge_requests/{quote(self.number, safe='')}/notes"

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return forge_call(method, self.api + path, {"PRIVATE-TOKEN": self.token}, (TOKEN, _ADDRESS), body)


def notes_of(environment: Mapping[str, str]) -> MergeRequestNotes | None:
    """The notes of the merge request whose pipeline this job is of; None without a token, and outside of one."""
    token = environment.get(TOKEN, "").strip()
    api, number = environment.get(_ADDRESS, ""), environment.get("CI_MERGE_REQUEST_IID", "")
    # Of a fork's merge request CI_PROJECT_ID is the fork.
    project = environment.get("CI_MERGE_REQUEST_PROJECT_ID") or environment.get("CI_PROJECT_ID", "")
    pipeline = environment.get("CI_PIPELINE_ID", "")
    if not (token and api and number and project and pipeline.isdigit()):
        return None
    return MergeRequestNotes(api.rstrip("/"), project, number, token, int(pipeline), environment.get("CI_JOB_URL", ""))


def note_text(report: str, sentence: str, players: tuple[Player, ...], page: str, job: str, redactor: Redactor) -> str:
    """Writes the text of a note.

    report: Markdown of the verdict; sentence: what the players speak; page: path of report.html below the artefacts
    of the job, "" for none; job: page of this job, "" where nothing can be linked.
    """
    parts = [redactor.clean(report).strip()]
    if job and players:
        # In code nobody is mentioned, no command is read, and nothing is a link.
        code = re.sub(r"\s+", " ", redactor.clean(sentence)).replace("`", "'").strip()
        parts.append(f"Hear `{code}`:" if code else "Hear one sentence:")
        parts += [f"{player.label}\n\n![{player.label}]({_raw(job, player.path)})" for player in players]
    if job:
        links = [f"[report with sound]({job}/artifacts/file/{quote(page)})"] * bool(page) + [f"[job]({job})"]
        parts.append(" · ".join(links))
    return "\n\n".join(parts) + "\n"


def _raw(job: str, path: str) -> str:
    return f"{job}/artifacts/raw/{quote(path)}"


def _mark(note: Mapping[str, Any]) -> tuple[str, str]:
    """Voice and pipeline of a note of ours; ("", "0") for another."""
    found = _MARK.match(str(note["body"]))
    return (found[1], found[2]) if found else ("", "0")


def below(path: Path, root: Path) -> str:
    """A path as artefacts name it."""
    return path.relative_to(root).as_posix()
