"""The operator's policy, as data: who may do what, and what every voice must fulfil.

YAML (a file that the operator owns, named by TIMBRE_POLICY) or policy.json of the registry -> Policy

A list that is missing allows everybody or everything. rules.py applies policies; where both the file and the
registry's object are there, both count, so the stricter one decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from timbre.core.consent import CONSENT_KINDS
from timbre.core.errors import ConfigurationError
from timbre.core.problems import configuration_error, unknown_key
from timbre.core.sizes import parse_size
from timbre.core.yaml_document import parse_mapping
from timbre.registry.actor import Actor
from timbre.registry.records import seal, unseal
from timbre.registry.store import Store

KEY = "policy.json"
ACTS = ("publish", "promote", "approve", "revoke")
_CLAIMED = "claimed:"


@dataclass(frozen=True)
class Bound:
    """What the value of a gate must reach, beyond passing the gate itself."""

    at_least: float | None = None
    """None: any."""
    at_most: float | None = None
    """None: any."""


@dataclass(frozen=True)
class Quota:
    """Bytes that may be held, each file counted once."""

    voice: int | None = None
    """By all versions of one voice; None: any."""
    registry: int | None = None
    """By everything, bases and cached stages included; None: any."""


@dataclass(frozen=True)
class Issuer:
    """A CI server whose signed identities count."""

    issuer: str
    """Address that its tokens name as `iss`."""
    keys: str
    """Its JWKS, as a file (beside the policy) or an https address."""
    audience: str = "timbre"
    """Audience of the tokens; "" accepts tokens without one."""
    claims: Mapping[str, str] = field(default_factory=dict)
    """Claim -> pattern that its value must match, for example project_path."""


@dataclass(frozen=True)
class Policy:
    """What the operator allows. A missing list allows everyone or everything."""

    where: str = ""
    """Source of the policy, for messages."""
    publish: tuple[str, ...] | None = None
    """Patterns of pipelines that may publish; None for all."""
    promote: tuple[str, ...] | None = None
    """Patterns of people who may promote and roll back; None for all."""
    approve: tuple[str, ...] | None = None
    """Patterns of people who may approve; None for all."""
    revoke: tuple[str, ...] | None = None
    """Patterns of people who may revoke; None for all."""
    review: tuple[str, ...] = ()
    """Patterns of voices that need approval."""
    bases: tuple[str, ...] | None = None
    """Allowed bases; None for all."""
    consent: tuple[str, ...] | None = None
    """Allowed kinds of consent; None for all."""
    gates: Mapping[str, Bound] = field(default_factory=dict)
    """Gates that must be measured and pass: name -> Bound."""
    four_eyes: bool = False
    """Whether authors and publishers cannot approve their own version."""
    identities: tuple[Issuer, ...] = ()
    """Issuers whose tokens count."""
    jenkins: str = ""
    """Address of the Jenkins whose build causes count, or ""."""
    quota: Quota = Quota()
    """Limits on what is published (quota.py)."""

    def may(self, act: str, actor: Actor) -> bool:
        """Whether somebody may publish, promote, approve or revoke. With four_eyes, an approval needs a signed
        identity unless `approve` names claimed ones.
        """
        patterns: tuple[str, ...] | None = getattr(self, act)
        if patterns is None:
            return actor.verified or not (act == "approve" and self.four_eyes)
        return any(matches(pattern, actor) for pattern in patterns)

    def wants_review(self, voice: str) -> bool:
        """Whether a person approves each version of this voice."""
        return any(fnmatchcase(voice, pattern) for pattern in self.review)


_KEYS = [item.name for item in fields(Policy) if item.name != "where"]


def matches(pattern: str, actor: Actor) -> bool:
    """Whether a pattern (`*` and `?` stand for anything) means this actor.

    It is compared with the login, the mail address and PROJECT@REF of a signed identity; behind `claimed:` with the
    login and address of a name that nothing shows.
    """
    if actor.verified == pattern.startswith(_CLAIMED):
        return False
    wanted = pattern.removeprefix(_CLAIMED)
    if actor.place and fnmatchcase(actor.place, wanted):
        return True
    return any(name and fnmatchcase(name.casefold(), wanted.casefold()) for name in (actor.login, actor.address))


def read_policy(path: Path) -> Policy:
    """The policy in a YAML file. Raises ConfigurationError that names the key, the value and what is expected."""
    return parse_policy(_read(path), str(path))


def _read(path: Path) -> dict[Any, Any]:
    """What the file says; {} for an empty one. Raises ConfigurationError for a file that is none or has a key twice."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{path}: no policy ({error})", "see docs/security.md, The operator's policy"
        ) from error
    values, problems = parse_mapping(data, str(path), empty=True, start=f"write keys: {', '.join(_KEYS)}")
    if values is None:
        raise configuration_error(problems, "no policy")
    return values


