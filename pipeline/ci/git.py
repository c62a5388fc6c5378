"""The few questions that the pipeline asks Git. Git is called as a program, without a shell.

Names and authors come back printable: bytes that are no UTF-8, line breaks and control characters as escapes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.core.printable import printable

ZERO = "0" * 40
TIMEOUT_S = 60.0
DEEPEN = "fetch the whole history (GitLab: GIT_DEPTH: 0; Jenkins: no shallow clone; git fetch --unshallow)"
"""The remedy for a shallow clone."""
# What a hook of Git, or a program that runs within one, leaves in the environment: it would show another repository.
_OF_HOOKS = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX", "GIT_NAMESPACE", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE",
    "GIT_REPLACE_REF_BASE", "GIT_QUARANTINE_PATH", "GIT_EXTERNAL_DIFF", "GIT_TRACE",
)  # fmt: skip
# Settings of a person that change what Git prints.
_PLAIN = ("core.quotepath=off", "log.showSignature=false", "color.ui=false", "core.pager=cat")
_NO_REPOSITORY = "not a git repository"
_NO_COMMIT = (
    "does not have any commits yet", "unknown revision", "bad revision", "bad default revision", "ambiguous argument",
    "Not a valid", "bad object", "not a commit", "Needed a single revision",
)  # fmt: skip
_SUBMODULE, _FOLDER, _LINK = "160000", "040000", "120000"


@dataclass(frozen=True)
class Commit:
    """A commit of this clone."""

    hash: str
    """Full."""
    author: str
    """"Name <address>", control characters as escapes."""


class Repository:
    """A Git work tree or bare repository at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def head(self) -> Commit | None:
        """The commit that is checked out, or None outside Git and before the first commit.

        Raises ConfigurationError when there is a repository and Git refuses it (another owner, a damaged object): a run
        that went on would lose commit and author of what it publishes.
        """
        found = self._run("log", "-1", "-z", "--format=%H%n%an <%ae>", "HEAD")
        if found.returncode:
            if _NO_REPOSITORY in found.stderr or any(words in found.stderr for words in _NO_COMMIT):
                return None
            raise self._failed("log", found.stderr)
        commit, _, author = found.stdout.rstrip("\0\n").partition("\n")
        return Commit(commit, printable(author))

    def require_commit(self) -> None:
        """Raises ConfigurationError, in Git's words, when there is no repository here or no commit in it."""
        found = self._run("rev-parse", "--verify", "HEAD^{commit}")
        if found.returncode:
            raise self._failed("rev-parse", found.stderr if _NO_REPOSITORY in found.stderr else self._no_commit(found))

    def user(self) -> tuple[str, str]:
        """Name and address of Git's settings here; empty where there are none."""
        found = [self._run("config", "--get", key) for key in ("user.name", "user.email")]
        name, address = (item.stdout.strip() if item.returncode == 0 else "" for item in found)
        return printable(name), printable(address)

    def resolve(self, reference: str) -> str | None:
        """Full hash of the commit that a name means, or None when this clone does not have it.

        Raises ConfigurationError when Git refuses the repository itself.
        """
        if not reference or set(reference) == {"0"} or reference.startswith("-") or not reference.isprintable():
            return None
        found = self._run("rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
        if found.returncode and self._refused(found.stderr):
            raise self._failed("rev-parse", found.stderr)
        return found.stdout.strip() if found.returncode == 0 else None

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` descends from `older` (a commit descends from itself).

        False as well when this clone lacks either commit: what cannot be proved does not move an alias. Raises
        ConfigurationError in a shallow clone, where the answer would be a guess.
        """
        found = self._run("merge-base", "--is-ancestor", older, newer)
        if found.returncode == 0:
            return True
        if self._refused(found.stderr):
            raise self._failed("merge-base", found.stderr)
        if self.shallow:
            raise ConfigurationError(
                f"{self.path}: this is a shallow clone; it cannot tell whether {newer[:12]} descends from {older[:12]}",
                DEEPEN,
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
        """Whether history was cut off when this clone was made. False where Git does not answer."""
        return self._run("rev-parse", "--is-shallow-repository").stdout.strip() == "true"

    def voice_trees(self, commit: str) -> dict[str, str]:
        """Voice name -> hash of its folder's tree at a commit; only folders with a voice.yaml are voices, and what was
        put in place of a folder (`foreign_voices`).
        """
        marked = self._checked("ls-tree", "-r", "-z", "--name-only", commit, "voices/").split("\0")
        with_yaml = {path.split("/")[1] for path in marked if path.count("/") == 2 and path.endswith("/voice.yaml")}
        found = {name: tree for name, mode, tree in self._entries(commit) if mode == _FOLDER and name in with_yaml}
        found |= {name: tree for name, mode, tree in self._entries(commit) if mode in (_SUBMODULE, _LINK)}
        return {printable(name): tree for name, tree in found.items()}

    def foreign_voices(self, commit: str) -> dict[str, str]:
        """Name -> what it is, for entries of voices/ in the place of a folder that hold no files: submodules, links."""
        kinds = {_SUBMODULE: "a Git submodule", _LINK: "a symbolic link"}
        return {printable(name): kinds[mode] for name, mode, _ in self._entries(commit) if mode in kinds}

    def _entries(self, commit: str) -> list[tuple[str, str, str]]:
        """(name, mode, hash) of what lies directly in voices/."""
        listed = self._checked("ls-tree", "-z", commit, "voices/")
        found = []
        for line in filter(None, listed.split("\0")):
            about, _, path = line.partition("\t")
            mode, _, tree = about.split()
            found.append((path.removeprefix("voices/"), mode, tree))
        return found

    def changed_paths(self, older: str, newer: str) -> list[str]:
        """Files that differ between two commits, a renamed one under both names; all of `newer` when this clone does
        not have `older`.
        """
        if self.resolve(older) is None:
            listed = self._checked("ls-tree", "-r", "-z", "--name-only", newer)
        else:
            listed = self._checked("diff", "--no-renames", "--name-only", "-z", older, newer, "--")
        return [path for path in listed.split("\0") if path]

    def tracked(self, folder: str) -> list[str]:
        """Files of the index below a folder, however its case is written; empty outside Git.

        Raises ConfigurationError when Git refuses to answer: what cannot be known must not pass for "none".
        """
        found = self._run("ls-files", "-z", "--", f":(icase){folder}")
        if found.returncode and _NO_REPOSITORY not in found.stderr:
            raise self._failed("ls-files", found.stderr)
        return [path for path in found.stdout.split("\0") if path]

    def differs(self, folder: Path, files: Iterable[str]) -> bool:
        """Whether files below a folder differ from the commit that is checked out, or are not in it. files: those of
        them that count even where .gitignore names them.

        True when Git refuses to answer: what cannot be known must not pass for "as committed". False outside Git.
        """
        found = self._run("status", "--porcelain", "-z", "--untracked-files=all", "--", str(folder))
        # Ignored files are in no commit either, and `status` is silent about them.
        ignored = self._run("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", str(folder))
        for answer in (found, ignored):
            if answer.returncode:
                return _NO_REPOSITORY not in answer.stderr
        counted = {(folder / name).resolve() for name in files}
        return bool(found.stdout) or any(
            (self.path / path).resolve() in counted for path in ignored.stdout.split("\0") if path
        )

    def had_tree(self, name: str, tree: str, before: str) -> bool:
        """Whether voices/<name> had this tree in `before` or one of its ancestors (in this clone)."""
        found = self._run("log", "--format=%H", "-n", "500", before, "--", f"voices/{name}")
        if found.returncode:
            return False
        # ls-tree takes the path from here, rev-parse from the top: voices/ may lie in a part of a larger repository.
        return any(tree in self._run("ls-tree", c, f"voices/{name}").stdout.split() for c in found.stdout.split())

    def notes(self, reference: str, *arguments: str) -> None:
        """`git notes` on a reference, in our own name. Raises ConfigurationError."""
        self._checked(
            "-c", "user.name=timbre", "-c", "user.email=timbre@localhost", "notes", f"--ref={reference}", *arguments
        )

    def all_notes(self, reference: str) -> list[str]:
        """The text of every note; empty where there are none."""
        listed = self._run("notes", f"--ref={reference}", "list")
        objects = (
            [line.split()[0] for line in listed.stdout.splitlines() if line.strip()] if not listed.returncode else []
        )
        return [self._checked("cat-file", "blob", item) for item in objects]

    def fetch(self, remote: str, refspec: str) -> bool:
        """False when the remote does not have the reference. Raises ConfigurationError when it does not answer."""
        found = self._run("fetch", "-q", "--no-tags", "--end-of-options", remote, refspec)
        if found.returncode and "couldn't find remote ref" not in found.stderr:
            raise self._failed("fetch", found.stderr)
        return found.returncode == 0

    def push(self, remote: str, refspec: str) -> bool:
        """False when somebody else was first. Raises ConfigurationError when the remote refuses or does not answer."""
        found = self._run("push", "-q", "--no-verify", "--end-of-options", remote, refspec)
        if found.returncode and not any(
            words in found.stderr for words in ("non-fast-forward", "fetch first", "cannot lock")
        ):
            raise self._failed("push", found.stderr)
        return found.returncode == 0

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_git(self.path, *arguments, environment=os.environ)

    def _checked(self, *arguments: str) -> str:
        found = self._run(*arguments)
        if found.returncode:
            raise self._failed(arguments[0], found.stderr)
        return found.stdout

    def _failed(self, verb: str, words: str) -> ConfigurationError:
        said = " ".join(printable(line) for line in words.strip().splitlines())[:600]
        remedy = "do what Git says, or try the same by hand: git log"
        if "dubious ownership" in words:
            remedy = f"let this user trust the folder: git config --global --add safe.directory {self.path}"
        elif _NO_REPOSITORY in words:
            remedy = "run it in a clone of the voice repository"
        return ConfigurationError(f"git {verb} in {self.path}: {said}", remedy)

    def _refused(self, words: str) -> bool:
        """Whether Git failed at the repository, not at a name within it (then --quiet leaves nothing to read)."""
        return "fatal:" in words and not any(known in words for known in _NO_COMMIT)

    def _no_commit(self, found: subprocess.CompletedProcess[str]) -> str:
        return found.stderr if self._refused(found.stderr) else "there is no commit yet; commit the voice folder first"


def run_git(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str],
    own: Mapping[str, str] | None = None,
    given: str = "",
    timeout_s: float = TIMEOUT_S,
) -> subprocess.CompletedProcess[str]:
    """Calls Git in a folder, without a shell, and without what a hook or a person's settings change in its output.

    environment: that of the process; own: variables of this call, an index of its own for example. given: for its
    standard input. Bytes that are no UTF-8 come back as lone surrogates: show names by `printable`. Raises
    ConfigurationError where git is not installed, InfrastructureError where it does not end in time.
    """
    settings = [part for setting in _PLAIN for part in ("-c", setting)]
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *settings, *arguments],
            capture_output=True, encoding="utf-8", errors="surrogateescape", timeout=timeout_s, check=False,
            env=clean_environment(environment) | dict(own or {}), input=given,
        )  # fmt: skip
    except FileNotFoundError:
        raise ConfigurationError("the program git is not installed", "install git") from None
    except subprocess.TimeoutExpired:
        message = f"git {arguments[0]} in {folder}: no answer within {timeout_s:g} s"
        remedy = "try again; a network or a file system that hangs is the usual reason"
        raise InfrastructureError(message, remedy) from None


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which Git is called: that of no hook, with English messages."""
    kept = {name: value for name, value in environment.items() if name not in _OF_HOOKS}
    # Messages are compared, so they must be English.
    return kept | {"LC_ALL": "C.UTF-8", "LANGUAGE": "C", "GIT_OPTIONAL_LOCKS": "0"}
