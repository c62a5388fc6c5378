"""Promotion: moves an alias after a pipeline or by hand, and notifies the webhook.

Pipelines only go forward in the history of commits and never undo what a person did: a version that somebody moved the
alias off by hand stays back until the recordings change or a person promotes it again (registry/by_hand.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from timbre.pipeline.ci.git import Repository
from timbre.pipeline.ci.origin import Origin, actor_of
from timbre.pipeline.engine.alerts import Alert
from timbre.registry.aliases import Alias
from timbre.registry.errors import CorruptError, NotFoundError
from timbre.registry.events import Act
from timbre.registry.manifest import Manifest
from timbre.registry.names import PRODUCTION
from timbre.registry.registry import Actor, Promotion, Registry

PASSED, KNOWN_SOURCE = "passed every gate", "its recordings match a version that passed"
"""Reasons of events that pipelines write; the dashboard translates them."""


@dataclass(frozen=True)
class PromotionOutcome:
    """Outcome of a promotion."""

    moved: bool
    """Whether another version speaks now; False where the alias only takes a later commit for the same version."""
    alias: Alias | None
    """State after it; None when the alias was never set."""
    words: str
    """One sentence for people, with the next action where the alias stays."""


def promote_for_commit(
    registry: Registry,
    manifest: Manifest,
    origin: Origin,
    repository: Repository,
    *,
    alias: str = PRODUCTION,
    review: bool = False,
    reason: str = "",
) -> PromotionOutcome:
    """Points the alias at a version on behalf of a pipeline, unless something speaks against it.

    review: whether voice.yaml asks for one now. An approval that a version was given earlier still counts: a revert to
    it needs no second one. Raises what Registry.promote raises, and ConfigurationError in a shallow clone.
    """
    voice, version = manifest.voice, manifest.version
    approved_by = earlier_approval(registry, voice, version)
    current = registry.alias(voice, alias)
    if not origin.commit and current is not None and current.commit is not None and current.version != version:
        words = f"{alias} stays: these recordings are not committed, and it stands for commit {current.commit[:12]}"
        return PromotionOutcome(False, current, words)
    if (review or review_of_production(registry, voice, alias)) and not approved_by:
        words = f"{alias} stays: waits for a review: timbre promote {voice} {version} --approve"
        return PromotionOutcome(False, current, words)
    actor = actor_of(origin)
    found = registry.promote(
        voice,
        version,
        actor=actor,
        alias=alias,
        reason=reason,
        approved_by=approved_by,
        is_ancestor=repository.is_ancestor,
    )
    return _outcome(found, alias, version)


def review_of_production(registry: Registry, voice: str, alias: str = PRODUCTION) -> bool:
    """Whether the version in production was one that asks for a review: a push cannot drop that line for itself.

    The push that drops it is reviewed once more; the version that was approved without the line frees those after it.
    """
    current = registry.alias(voice, alias)
    last = current and (current.version or current.previous)
    if not last:
        return False
    try:
        manifest = registry.manifest(voice, last)
    except (CorruptError, NotFoundError):
        return False
    return manifest.review_required and not manifest.review_dropped


def promote_by_hand(
    registry: Registry,
    voice: str,
    version: str,
    who: Actor,
    *,
    alias: str = PRODUCTION,
    approve: bool = False,
    reason: str = "",
    repository: Repository | None = None,
) -> PromotionOutcome:
    """Points the alias at a version because a person says so, also backwards. approve: this person gives the review.

    The alias keeps its place in the order of commits, so that an older pipeline that ends late cannot move it. Raises
    what Registry.promote raises.
    """
    manifest = registry.manifest(voice, version)
    current = registry.alias(voice, alias)
    place = order_place(current, manifest.provenance.commit, repository)
    found = registry.promote(
        voice,
        version,
        actor=replace(who, commit=place),
        alias=alias,
        reason=reason,
        approved_by=who.name if approve else earlier_approval(registry, voice, version),
        by_hand=True,
    )
    return _outcome(found, alias, version)


def order_place(current: Alias | None, commit: str | None, repository: Repository | None) -> str | None:
    """The later of the alias's commit and the version's; the alias's own where Git cannot tell."""
    if current is None or current.commit is None:
        return commit
    if commit is None or repository is None or commit == current.commit:
        return current.commit
    return commit if repository.is_ancestor(current.commit, commit) else current.commit


def earlier_approval(registry: Registry, voice: str, version: str) -> str | None:
    """Who approved this very version when it was promoted before, or None."""
    registry.history(voice)
    return registry.rules.approval(registry.store, registry.manifest(voice, version))


def promotion_alert(state: Alias, job_url: str = "") -> Alert:
    """The webhook message of a moved alias."""
    verbs = {Act.PROMOTED: "promoted", Act.ROLLED_BACK: "rolled back", Act.RETIRED: "retired"}
    what = f" to {state.version}" if state.version else ""
    fields = {
        "voice": state.voice,
        "alias": state.alias,
        "version": state.version or "",
        "before": state.previous or "",
        "by": state.actor,
        "approved by": state.approved_by or "",
        "commit": (state.commit or "")[:12],
        "job": job_url,
    }
    return Alert(f"timbre: voice {state.voice} {verbs.get(state.act, state.act)}{what}", state.reason, fields)


def _outcome(found: Promotion, alias: str, version: str) -> PromotionOutcome:
    before = found.alias.previous if found.alias is not None and found.moved else None
    if found.moved and before != version:
        return PromotionOutcome(
            True, found.alias, f"{alias} now points to {version}" + (f" (before: {before})" if before else "")
        )
    if found.alias is not None and found.alias.version == version:
        return PromotionOutcome(False, found.alias, f"{alias} points to {version} already")
    return PromotionOutcome(False, found.alias, f"{alias} stays: {found.reason}")
