"""Which voices a push concerns: added, changed, reverted, renamed or deleted folders between two commits.

Only the two trees are compared, so merges, rebased branches and force pushes need no special case. When this clone
does not have the older commit (first push, force push over it, shallow clone), every voice is listed: a voice whose
source is known to the registry costs nothing, a voice that was overlooked would never be published.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from timbre.core.errors import InputError
from timbre.core.printable import printable
from timbre.pipeline.ci.git import Repository


class Kind(StrEnum):
    """What happened to a voice folder."""

    ADDED = "added"
    CHANGED = "changed"
    REVERTED = "reverted"
    RENAMED = "renamed"
    DELETED = "deleted"


@dataclass(frozen=True)
class Change:
    """One voice that a push concerns."""

    voice: str
    """Name of the folder in the newer commit, or in the older one if it was deleted."""
    kind: Kind
    """Decides whether the voice is built, promoted or retired."""
    was: str | None = None
    """Old name of a renamed voice, else None."""


@dataclass(frozen=True)
class Changes:
    """What a push changed."""

    changes: tuple[Change, ...]
    """Sorted by voice."""
    note: str = ""
    """Why the list may be longer than the push, or which folders hold no files; empty when there is nothing to say."""


def changed_voices(repository: Repository, older: str, newer: str) -> Changes:
    """Changes from commit `older` to commit `newer` (names or hashes; all zeros for "nothing yet").

    Raises InputError when `newer` is not a commit of this clone, ConfigurationError without a repository or a commit.
    """
    repository.require_commit()
    new = repository.resolve(newer)
    if new is None:
        raise InputError(f"--to {newer[:80]!r}: this clone has no such commit", "fetch it, or name another commit")
    after = repository.voice_trees(new)
    foreign = repository.foreign_voices(new)
    old = repository.resolve(older)
    if old is None:
        first = not older or set(older) == {"0"}
        why = (
            ""
            if first
            else f"commit {printable(older)[:40]} is not in this clone, so every voice is listed and none as deleted"
        )
        return Changes(tuple(Change(name, Kind.ADDED) for name in sorted(after)), _notes(why, foreign, after))
    before = repository.voice_trees(old)
    gone = {name: tree for name, tree in before.items() if name not in after}
    found = []
    for name, tree in after.items():
        if before.get(name) == tree:
            continue
        was = next((other for other, its in sorted(gone.items()) if its == tree), None) if name not in before else None
        if was is not None:
            del gone[was]
            found.append(Change(name, Kind.RENAMED, was))
        elif repository.had_tree(name, tree, old):
            found.append(Change(name, Kind.REVERTED))
        else:
            found.append(Change(name, Kind.CHANGED if name in before else Kind.ADDED))
    found += [Change(name, Kind.DELETED) for name in gone]
    concerned = {change.voice for change in found if change.kind is not Kind.DELETED}
    return Changes(tuple(sorted(found, key=lambda change: change.voice)), _notes("", foreign, concerned))


def _notes(why: str, foreign: Mapping[str, str], concerned: Collection[str]) -> str:
    named = [
        f"voices/{name} is {kind}, so this repository holds none of its recordings: commit the files themselves"
        for name, kind in sorted(foreign.items())
        if name in concerned
    ]
    return "; ".join(filter(None, (why, *named)))