def parse_policy(values: Any, where: str) -> Policy:
    """A policy from plain data. Raises ConfigurationError."""
    given = _mapping(values, where, _KEYS)
    lists = {name: _list(given[name], f"{where}: {name}") for name in (*ACTS, "bases", "consent") if name in given}
    for kind in lists.get("consent", ()):
        if kind not in CONSENT_KINDS:
            raise _wrong(f"{where}: consent", kind, f"of {', '.join(CONSENT_KINDS)}")
    if not isinstance(given.get("four_eyes", False), bool):
        raise _wrong(f"{where}: four_eyes", given["four_eyes"], "true or false")
    jenkins = given.get("jenkins", "")
    if not isinstance(jenkins, str) or (jenkins and not jenkins.startswith(("https://", "http://"))):
        raise _wrong(f"{where}: jenkins", jenkins, "the address of a Jenkins")
    return Policy(
        where=where,
        **lists,
        review=_list(given.get("review", []), f"{where}: review"),
        gates=_gates(given.get("gates", {}), f"{where}: gates"),
        four_eyes=bool(given.get("four_eyes", False)),
        identities=tuple(
            _issuer(item, f"{where}: identities[{number}]") for number, item in enumerate(given.get("identities") or [])
        ),
        jenkins=jenkins,
        quota=_quota(given.get("quota", {}), f"{where}: quota"),
    )


def stored_policy(store: Store) -> Policy | None:
    """The policy that the registry holds, or None. Raises CorruptError for a damaged one, or one without a trusted
    signature where records are signed.
    """
    stored = store.get(KEY)
    return parse_policy(unseal(KEY, stored.data)["policy"], f"{store.url}/{KEY}") if stored is not None else None


def store_policy(store: Store, path: Path) -> Policy:
    """Puts the policy of a file into the registry, in place of the one there. Key files are not taken along: name
    addresses. Raises ConfigurationError.
    """
    values = _read(path)
    policy = parse_policy(values, str(path))
    for issuer in policy.identities:
        if not issuer.keys.startswith("https://"):
            raise _wrong(f"{path}: identities: keys", issuer.keys, "an https address, for a policy in the registry")
    data = seal(KEY, {"policy": values})
    there = store.get(KEY)
    written = store.put_if_absent(KEY, data) if there is None else store.replace_if(KEY, data, there.tag)
    if not written:
        raise ConfigurationError(f"{store.url}/{KEY}: another writer was first", "run the command again")
    return policy


def _gates(values: Any, where: str) -> dict[str, Bound]:
    if not isinstance(values, dict):
        raise _wrong(where, values, "names of gates, each with at_least, at_most or {}")
    found = {}
    for name, limits in values.items():
        limits = _mapping(limits, f"{where}: {name}", ["at_least", "at_most"])
        for limit in limits.values():
            if isinstance(limit, bool) or not isinstance(limit, int | float):
                raise _wrong(f"{where}: {name}", limit, "a number")
        found[str(name)] = Bound(**limits)
    return found


def _quota(values: Any, where: str) -> Quota:
    given = _mapping(values, where, [item.name for item in fields(Quota)])
    found = {}
    for name, size in given.items():
        parsed = parse_size(str(size)) if isinstance(size, int | str) and not isinstance(size, bool) else None
        if not parsed:
            raise _wrong(f"{where}: {name}", size, "a size above zero, for example 500M or 50Gi")
        found[name] = parsed
    return Quota(**found)


def _issuer(values: Any, where: str) -> Issuer:
    given = _mapping(values, where, [item.name for item in fields(Issuer)])
    for name in ("issuer", "keys"):
        if not isinstance(given.get(name), str) or not given[name]:
            raise _wrong(f"{where}: {name}", given.get(name), "an address")
    claims = given.get("claims") or {}
    if not isinstance(claims, dict) or not all(isinstance(item, str) for item in (*claims, *claims.values())):
        raise _wrong(f"{where}: claims", claims, "claims and the patterns of their values")
    if not isinstance(given.get("audience", ""), str):
        raise _wrong(f"{where}: audience", given["audience"], "text")
    return Issuer(**{**given, "claims": claims})


def _mapping(values: Any, where: str, known: list[str]) -> dict[str, Any]:
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise _wrong(where, values, f"keys: {', '.join(known)}")
    if problems := [unknown_key(where, key, known) for key in values if key not in known]:
        raise configuration_error(problems, "the policy cannot be used")
    return values


def _list(values: Any, where: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(item, str) and item for item in values):
        raise _wrong(where, values, "a list of texts")
    return tuple(values)


def _wrong(where: str, value: object, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{where}: {str(value)[:60]!r}", f"expected {expected}")
