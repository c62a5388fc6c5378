"""Data keys of voices, wrapped by the master key: made, rotated, destroyed.

They lie under `keys/<voice>.json` of a store: the registry's own, or the one that TIMBRE_KEYS names. Exclude
them from backups: destroying the record then makes every copy of a revoked voice's files unreadable, backups included.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any

from timbre.core.errors import ConfigurationError, InputError
from timbre.registry.encryption.master import VARIABLE, Master, read_master
from timbre.registry.encryption.sealed_file import Place, is_sealed, open_file, seal_file
from timbre.registry.errors import ConflictError, CorruptError
from timbre.registry.names import check_voice
from timbre.registry.records import seal, unseal
from timbre.registry.store import Store, Stored
from timbre.registry.store_at import store_named

KEYS = "TIMBRE_KEYS"
DEMAND = "TIMBRE_ENCRYPTION"
FOLDER = "keys/"
_ATTEMPTS = 8


class Keyring:
    """Data keys of the voices of a registry. Unwrapped keys stay in memory."""

    def __init__(self, store: Store, master: Master) -> None:
        if store.url.startswith("hf://"):
            raise ConfigurationError(
                f"{store.url}: the Hub keeps every earlier state, so a key there cannot be destroyed",
                remedy=f"set {KEYS} to a folder or bucket for the data keys",
            )
        self.store = store
        self.master = master
        self._known: dict[str, dict[str, bytes]] = {}

    def seal(self, place: Place, data: bytes) -> bytes:
        """data encrypted with the voice's newest key, which is made when there is none. Raises InputError for a voice
        whose key was destroyed.
        """
        keys = self._keys(place.voice) or self._made(place.voice)
        newest = list(keys)[-1]
        return seal_file(data, place, newest, keys[newest])

    def open(self, place: Place, data: bytes) -> bytes:
        """The content of a sealed file; data itself when it is none."""
        if not is_sealed(data):
            return data
        try:
            return open_file(data, place, self._keys(place.voice))
        except ConfigurationError:
            if self._known.pop(place.voice, None) is None:
                raise
            # Another process added a key since this one read them.
            return open_file(data, place, self._keys(place.voice))

    def new(self, voice: str) -> str:
        """Makes a voice's first data key; its id. Raises InputError when it has one or had one that was destroyed."""
        if _read(self.store, voice) is not None:
            raise InputError(f"voice {voice!r} has a data key", remedy=f"add one with: timbre keys rotate {voice}")
        return list(self._made(voice))[-1]

    def rotate(self, voice: str) -> str:
        """Adds a data key for what is written from now on, and wraps all with this master; the new id. Older files open
        with the older keys.
        """
        return self._changed(voice, add=True)

    def rewrap(self, voice: str, old: Master) -> None:
        """Wraps the keys of a voice, wrapped by another master until now, with this one."""
        self._changed(voice, add=False, old=old)

    def destroy(self, voice: str) -> bool:
        """Destroys all data keys of a voice for good; False when there was none. Nobody can read its files again."""
        self._known.pop(voice, None)
        return destroy_keys(self.store, voice)

    def ids(self, voice: str) -> list[str]:
        """Ids of a voice's keys, the newest last; empty when it has none or they were destroyed."""
        found = _read(self.store, voice)
        return [item["id"] for item in found[0]["keys"]] if found else []

    def _keys(self, voice: str) -> dict[str, bytes]:
        if voice not in self._known:
            found = _read(self.store, voice)
            if found is None:
                return {}
            self._known[voice] = self._unwrapped(voice, found[0], self.master)
        return self._known[voice]

    def _made(self, voice: str) -> dict[str, bytes]:
        key = _record(voice)
        entry = self._entry(voice, secrets.token_hex(8), secrets.token_bytes(32))
        self.store.put_if_absent(key, seal(key, {"voice": voice, "destroyed": False, "keys": [entry]}))
        found = _read(self.store, voice)
        if found is None or found[0]["destroyed"]:
            raise InputError(
                f"voice {voice!r}: its data key was destroyed when consent was withdrawn",
                remedy="publish under another name, with consent",
            )
        self._known[voice] = self._unwrapped(voice, found[0], self.master)
        return self._known[voice]

    def _changed(self, voice: str, *, add: bool, old: Master | None = None) -> str:
        key = _record(voice)
        for _ in range(_ATTEMPTS):
            found = _read(self.store, voice)
            if found is None or found[0]["destroyed"]:
                raise InputError(f"voice {voice!r} has no data key", remedy=f"make one: timbre keys new {voice}")
            plain = self._unwrapped(voice, found[0], old or self.master)
            if add:
                plain[secrets.token_hex(8)] = secrets.token_bytes(32)
            entries = [self._entry(voice, name, value) for name, value in plain.items()]
            if self.store.replace_if(key, seal(key, {**found[0], "keys": entries}), found[1].tag):
                self._known[voice] = plain
                return list(plain)[-1]
        raise ConflictError(f"{key}: others changed it {_ATTEMPTS} times in a row", remedy="run the command again")

    def _entry(self, voice: str, name: str, value: bytes) -> dict[str, str]:
        wrapped = self.master.wrap(value, {"voice": voice, "key": name})
        return {"id": name, "master": self.master.name, "wrapped": base64.b64encode(wrapped).decode()}

    def _unwrapped(self, voice: str, body: dict[str, Any], master: Master) -> dict[str, bytes]:
        try:
            pairs = [(item["id"], base64.b64decode(item["wrapped"], validate=True)) for item in body["keys"]]
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptError(f"{_record(voice)}: {error!r}", remedy="restore it from a copy") from error
        return {name: master.unwrap(wrapped, {"voice": voice, "key": name}) for name, wrapped in pairs}


