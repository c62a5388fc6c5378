"""From an address to a Store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from timbre.core.errors import ConfigurationError
from timbre.core.extras import needed_by
from timbre.registry.address import RegistryAddress
from timbre.registry.local_store import LocalStore
from timbre.registry.signing import guarded
from timbre.registry.store import Store
from timbre.registry.stores import hub_options, s3_options


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
        place = s3_options.read_place(url, environment.get(s3_options.VARIABLE, ""))
        with needed_by(f"registry {place.url}"):
            from timbre.registry.stores.s3 import S3Store
        return S3Store(place)
    if parts.scheme == "hf":
        repository = hub_options.read_place(url)
        with needed_by(f"registry {repository.url}"):
            from timbre.registry.stores.hub import HubStore
        return HubStore(repository)
    if parts.scheme and "://" in url:
        raise ConfigurationError(
            f"registry: unsupported address scheme {parts.scheme}://",
            remedy="use a folder (a path or file:///path), s3://bucket/prefix or hf://owner/name",
        )
    return LocalStore(Path(url))
