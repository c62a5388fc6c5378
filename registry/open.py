"""From a registry's address to a Registry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from timbre.core.errors import ConfigurationError
from timbre.registry.address import RegistryAddress
from timbre.registry.encryption.keyring import key_store, open_keyring
from timbre.registry.local_store import LocalStore
from timbre.registry.registry import Registry
from timbre.registry.rules import policies_of
from timbre.registry.served import served_store
from timbre.registry.signing import guarded
from timbre.registry.store import Store
from timbre.registry.stores import hub, hub_options
from timbre.registry.stores.cached import CachedStore
from timbre.registry.stores.s3 import S3Store
from timbre.registry.stores.s3_options import VARIABLE, read_place

WITNESS = "TIMBRE_WITNESS"


def open_store(address: RegistryAddress) -> Store:
    """The store at an address, behind signatures where its variables name keys.

    No connection is made here. Raises ConfigurationError on an address of another kind, or one whose options are wrong.
    """
    return guarded(_plain_store(address.url, address.environment), address.environment)


def store_named(variable: str, environment: Mapping[str, str]) -> Store | None:
    """The store at the address in a variable, None where it is empty or blank. Raises as `open_store`."""
    where = environment.get(variable, "").strip()
    return open_store(RegistryAddress(where, environment)) if where else None


def _plain_store(url: str, environment: Mapping[str, str]) -> Store:
    if not url.strip():
        raise ConfigurationError("registry: the address is empty", remedy="pass --registry PATH or set TIMBRE_REGISTRY")
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalStore(Path(unquote(parts.path)))
    if parts.scheme == "s3":
        return S3Store(read_place(url, environment.get(VARIABLE, "")))
    if parts.scheme == "hf":
        return hub.HubStore(hub_options.read_place(url))
    if parts.scheme and "://" in url:
        raise ConfigurationError(
            f"registry: unsupported address scheme {parts.scheme}://",
            remedy="use a folder (a path or file:///path), s3://bucket/prefix or hf://owner/name",
        )
    return LocalStore(Path(url))


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
