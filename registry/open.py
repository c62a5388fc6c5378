"""From a registry's address to a Registry."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from timbre.core.errors import ConfigurationError
from timbre.registry.local_store import LocalStore
from timbre.registry.registry import Registry
from timbre.registry.store import Store


def open_store(url: str) -> Store:
    """The store at a path or file:// address. Raises ConfigurationError on an address of another kind."""
    if not url.strip():
        raise ConfigurationError("registry: the address is empty", remedy="pass --registry PATH or set TIMBRE_REGISTRY")
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalStore(Path(unquote(parts.path)))
    if parts.scheme and "://" in url:
        raise ConfigurationError(
            f"registry: this program has no store for addresses that begin with {parts.scheme}://",
            remedy="use a local folder: a path or file:///path",
        )
    return LocalStore(Path(url))


def open_registry(url: str, *, unsafe_aliases: bool = False) -> Registry:
    """The registry at an address; nothing is created until something is written."""
    return Registry(open_store(url), unsafe_aliases=unsafe_aliases)