def destroy_keys(store: Store, voice: str) -> bool:
    """Destroys all data keys of a voice in their store; no master key is needed. False when there was none."""
    key = _record(voice)
    stored = store.get(key)
    try:
        there = stored is not None and bool(unseal(key, stored.data)["keys"])
    except CorruptError:
        there = True
    # Deleted, not replaced: where a store keeps old versions of objects, deleting removes them too.
    if there:
        store.delete(key)
    if stored is None or there:
        store.put_if_absent(key, seal(key, {"voice": voice, "destroyed": True, "keys": []}))
    return there


def key_store(registry: Store, environment: Mapping[str, str]) -> Store:
    """Where the data keys of a registry lie: at TIMBRE_KEYS, else in the registry."""
    return store_named(KEYS, environment) or registry


def open_keyring(registry: Store, environment: Mapping[str, str]) -> Keyring | None:
    """The keyring of a registry, or None when no master key is named. Raises ConfigurationError when one is demanded
    (TIMBRE_ENCRYPTION=required) and none is named.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        if demands(environment):
            raise missing_key(f"{DEMAND} is required")
        return None
    return Keyring(key_store(registry, environment), read_master(text))


def demands(environment: Mapping[str, str]) -> bool:
    """Whether the operator demands encryption. Raises ConfigurationError for another value than required or empty."""
    value = environment.get(DEMAND, "").strip()
    if value not in ("", "optional", "required"):
        raise ConfigurationError(f"{DEMAND} is {value[:40]!r}", remedy="use required or optional")
    return value == "required"


def require_key(environment: Mapping[str, str], by_recipe: bool) -> None:
    """Raises ConfigurationError before any work when encryption is demanded and no master key is named, or the master
    key that is named cannot be read. by_recipe: whether publish.encryption demands it.
    """
    text = environment.get(VARIABLE, "").strip()
    if text:
        read_master(text)
    elif demands(environment):
        raise missing_key(f"the operator demands it ({DEMAND}=required)")
    elif by_recipe:
        raise missing_key("the recipe demands it (publish.encryption: required)")


def missing_key(why: str) -> ConfigurationError:
    """What a run without a key is refused with."""
    return ConfigurationError(
        f"encryption: {why}, and no master key is named",
        remedy=f"set {VARIABLE} (make a key with: timbre keys master), or ask the operator",
    )


def _read(store: Store, voice: str) -> tuple[dict[str, Any], Stored] | None:
    stored = store.get(_record(voice))
    return (unseal(_record(voice), stored.data), stored) if stored else None


def _record(voice: str) -> str:
    return f"{FOLDER}{check_voice(voice)}.json"
