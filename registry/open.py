"""From a registry's address to a Registry."""

from __future__ import annotations

from pathlib import Path

from timbre.registry.address import RegistryAddress
from timbre.registry.encryption.keyring import key_store, open_keyring
from timbre.registry.local_store import LocalStore
from timbre.registry.registry import Registry
from timbre.registry.rules import policies_of
from timbre.registry.served import served_store
from timbre.registry.store_at import open_store
from timbre.registry.stores.cached import CachedStore

WITNESS = "TIMBRE_WITNESS"
COPIES = "registry-copies"
"""Folder of copies of a remote registry, in a machine's cache folder."""


def with_cache(registry: Registry, folder: Path) -> Registry:
    """The same registry read through a cache in folder, when it is a remote one."""
    if isinstance(registry.store, LocalStore):
        return registry
    witness = registry.witness
    if witness is not None and not isinstance(witness, LocalStore):
        witness = CachedStore(witness, folder / "witness")
    cached = CachedStore(registry.store, folder)
    return Registry(
        cached,
        keys=registry.keys,
        witness=witness,
        key_store=registry.key_store,
        served=cached if registry.served is registry.store else registry.served,
    )


def open_registry(address: RegistryAddress, *, unsafe_aliases: bool = False) -> Registry:
    """The registry at an address, with the keys that its variables name; nothing is created until something is
    written.
    """
    store, environment = open_store(address), address.environment
    # Not store_named: a blank witness is refused, since a registry without one checks less than the operator asked for.
    named = environment.get(WITNESS, "")
    return Registry(
        store,
        unsafe_aliases=unsafe_aliases,
        keys=open_keyring(store, environment),
        witness=open_store(address.beside(named)) if named else None,
        key_store=key_store(store, environment),
        served=served_store(store, environment),
        policies=policies_of(store, environment),
    )
