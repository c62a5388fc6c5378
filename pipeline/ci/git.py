"""The few questions that the pipeline asks Git. Git is called as a program, without a shell."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from timbre.core.errors import ConfigurationError, InputError

ZERO = "0" * 40
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Commit:
    """A commit: full hash and author as "Name <address>"."""

    hash: str
    author: str


class Repository:
    """A Git work tree or bare repository at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def head(self) -> Commit | None:
        """The commit that is checked out, or None outside Git and before the first commit."""
        found = self._run("log", "-1", "--format=%H%n%an <%ae>")
        if found.returncode:
            return None
        commit, author = found.stdout.splitlines()[:2]
        return Commit(commit, author)

    def user(self) -> tuple[str, str]:
        """Name and address of Git's settings here; empty where there are none."""
        found = [self._run("config", "--get", key) for key in ("user.name", "user.email")]
        name, address = (item.stdout.strip() if item.returncode == 0 else "" for item in found)
        return name, address

    def resolve(self, reference: str) -> str | None:
        """Full hash of the commit that a name means, or None when this clone does not have it."""
        if not reference or set(reference) == {"0"} or reference.startswith("-"):
            return None
        found = self._run("rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
        return found.stdout.strip() if found.returncode == 0 else None

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` descends from `older` (a commit descends from itself).

        False as well when this clone lacks either commit: what cannot be proved does not move an alias. Raises
        ConfigurationError in a shallow clone, where the answer would be a guess.
        """
        found = self._run("merge-base", "--is-ancestor", older, newer)
        if found.returncode == 0:
            return True
        if self.shallow:
            raise ConfigurationError(
                f"{self.path}: this is a shallow clone; it cannot tell whether {newer[:12]} descends from {older[:12]}",
                "fetch the whole history (GitLab: GIT_DEPTH: 0; Jenkins: no shallow clone; git fetch --unshallow)",
            )
        return False

    def fork_point(self, one: str, other: str) -> str | None:
        """The newest commit that both descend from, or None when there is none in this clone."""
        if not one or one.startswith("-") or other.startswith("-"):
            return None
        found = self._run("merge-base", one, other)
        return found.stdout.strip() if found.returncode == 0 else None

    @property
    def shallow(self) -> bool:
        """Whether history was cut off when this clone was made."""
        return self._run("rev-parse", "--is-shallow-repository").stdout.strip() == "true"

    def voice_trees(self, commit: str) -> dict[str, str]:
        """Voice name -> hash of its folder's tree at a commit; only folders with a voice.yaml are voices."""
        listed = self._checked("ls-tree", "-z", commit, "voices/")
        trees = {}
        for line in filter(None, listed.split("\0")):
            about, _, path = line.partition("\t")
            kind, tree = about.split()[1:3]
            if kind == "tree":
                trees[path.removeprefix("voices/")] = tree
        marked = self._checked("ls-tree", "-r", "-z", "--name-only", commit, "voices/").split("\0")
        with_yaml = {path.split("/")[1] for path in marked if path.count("/") == 2 and path.endswith("/voice.yaml")}
        return {name: tree for name, tree in trees.items() if name in with_yaml}

    def changed_paths(self, older: str, newer: str) -> list[str]:
        """Files that differ between two commits, a renamed one under both names; all of `newer` when this clone does
        not have `older`.
        """
        if self.resolve(older) is None:
            listed = self._checked("ls-tree", "-r", "-z", "--name-only", newer)
        else:
            listed = self._checked("diff", "--no-renames", "--name-only", "-z", older, newer, "--")
        return [path for path in listed.split("\0") if path]

    def had_tree(self, name: str, tree: str, before: str) -> bool:
        """Whether voices/<name> had this tree in `before` or one of its ancestors (in this clone)."""
        found = self._run("log", "--format=%H", "-n", "500", before, "--", f"voices/{name}")
        if found.returncode:
            return False
        commits = found.stdout.split()
        return any(
            self._run("rev-parse", "--quiet", "--verify", f"{c}:voices/{name}").stdout.strip() == tree for c in commits
        )

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["git", "-C", str(self.path), "-c", "core.quotepath=off", *arguments],
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
                errors="surrogateescape",
            )
        except FileNotFoundError:
            raise ConfigurationError("the program git is not installed", "install git") from None

    def _checked(self, *arguments: str) -> str:
        found = self._run(*arguments)
        if found.returncode:
            raise InputError(
                f"git {arguments[0]} in {self.path}: {found.stderr.strip()[:300]}",
                "check the commit names with: git log",
            )
        return found.stdout
