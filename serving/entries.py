"""What a server makes of a voice of the registry: which of its versions speak, and what stands in the way of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from timbre.registry.names import PRODUCTION
from timbre.serving.catalogue import Listing
from timbre.serving.errors import ApiError


@dataclass(frozen=True)
class Failure:
    """A version that could not be loaded."""

    version: str
    """Id of the version that the alias points at."""
    reason: str
    """For the log, `/readyz` and the voice's page: one line without remedy."""
    monotonic_s: float
    """When it was tried."""


@dataclass(frozen=True)
class Entry:
    """What the server makes of a listing."""

    listing: Listing
    """As the registry was read last."""
    serving: Mapping[str, str] = field(default_factory=dict)
    """Alias -> version that speaks."""
    failures: Mapping[str, Failure] = field(default_factory=dict)
    """Alias -> what stands in the way of the version that the registry wants."""

    @property
    def state(self) -> str:
        """revoked, retired, ready, failed (nothing of it can speak), or unreleased (no production version yet)."""
        if self.listing.revoked is not None:
            return "revoked"
        if self.listing.retired is not None:
            return "retired"
        if PRODUCTION in self.serving:
            return "ready"
        return "failed" if PRODUCTION in self.failures else "unreleased"

    @property
    def awaited(self) -> bool:
        """Whether a version of it is for production that has not been loaded yet, as in a server's first moments."""
        alias = self.listing.aliases.get(PRODUCTION)
        return self.state == "unreleased" and alias is not None and alias.version is not None


def follow(listing: Listing, before: Entry | None) -> Entry:
    """The entry of a new listing: what spoke goes on speaking unless the voice is gone or the alias is."""
    if before is None or listing.revoked is not None or listing.retired is not None:
        return Entry(listing)
    kept = {alias for alias, state in listing.aliases.items() if state.version is not None}
    return Entry(
        listing,
        {alias: version for alias, version in before.serving.items() if alias in kept},
        {
            alias: failure for alias, failure in before.failures.items()
            if alias in kept and failure.version == listing.aliases[alias].version
        },
    )  # fmt: skip


def refuse_gone(entry: Entry) -> None:
    """Raises ApiError 410 for a voice that was retired or revoked."""
    name, mark, retired = entry.listing.name, entry.listing.revoked, entry.listing.retired
    if mark is not None:
        raise ApiError(
            410, f"voice {name!r} was revoked: {mark['reason'] or 'its consent was withdrawn'}",
            "it never comes back; use another voice", code="voice_revoked", param="voice",
        )  # fmt: skip
    if retired is not None:
        raise ApiError(
            410, f"voice {name!r} was retired: {retired.reason or 'its folder was deleted'}",
            "use another voice, or revert the commit that deleted its folder", code="voice_retired", param="voice",
        )  # fmt: skip
