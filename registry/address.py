"""Where a registry lies, with the operator's variables that its stores need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RegistryAddress:
    """A registry, with the operator's variables: nothing below the command line reads the environment."""

    url: str
    """Path or URL, as the operator gave it."""
    environment: Mapping[str, str] = field(repr=False, compare=False)
    """Master key, keys of signatures, witness, policy and options of the address (docs/registry.md)."""

    def __str__(self) -> str:
        return self.url

    def __bool__(self) -> bool:
        return bool(self.url)

    def beside(self, url: str) -> RegistryAddress:
        """Another address with the same variables."""
        return RegistryAddress(url, self.environment)
