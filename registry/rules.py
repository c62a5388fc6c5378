"""The operator's policies applied: what the registry asks before it writes. Without any policy everything is allowed.

policies, who acts, a version -> nothing, or an error that names the policy and the line of it

Rules hold for every program with this code, keys and credentials. What somebody with credentials of the store and a
program of their own can write, signatures decide (signing.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from timbre.core.errors import CheckFailedError, ConfigurationError, InputError
from timbre.registry import events
from timbre.registry.actor import Actor, same_person
from timbre.registry.events import Event
from timbre.registry.manifest import Manifest
from timbre.registry.policy import KEY, Bound, Policy, read_policy, stored_policy
from timbre.registry.store import Store

POLICY = "TIMBRE_POLICY"
IN_REGISTRY = "registry"


class NotAllowedError(ConfigurationError):
    """The operator's policy does not let this person or job do that."""


ReadPolicies = Callable[[], tuple[Policy, ...]]


class Rules:
    """The policies as they are for one act: read when the first question is asked, once for all that follow.

    A registry makes new ones for every act (Registry.rules), so that a changed policy counts from the next act on.
    """

    def __init__(self, read: ReadPolicies = tuple) -> None:
        self._read = read
        self._found: tuple[Policy, ...] | None = None

    @property
    def policies(self) -> tuple[Policy, ...]:
        """All that count. Raises ConfigurationError and CorruptError as the reader does."""
        if self._found is None:
            self._found = self._read()
        return self._found

    def require(self, act: str, actor: Actor, *others: str) -> None:
        """Raises NotAllowedError unless every policy lets the actor do this (or one of the other acts)."""
        for policy in self.policies:
            if not any(policy.may(item, actor) for item in (act, *others)):
                how = f"{actor.name} ({actor.proof})"
                raise NotAllowedError(
                    f"{how} may not {act}: {policy.where} does not name them under `{act}`",
                    "let somebody do it whom the policy names, or change the policy",
                )

    def check_voice(self, voice: str, consent: str, base: str) -> None:
        """Raises InputError for a kind of consent or a base that a policy does not allow."""
        for policy in self.policies:
            for what, value, allowed in (("consent: kind", consent, policy.consent), ("base", base, policy.bases)):
                if allowed is not None and value not in allowed:
                    raise InputError(
                        f"voices/{voice}/voice.yaml: {what} is {value!r}; {policy.where} allows {', '.join(allowed)}",
                        "change voice.yaml, or ask the operator",
                    )

    def check_version(self, manifest: Manifest) -> None:
        """Raises as check_voice, and CheckFailedError for a version that a gate of a policy does not pass."""
        self.check_voice(manifest.voice, str(manifest.consent.get("kind", "")), manifest.base)
        for policy in self.policies:
            for name, bound in policy.gates.items():
                if why := _below(manifest.gates.get(name), bound):
                    raise CheckFailedError(
                        f"{manifest.voice}@{manifest.version}: gate {name} {why}, as {policy.where} asks",
                        "improve the recordings and push again; the operator sets these limits",
                    )

    def wants_review(self, manifest: Manifest) -> bool:
        """Whether a person approves this version: the stricter of its own line and the policies."""
        return manifest.review_required or self.wants_review_of(manifest.voice)

    def wants_review_of(self, voice: str) -> bool:
        """Whether a policy asks for reviews of a voice."""
        return any(policy.wants_review(voice) for policy in self.policies)

    def check_approval(self, manifest: Manifest, actor: Actor) -> None:
        """Raises NotAllowedError when this actor may not approve this version: not named by a policy, or the author of
        its commit (or who published it) where four eyes are asked for.
        """
        self.require("approve", actor)
        authors = [Actor(name) for name in (manifest.provenance.author, manifest.provenance.actor) if name]
        for policy in self.policies:
            if policy.four_eyes and any(same_person(actor, author) for author in authors):
                raise NotAllowedError(
                    f"{actor.name} made {manifest.voice}@{manifest.version} and does not approve it: {policy.where} "
                    "asks for four eyes",
                    "let another person listen and approve",
                )

    def approval(self, store: Store, manifest: Manifest) -> str | None:
        """Who approved this version when it was promoted before, in a way that counts under today's policies."""
        for event in reversed(events.read(store, manifest.voice)):
            if event.version == manifest.version and event.approved_by and self._counts(event, manifest):
                return event.approved_by
        return None

    def permitted(
        self, store: Store, manifest: Manifest, actor: Actor, approved_by: str | None, by_hand: bool
    ) -> str | None:
        """Who approved this version, as far as it counts, for an actor who moves an alias to it. Raises
        NotAllowedError.
        """
        if approved_by and by_hand and approved_by == actor.name:
            self.check_approval(manifest, actor)
            return approved_by
        self.require("promote" if by_hand else "publish", actor)
        return (self.approval(store, manifest) or approved_by) if approved_by else None

    def _counts(self, event: Event, manifest: Manifest) -> bool:
        if event.actor != event.approved_by:
            # A pipeline that carried an approval on; what it carried is an event of its own.
            return not self.policies
        try:
            self.check_approval(manifest, Actor(event.actor, event.commit, event.proof))
        except NotAllowedError:
            return False
        return True


def policies_of(store: Store, environment: Mapping[str, str]) -> ReadPolicies:
    """Reads the policies of a registry: the file that TIMBRE_POLICY names, and its own policy.json.

    TIMBRE_POLICY=registry makes the registry's policy indispensable. Reading raises ConfigurationError for a file or
    an object that is missing or no policy.
    """
    named = environment.get(POLICY, "").strip()

    def load() -> tuple[Policy, ...]:
        found = stored_policy(store)
        if named == IN_REGISTRY and found is None:
            raise ConfigurationError(f"{store.url}: {KEY} is missing, and {POLICY}={IN_REGISTRY} asks for it",
                                     "store it: timbre policy store FILE")  # fmt: skip
        file = (read_policy(Path(named)),) if named and named != IN_REGISTRY else ()
        return (*file, *((found,) if found is not None else ()))

    return load


def _below(gate: Mapping[str, Any] | None, bound: Bound) -> str:
    """What speaks against a gate, in words; empty when it passed and reaches the bound."""
    if gate is None:
        return "was not measured"
    if gate.get("passed") is not True:
        return "failed"
    value = gate.get("value")
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    # Written so that a value that is no number, NaN too, reaches no bound.
    if bound.at_least is not None and not (number is not None and number >= bound.at_least):
        return f"is {value}, below {bound.at_least}"
    if bound.at_most is not None and not (number is not None and number <= bound.at_most):
        return f"is {value}, above {bound.at_most}"
    return ""
