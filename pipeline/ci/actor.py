"""Who gives a command by hand: the person of a CI job, of Git's settings, or of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from timbre.core.printable import printable
from timbre.pipeline.ci.git import Repository
from timbre.pipeline.ci.origin import UNKNOWN_PERSON

# Name and address by GitLab, name by GitHub and Gitea Actions, name by Jenkins (build user vars).
_CI = (("GITLAB_USER_NAME", "GITLAB_USER_EMAIL"), ("GITHUB_ACTOR", ""), ("BUILD_USER", "BUILD_USER_EMAIL"))
_LOGIN = ("LOGNAME", "USER", "USERNAME")


def acting_person(environment: Mapping[str, str], folder: Path) -> str:
    """Name and address in angle brackets, as far as they are known. folder: where Git is asked."""
    for name, address in _CI:
        if environment.get(name):
            return _person(environment[name], environment.get(address, ""))
    name, address = Repository(folder).user()
    if name or address:
        return _person(name, address)
    return next((environment[key] for key in _LOGIN if environment.get(key)), UNKNOWN_PERSON)


def _person(name: str, address: str) -> str:
    return printable(f"{name} <{address}>".strip() if address else name)
