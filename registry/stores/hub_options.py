"""Options of `hf://owner/name`: what the query of the address may say. The token: HF_TOKEN or the client's login."""

from __future__ import annotations

import re
from dataclasses import dataclass

from timbre.core.errors import ConfigurationError
from timbre.core.settings import setting
from timbre.registry.stores.options import read_options, split_address

_FORM = "hf://OWNER/NAME, for example hf://example-org/voices"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True)
class HubOptions:
    """Where and how to speak to a Hub."""

    endpoint: str = setting("", "address of another Hub; default: HF_ENDPOINT or huggingface.co")
    branch: str = setting("main", "branch that holds the registry")
    visibility: str = setting("private", "of a repository that is created", choices=("private", "public"))
    attempts: int = setting(6, "attempts of a request, and of a commit that others overtook", low=1, high=50)
    wait_s: float = setting(30.0, "longest wait that a rate limit may ask for", "s", low=0, high=3600)


@dataclass(frozen=True)
class HubPlace:
    """A repository on a Hub."""

    repository: str
    """OWNER/NAME."""
    options: HubOptions
    """From the query of the address."""

    @property
    def url(self) -> str:
        """The address without its query."""
        return f"hf://{self.repository}"


def read_place(url: str) -> HubPlace:
    """The place an address means. Raises ConfigurationError."""
    parts = split_address(url, _FORM)
    name = parts.path.strip("/")
    if not (_NAME.fullmatch(parts.netloc) and _NAME.fullmatch(name)):
        raise ConfigurationError(f"registry: the address {url[:120]!r} names no repository", remedy=f"write {_FORM}")
    return HubPlace(f"{parts.netloc}/{name}", read_options(HubOptions, parts.query, "", "the defaults"))
