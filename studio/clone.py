"""A clone of the voice repository as the studio asks it: its remote, what is newest there, Git's words for people."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.core.printable import printable
from timbre.pipeline.ci.git import Repository, run_git
from timbre.studio.errors import StudioError

_TIMEOUT_S = 600
_ATTEMPTS = 4
_CHECK = "check network and credentials"
_BUSY = ("cannot lock ref", "Unable to create", "another git process")


class Clone:
    """A work tree. Git runs without asking for passwords."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self.root = root
        self.repository = Repository(root)
        self.environment = {**environment, "GIT_TERMINAL_PROMPT": "0"}

    def run(
        self, *arguments: str, index: Path | None = None, extra: Mapping[str, str] | None = None, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """index: another one than that of the work tree. extra: variables. given: for its standard input."""
        own = {**(extra or {}), **({"GIT_INDEX_FILE": str(index)} if index is not None else {})}
        return run_git(self.root, *arguments, environment=self.environment, own=own, given=given, timeout_s=_TIMEOUT_S)

    def checked(self, *arguments: str, index: Path | None = None, extra: Mapping[str, str] | None = None) -> str:
        """What Git prints. Raises ConfigurationError with its words."""
        done = self.run(*arguments, index=index, extra=extra)
        if done.returncode:
            raise ConfigurationError(f"git {arguments[0]}: {git_words(done)}", "do what Git says, or push by hand")
        return done.stdout.strip("\n")

    def remote(self) -> tuple[str, str]:
        """Name and address of what is pushed to. Raises StudioError where there is no repository or no remote."""
        found = self.run("remote")
        if found.returncode:
            raise StudioError(409, "no-repository", f"{self.root}: {git_words(found)}", "clone the voice repository")
        names = found.stdout.split()
        if not names:
            raise StudioError(409, "no-remote", "the repository has no remote", "add one: git remote add origin URL")
        name = "origin" if "origin" in names else names[0]
        return name, self.checked("remote", "get-url", "--push", name)

    def target(self, remote: str) -> str:
        """The remote's default branch."""
        asked = self.run("ls-remote", "--symref", remote, "HEAD")
        if asked.returncode:
            raise InfrastructureError(f"git ls-remote {remote}: {git_words(asked)}", _CHECK)
        found = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", asked.stdout, re.M)
        return found[1] if found else "main"

    def fetch(self, remote: str) -> None:
        """All branches. Work trees of one clone share them, so another one may be at it just now."""
        refspec = f"+refs/heads/*:refs/remotes/{remote}/*"
        for attempt in range(_ATTEMPTS):
            done = self.run("fetch", "--quiet", "--no-tags", "--prune", remote, refspec)
            if done.returncode == 0:
                return
            if attempt == _ATTEMPTS - 1 or not any(words in done.stderr for words in _BUSY):
                raise InfrastructureError(f"git fetch {remote}: {git_words(done)}", _CHECK)


def git_words(done: subprocess.CompletedProcess[str]) -> str:
    """What Git said, on one line, without secrets."""
    words = " ".join(printable(line) for line in (done.stderr or done.stdout).strip().splitlines())
    return without_secret(words)[:600]


def without_secret(text: str) -> str:
    """Addresses without the password or token that may stand in them."""
    return re.sub(r"(https?://)[^/@\s]+@", r"\1", text)
