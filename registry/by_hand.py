"""What a person decided about an alias holds against pipelines until the recordings change.

events of a voice -> moves of one alias since the last that followed the recordings -> the move that holds a version

A pipeline's move and a retirement follow the recordings. So does a person's promotion of a version made at a later
commit than the alias stood for: that is the review of what a pipeline published. Every other move by hand holds the
version that it left, until a person promotes that version again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from timbre.registry.aliases import Alias
from timbre.registry.errors import CorruptError, NotFoundError
from timbre.registry.events import Act, Event
from timbre.registry.names import PRODUCTION

IsAncestor = Callable[[str, str], bool]


def is_by_hand(move: Alias | Event) -> bool:
    """Whether a person moved the alias: every rollback, and promotions that say so."""
    return move.act is Act.ROLLED_BACK or move.by_hand


def holding_move(
    events: Iterable[Event],
    current: Alias,
    version: str,
    commit_of: Callable[[str], str | None],
    is_ancestor: IsAncestor | None = None,
) -> Event | None:
    """The move by hand that holds a version of this alias back from pipelines, or None.

    events: of the voice; those after `current` are left out. commit_of: the commit that a version was made at. What
    cannot be shown to be made later than the alias's commit counts as a step back.
    """
    moves = [item for item in events if item.alias == current.alias and (item.generation or 0) <= current.generation]
    held: dict[str, Event] = {}
    followed: str | None = None
    place: str | None = None
    for number, move in enumerate(sorted(moves, key=lambda item: item.generation or 0)):
        made_at = _made_at(move, commit_of) if is_by_hand(move) else None
        later = _is_later(made_at, place, is_ancestor)
        if number == 0 or later or not is_by_hand(move):
            held, followed = {}, move.version
        elif move.act is Act.PROMOTED and move.version == followed:
            held = {}  # Back where the recordings had put it: nothing that was tried in between is held.
        else:
            if move.previous is not None and move.previous != move.version:
                held[move.previous] = move
            held.pop(move.version or "", None)
        place = made_at if later else move.commit
    return held.get(version)


def objection(current: Alias | None, version: str | None, commit: str | None, is_ancestor: IsAncestor | None) -> str:
    """Why an alias does not move to a version (None: out of service) for a commit; empty when nothing speaks against
    it. A move whose order is not known is let through: outside Git nothing orders.
    """
    if current is None:
        return ""
    if current.version == version and current.commit == commit:
        return "it already stands there for this commit"
    if is_ancestor is None or current.commit is None or commit is None or current.commit == commit:
        return ""
    if is_ancestor(current.commit, commit):
        return ""
    newer, older = current.commit[:12], commit[:12]
    return f"it represents the newer commit {newer}, from which {older} does not descend"


def hold_words(move: Event) -> str:
    """Why a pipeline leaves the alias alone, and what brings the version back."""
    how = "rolled" if move.act is Act.ROLLED_BACK else "took"
    why = f" ({move.reason})" if move.reason else ""
    alias = "" if move.alias == PRODUCTION else f" --alias {move.alias}"
    return (
        f"{move.actor} {how} it back from {move.previous} to {move.version} by hand{why}, and the recordings have not "
        f"changed since; to bring {move.previous} back: timbre promote {move.voice} {move.previous}{alias}"
    )


def _made_at(move: Event, commit_of: Callable[[str], str | None]) -> str | None:
    if move.act is not Act.PROMOTED or move.version is None:
        return None
    try:
        return commit_of(move.version)
    except (CorruptError, NotFoundError):
        return None


def _is_later(made_at: str | None, place: str | None, is_ancestor: IsAncestor | None) -> bool:
    if place is None or made_at is None or is_ancestor is None or place == made_at:
        return False
    return is_ancestor(place, made_at)
