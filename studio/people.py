"""Who may work in a hosted studio: people with a key and roles each, and who is in just now.

YAML file of the operator -> HostedSettings -> Sessions
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timbre.core.errors import TimbreError
from timbre.core.problems import Problem, configuration_error, unknown_key
from timbre.core.yaml_document import read_mapping
from timbre.registry.actor import Actor
from timbre.studio.git_push import Author

RECORD, APPROVE, OPERATE = "record", "approve", "operate"
ROLES = (RECORD, APPROVE, OPERATE)
"""record: make voices, record them, push them. approve: give the review that a version waits for. operate: put versions
into production and go back. Everybody may look and listen.
"""
_SHORTEST_KEY = 16
_SESSION_S = 12 * 3600.0
_KEYS = ("host", "certificate", "private_key", "proxy", "people")
_OF_PERSON = ("name", "address", "roles", "key")
_HOST = r"[a-z0-9.-]+"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Person:
    """Somebody with a key, as commits and the registry's history name them."""

    name: str
    """As commits show it."""
    address: str
    """E-mail address, different for each person."""
    roles: frozenset[str]
    """Of ROLES; empty for somebody who only looks and listens."""
    key: bytes = field(repr=False)
    """SHA-256 of the key; the key itself is not kept."""

    @property
    def actor(self) -> Actor:
        """As the registry knows them. The studio's key shows nothing to the registry: the name is a claim there."""
        return Actor(f"{self.name} <{self.address}>")

    @property
    def author(self) -> Author:
        """Of their commits."""
        return Author(self.name, self.address)

    @property
    def slug(self) -> str:
        """For a folder and for branches: readable, and different for every address."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.address.partition("@")[0].lower()).strip("-")[:30]
        return f"{plain or 'person'}-{hashlib.sha256(self.address.casefold().encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class HostedSettings:
    """What the operator's file says."""

    people: tuple[Person, ...]
    """At least one, with different addresses and keys."""
    host: str = ""
    """Name in the address, "" for this machine's address; behind a proxy also with a port, as browsers send it."""
    certificate: Path | None = None
    """PEM file; None for one that is made for this run."""
    private_key: Path | None = None
    """PEM file of the certificate's key; None together with it."""
    proxies: tuple[Network, ...] = ()
    """Where the reverse proxy connects from that speaks HTTPS to browsers: the studio speaks plain HTTP to it alone.
    Empty for a studio that speaks HTTPS itself.
    """


class Sessions:
    """Keys open sessions, which end after half a day. now: seconds, for tests."""

    def __init__(self, people: tuple[Person, ...], now: Callable[[], float] = time.monotonic) -> None:
        self._people = people
        self._now = now
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[Person, float]] = {}

    def enter(self, given: str) -> str | None:
        """A session for the holder of a key, None for a key of nobody."""
        digest = _digest(given.strip())
        # Every key is compared, so that the time tells nothing.
        found = [person for person in self._people if hmac.compare_digest(person.key, digest)]
        if not found:
            return None
        session = secrets.token_urlsafe(32)
        with self._lock:
            kept = {key: value for key, value in self._sessions.items() if value[1] > self._now()}
            self._sessions = {**kept, session: (found[0], self._now() + _SESSION_S)}
        return session

    def knows(self, session: str) -> bool:
        """Whether a session was opened here and has not ended."""
        return self.person(session) is not None

    def person(self, session: str) -> Person | None:
        """Whose session it is."""
        with self._lock:
            person, ends = self._sessions.get(session, (None, 0.0))
        return person if ends > self._now() else None


