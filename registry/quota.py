"""The operator's quotas: whether what a version takes still fits, asked before the work and before it is stored.

policies, records of the registry -> bytes held, bytes a version takes -> nothing, or a refusal with the figures

Bytes are those of usage.py: each file once, without the trash. Two writers at a time may both fit and together exceed
a quota by one version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from timbre.core.digests import digest_bytes
from timbre.core.errors import ConfigurationError
from timbre.core.sizes import shown_size
from timbre.registry.manifest import Manifest
from timbre.registry.policy import Policy
from timbre.registry.store import Store
from timbre.registry.usage import files_of_voice, usage


class NoRoomError(ConfigurationError):
    """A version would take more than a quota of the operator's policy allows."""


def require_room(store: Store, policies: Sequence[Policy], manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Raises NoRoomError when these files do not fit; a version that is there already takes nothing."""
    if _without_quota(policies) or store.get(manifest.key) is not None:
        return
    _compare(store, policies, manifest.voice, {digest_bytes(data): len(data) for data in files.values()}, "a version")


def expect_room(store: Store, policies: Sequence[Policy], voice: str) -> None:
    """Raises NoRoomError before any work, when a version as large as the largest of this voice would not fit."""
    if _without_quota(policies):
        return
    largest = max((manifest.size_bytes for manifest in files_of_voice(store, voice)[0]), default=1)
    # Nothing is known of it but its size: no digest.
    _compare(store, policies, voice, {"": largest}, "the next version")


def _without_quota(policies: Sequence[Policy]) -> bool:
    return all(policy.quota.voice is None and policy.quota.registry is None for policy in policies)


def _compare(store: Store, policies: Sequence[Policy], voice: str, new: Mapping[str, int], what: str) -> None:
    for policy in policies:
        if (limit := policy.quota.voice) is not None:
            held = files_of_voice(store, voice)[1]
            _refuse_above(limit, sum(held.values()), _added(held, new), f"voice {voice!r}", "voice", policy, what)
        if (limit := policy.quota.registry) is not None:
            found = usage(store)
            _refuse_above(
                limit, found.total_bytes, _added(found.digests, new), f"registry {store.url}", "registry", policy, what
            )


def _added(held: Mapping[str, int] | frozenset[str], new: Mapping[str, int]) -> int:
    return sum(size for digest, size in new.items() if digest not in held)


def _refuse_above(limit: int, held: int, added: int, holder: str, key: str, policy: Policy, what: str) -> None:
    if held + added > limit:
        raise NoRoomError(
            f"{holder} holds {shown_size(held)} and {what} takes {shown_size(added)}; {policy.where} allows "
            f"{shown_size(limit)} (quota: {key})",
            "see what takes it with: timbre registry usage; make room with: timbre prune --yes",
        )
