"""What a person may do with a published version, asked before a button is shown; the act itself asks again.

voice, version, person -> promote, approve, roll back: offered, or the kind of reason that speaks against it
"""

from __future__ import annotations

from dataclasses import dataclass

from timbre.core.errors import TimbreError
from timbre.registry.conditions import require_passed
from timbre.registry.manifest import Manifest
from timbre.registry.names import PRODUCTION
from timbre.registry.registry import Actor, Registry

CURRENT, RED, REVIEW, NOT_ALLOWED = "current", "gates", "review", "not-allowed"
"""Why nothing is offered: the alias points there; gates or policies of the operator failed; a review is missing; a
policy does not name this person, or asks for another pair of eyes.
"""


@dataclass(frozen=True)
class Offer:
    """What a person may do with a version."""

    promote: bool
    """Put it into production as it is."""
    approve: bool
    """Put it into production with their review."""
    why: str
    """One of the kinds where neither is offered, "" otherwise."""


def offer(registry: Registry, manifest: Manifest, who: Actor) -> Offer:
    """What this person may do with a version that is not in production."""
    current = registry.alias(manifest.voice, PRODUCTION)
    if current is not None and current.version == manifest.version:
        return Offer(False, False, CURRENT)
    try:
        require_passed(manifest)
        registry.rules.check_version(manifest)
    except TimbreError:
        return Offer(False, False, RED)
    reviewed = not registry.rules.wants_review(manifest) or bool(registry.rules.approval(registry.store, manifest))
    try:
        if reviewed:
            registry.rules.require("promote", who)
        else:
            registry.rules.check_approval(manifest, who)
    except TimbreError:
        return Offer(False, False, NOT_ALLOWED if reviewed else REVIEW)
    return Offer(reviewed, not reviewed, "")


def rollback_target(registry: Registry, voice: str, who: Actor) -> str | None:
    """The version that this person may roll production back to; None where there is none, or they may not."""
    current = registry.alias(voice, PRODUCTION)
    if current is None or current.version is None or current.previous is None:
        return None
    try:
        registry.rules.require("promote", who)
        manifest = registry.manifest(voice, current.previous)
        require_passed(manifest)
        registry.rules.check_version(manifest)
        if registry.rules.wants_review(manifest) and not registry.rules.approval(registry.store, manifest):
            return None
    except TimbreError:
        return None
    return manifest.version
