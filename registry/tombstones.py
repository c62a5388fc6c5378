"""Tombstones: the permanent marks of withdrawn consent, one a name and one for the recordings under whatever name.

Every write that could bring recordings back looks at them before it begins and once more when it is done.
"""

from __future__ import annotations

import re
from typing import Any

from timbre.core.errors import InputError
from timbre.registry.errors import RevokedError
from timbre.registry.names import check_voice, tombstone_key
from timbre.registry.records import seal, unseal
from timbre.registry.store import Store

_DIGEST = re.compile(r"[0-9a-f]{64}")


def mark_voice(store: Store, voice: str, time: str, actor: str, reason: str) -> None:
    """Marks a name as revoked; the first mark stays."""
    key = tombstone_key(voice)
    store.put_if_absent(key, seal(key, {"voice": voice, "time": time, "actor": actor, "reason": reason}))


def mark_recordings(store: Store, recordings: str, voice: str, time: str, actor: str, reason: str) -> None:
    """Marks recordings as revoked under every name; the first mark stays. voice: the name that was asked for."""
    key = _recordings_key(recordings)
    store.put_if_absent(key, seal(key, {"voice": voice, "time": time, "actor": actor, "reason": reason}))


def tombstone(store: Store, voice: str, recordings: str = "") -> dict[str, Any] | None:
    """The mark of a name or of its recordings ("": unknown), or None. A damaged mark raises CorruptError."""
    keys = [tombstone_key(check_voice(voice))] + ([_recordings_key(recordings)] if recordings else [])
    for key in keys:
        stored = store.get(key)
        if stored is not None:
            return unseal(key, stored.data)
    return None


def refuse_revoked(store: Store, voice: str, recordings: str = "") -> None:
    """Raises RevokedError when consent for this name or for these recordings was withdrawn."""
    mark = tombstone(store, voice, recordings)
    if mark is None:
        return
    which = "" if mark.get("voice", voice) == voice else f" (its recordings are those of {mark['voice']!r})"
    raise RevokedError(
        f"voice {voice!r}{which} was revoked at {mark['time']} by {mark['actor']}: {mark['reason']}",
        remedy="a revoked voice never comes back: delete its folder; with new consent, use new recordings and "
        "another voice name",
    )


def revoked_voices(store: Store) -> set[str]:
    """Names with a tombstone. A damaged tombstone counts: it was written for a reason."""
    return {key.split("/")[1] for key in store.list("voices/") if key.count("/") == 2 and key.endswith("/revoked.json")}


def _recordings_key(recordings: str) -> str:
    if not _DIGEST.fullmatch(recordings):
        raise InputError(f"recordings {recordings[:80]!r}: expected 64 hexadecimal digits", remedy="run stage 1 again")
    return f"revoked/{recordings}.json"
