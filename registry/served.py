"""When servers last spoke with a version: marks that they leave once a day, and that pruning reads.

They lie under `served/` of the registry, or of the store that TIMBRE_SERVED names, for servers that may only read the
registry. A mark is nobody's proof: it keeps a version longer, and its absence only lets an operator prune it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from timbre.core.errors import InfrastructureError
from timbre.registry.errors import CorruptError
from timbre.registry.names import check_version, check_voice
from timbre.registry.records import seal, unseal
from timbre.registry.store import Store
from timbre.registry.store_at import store_named

SERVED = "TIMBRE_SERVED"
EVERY = timedelta(days=1)
_ATTEMPTS = 4


def served_store(registry: Store, environment: Mapping[str, str]) -> Store:
    """Where marks lie: at TIMBRE_SERVED, else in the registry."""
    return store_named(SERVED, environment) or registry


def mark_served(store: Store, voice: str, version: str, time: str) -> bool:
    """Notes that a version spoke at this time (UTC, ISO 8601); False when a mark of less than a day before stands."""
    key = _key(voice, version)
    data = seal(key, {"voice": voice, "version": version, "time": time})
    for _ in range(_ATTEMPTS):
        stored = store.get(key)
        if stored is None:
            if store.put_if_absent(key, data):
                return True
            continue
        before = _time(key, stored.data)
        if before is not None and datetime.fromisoformat(time) - datetime.fromisoformat(before) < EVERY:
            return False
        if store.replace_if(key, data, stored.tag) is not None:
            return True
    raise InfrastructureError(
        f"{store.url}: {key} was changed by others {_ATTEMPTS} times in a row", "it is tried again"
    )


def last_served(store: Store, voice: str) -> dict[str, str]:
    """Version -> time of its last mark. A damaged mark is left out."""
    found = {}
    for key in store.list(f"served/{check_voice(voice)}/"):
        stored = store.get(key)
        time = _time(key, stored.data) if stored is not None else None
        if time is not None:
            found[key.rsplit("/", 1)[-1].removesuffix(".json")] = time
    return found


def any_served(store: Store) -> bool:
    """Whether any server ever left a mark."""
    return next(iter(store.list("served/")), None) is not None


def _time(key: str, data: bytes) -> str | None:
    try:
        time = str(unseal(key, data)["time"])
        datetime.fromisoformat(time)
    except (CorruptError, KeyError, ValueError):
        return None
    return time


def _key(voice: str, version: str) -> str:
    return f"served/{check_voice(voice)}/{check_version(version)}.json"