def read_hosted(path: Path) -> HostedSettings:
    """Raises ConfigurationError that names every problem of the file; keys are never shown."""
    values, problems = read_mapping(path, "name a YAML file of people")
    where = str(path)
    if values is None:
        raise configuration_error(problems, "hosted studio")
    problems += [unknown_key(where, str(key), _KEYS) for key in values if key not in _KEYS]
    listed = values.get("people")
    if not isinstance(listed, list) or not listed:
        problems.append(Problem(f"{where}: people", "none", "a list", "name each: name, address, roles, key"))
        listed = []
    people = [_person(item, f"{where}: people: {number}", problems) for number, item in enumerate(listed, 1)]
    found = tuple(person for person in people if person is not None)
    for what in ("address", "key"):
        if len({getattr(person, what) for person in found}) < len(found):
            problems.append(Problem(f"{where}: people", f"one {what} twice", "different ones", "correct them"))
    files = {name: _file(values, name, path, problems) for name in ("certificate", "private_key")}
    host = values.get("host", "")
    proxied = "proxy" in values
    form = rf"{_HOST}(:\d{{1,5}})?" if proxied else _HOST
    if not isinstance(host, str) or (host and not re.fullmatch(form, host)):
        problems.append(Problem(f"{where}: host", repr(host)[:60], "a host name in lower case", "correct it"))
    given = [name for name, file in files.items() if file is not None]
    if proxied:
        _check_proxied(where, host, given, problems)
    elif len(given) == 1 or (host and not given):
        limit = "both, and both with a host name"
        problems.append(Problem(f"{where}: certificate, private_key", "one is missing", limit, "name both files"))
    proxies = _proxies(values["proxy"], where, problems) if proxied else ()
    if problems:
        raise configuration_error(problems, "hosted studio")
    return HostedSettings(found, str(host), files["certificate"], files["private_key"], proxies)


def _check_proxied(where: str, host: Any, files: list[str], problems: list[Problem]) -> None:
    """With a proxy, the name is the one that browsers use, and the certificate is the proxy's."""
    if not host:
        remedy = "write the name by which browsers reach the proxy"
        problems.append(Problem(f"{where}: host", "none", "a host name where a proxy is named", remedy))
    if files:
        limit, remedy = "none where a proxy is named", "give the certificate to the proxy and delete these keys"
        problems.append(Problem(f"{where}: {', '.join(files)}", "named", limit, remedy))


def _proxies(given: Any, where: str, problems: list[Problem]) -> tuple[Network, ...]:
    """Addresses and networks of the trusted proxies. Everybody is nobody to trust."""
    items = given if isinstance(given, list) else [given]
    found: list[Network] = []
    for item in items:
        network: Network | None = None
        with contextlib.suppress(ValueError):
            network = ipaddress.ip_network(str(item))
        if network is None or not network.prefixlen:
            limit, remedy = "an IP address or a network such as 10.1.2.0/24", "name the proxy's own address"
            problems.append(Problem(f"{where}: proxy", repr(item)[:60], limit, remedy))
        else:
            found.append(network)
    if not items:
        problems.append(Problem(f"{where}: proxy", "none", "an address", "name the proxy's own address"))
    return tuple(found)


def _person(values: Any, where: str, problems: list[Problem]) -> Person | None:
    before = len(problems)
    if not isinstance(values, Mapping):
        problems.append(Problem(where, "no mapping", f"keys: {', '.join(_OF_PERSON)}", "write them"))
        return None
    problems += [unknown_key(where, str(key), _OF_PERSON) for key in values if key not in _OF_PERSON]
    name, address, key, roles = (values.get(item) for item in ("name", "address", "key", "roles"))
    try:
        Author.read(str(name or ""), str(address or ""))
    except TimbreError as error:
        problems.append(Problem(where, error.message, "a name and an e-mail address", "correct it"))
    if not isinstance(key, str) or len(key.strip()) < _SHORTEST_KEY:
        problems.append(
            Problem(
                f"{where}: key", "[hidden]", f"{_SHORTEST_KEY} characters or more", "openssl rand -hex 24 makes one"
            )
        )
    if not isinstance(roles, list) or not all(role in ROLES for role in roles):
        problems.append(Problem(f"{where}: roles", repr(roles)[:60], f"of {', '.join(ROLES)}", "correct it"))
    if len(problems) > before:
        return None
    return Person(str(name).strip(), str(address), frozenset(map(str, roles or ())), _digest(str(key).strip()))


def _file(values: Mapping[Any, Any], name: str, path: Path, problems: list[Problem]) -> Path | None:
    """A file that the settings name, relative to them."""
    given = values.get(name)
    if given is None:
        return None
    found = path.parent / str(given)
    if not found.is_file():
        problems.append(Problem(f"{path}: {name}", str(given)[:100], "a file in PEM form", "correct the path"))
    return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
