"""Git's notes as a witness: the heads of the voices' histories, attached to commits and pushed to the Git server.

registry -> head of a voice -> line in refs/notes/timbre of a commit -> push; and back: lines -> heads to compare with

Who can write the registry need not be able to write there, so that a history that was cut off at its end contradicts
the notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.pipeline.ci.git import Repository
from timbre.registry.chain import Head
from timbre.registry.registry import Registry

GIT_NOTES = "TIMBRE_GIT_NOTES"
REFERENCE = "refs/notes/timbre"
_FETCHED = "refs/notes/timbre-remote"
_LINE = re.compile(r"^timbre head (\S+) ([0-9]{1,9}) ([0-9a-f]{64})$", re.M)
_ATTEMPTS = 5


def note_heads(repository: Repository, registry: Registry, voices: Iterable[str], remote: str) -> int:
    """Adds the heads of these voices to the note of the commit that is checked out, and pushes the notes to a remote.

    Returns how many were new; 0 where records are not signed. Raises ConfigurationError outside Git or for a remote
    that refuses, InfrastructureError when others were first too often.
    """
    heads = [head for voice in voices if (head := registry.settle(voice)) is not None and head.number]
    if not heads:
        return 0
    commit = repository.head()
    if commit is None:
        message = f"{repository.path}: {GIT_NOTES} is set, and there is no commit to note the history at"
        raise ConfigurationError(message, f"run it in a clone of the voice repository, or unset {GIT_NOTES}")
    for _ in range(_ATTEMPTS):
        _merge(repository, remote)
        known = {(head.voice, head.number, head.digest) for head in noted(repository)}
        new = [head for head in heads if (head.voice, head.number, head.digest) not in known]
        if not new:
            return 0
        lines = "\n".join(f"timbre head {head.voice} {head.number} {head.digest}" for head in new)
        repository.notes(REFERENCE, "append", "-m", lines, commit.hash)
        if repository.push(remote, f"{REFERENCE}:{REFERENCE}"):
            return len(new)
    raise InfrastructureError(
        f"{remote}: others pushed {REFERENCE} {_ATTEMPTS} times in a row", "run the command again"
    )


def fetch_notes(repository: Repository, remote: str) -> list[Head]:
    """What the notes of a remote say. Raises ConfigurationError when it cannot be fetched from."""
    _merge(repository, remote)
    return noted(repository)


def noted(repository: Repository) -> list[Head]:
    """What the notes of this clone say, of all commits; lines of other kinds are left out."""
    return [
        Head(match[1], int(match[2]), match[3])
        for text in repository.all_notes(REFERENCE)
        for match in _LINE.finditer(text)
    ]


def _merge(repository: Repository, remote: str) -> None:
    """This clone's notes with those of the remote: each line of either."""
    if repository.fetch(remote, f"+{REFERENCE}:{_FETCHED}"):
        repository.notes(REFERENCE, "merge", "-q", "-s", "cat_sort_uniq", _FETCHED)
