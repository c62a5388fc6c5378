"""A voice folder as a commit on a branch of its own, made beside the person's work: their branch, index and files stay.

voices/<name>/ -> temporary index over the newest default branch of the remote -> commit -> push, never by force
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.core.printable import printable
from timbre.core.voice_names import is_voice_name
from timbre.studio.clone import Clone, git_words, without_secret
from timbre.studio.errors import StudioError

BRANCH = "studio"
_ATTEMPTS = 3
_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_REFUSED = ("non-fast-forward", "fetch first", "stale info", "[rejected]", "cannot lock ref", "failed to update ref")


@dataclass(frozen=True)
class Author:
    """The person whose commit it is."""

    name: str
    """Without angle brackets, at most 100 characters."""
    address: str
    """E-mail address."""

    @classmethod
    def read(cls, name: str, address: str) -> Author:
        """Raises StudioError that names the field."""
        if not name.strip() or not name.isprintable() or len(name) > 100 or set(name) & set("<>"):
            raise StudioError(400, "field", f"author {name[:40]!r}: expected a name", "fill it in", field="author")
        if not _ADDRESS.fullmatch(address) or len(address) > 200 or not address.isprintable():
            raise StudioError(
                400, "field", f"address {address[:40]!r}: no e-mail address", "fill it in", field="address"
            )
        return cls(name.strip(), address)


@dataclass(frozen=True)
class Change:
    """A file of the commit."""

    path: str
    """Below the root of the voice repository."""
    kind: str
    """One of "new", "changed" and "deleted"."""
    size_bytes: int
    """Of the content, also where LFS stores it; 0 for a deleted file."""
    lfs: bool
    """Whether Git LFS stores it."""


@dataclass(frozen=True)
class Plan:
    """What a push will do."""

    remote: str
    """Name of the remote."""
    address: str
    """Of the remote, without secrets."""
    target: str
    """The branch to merge it into."""
    branch: str
    """The branch that is pushed, of this voice alone."""
    changes: tuple[Change, ...]
    """Empty when the remote has everything already."""


@dataclass(frozen=True)
class Pushed:
    """A push that is done."""

    commit: str
    """Its hash."""
    branch: str
    """As in the Plan."""
    target: str
    """As in the Plan."""
    address: str
    """As in the Plan."""
    moved_on: bool
    """Whether the remote had changed meanwhile."""


class VoicePush:
    """One voice of one repository. owner: whose branch it is, where several people of a studio push; "" for one."""

    def __init__(self, root: Path, voice: str, environment: Mapping[str, str], owner: str = "") -> None:
        if not is_voice_name(voice):
            raise StudioError(404, "no-voice", f"voice {voice[:80]!r}", voice=voice[:80])
        self._root = root
        self._voice = voice
        self._git = Clone(root, environment)
        self._owner = owner

    def author(self) -> Author | None:
        """Name and address of Git's settings, None where there are none."""
        name, address = self._git.repository.user()
        return Author(name, address) if name and address else None

    def plan(self) -> Plan:
        """What would be pushed now. Raises StudioError where there is no repository or no remote."""
        remote, address = self._git.remote()
        target = self._git.target(remote)
        self._git.fetch(remote)
        with _Index(self, self._parent(remote, target)) as index:
            changes = self._changes(index)
        return Plan(remote, without_secret(address), target, self._branch, changes)

    def push(self, author: Author, message: str) -> Pushed:
        """Commits the folder and pushes it; a branch that moved on meanwhile is taken up and built upon.

        Raises StudioError for nothing to push, ConfigurationError for a remote that refuses, InfrastructureError for
        one that does not answer.
        """
        remote, address = self._git.remote()
        target = self._git.target(remote)
        said = ""
        for attempt in range(_ATTEMPTS):
            self._git.fetch(remote)
            commit = self._commit(remote, target, author, message)
            self._push_lfs(remote, commit)
            done = self._git.run("push", "--porcelain", remote, f"{commit}:refs/heads/{self._branch}")
            if done.returncode == 0:
                return Pushed(commit, self._branch, target, without_secret(address), attempt > 0)
            said = git_words(done)
            if not any(words in done.stdout + done.stderr for words in _REFUSED) or "pre-receive" in done.stderr:
                break
        raise ConfigurationError(f"git push to {remote}: {said}", "ask for the right to push branches, or push by hand")

    @property
    def _branch(self) -> str:
        return f"{BRANCH}-{self._owner}/{self._voice}" if self._owner else f"{BRANCH}/{self._voice}"

    def _commit(self, remote: str, target: str, author: Author, message: str) -> str:
        parent = self._parent(remote, target)
        with _Index(self, parent) as index:
            if not self._changes(index):
                raise StudioError(409, "nothing-to-push", "the remote has all of it already", "record something first")
            tree = self._git.checked("write-tree", index=index.path)
        who = {
            "GIT_AUTHOR_NAME": author.name, "GIT_AUTHOR_EMAIL": author.address,
            "GIT_COMMITTER_NAME": author.name, "GIT_COMMITTER_EMAIL": author.address,
        }  # fmt: skip
        parents = ["-p", parent] if parent else []
        return self._git.checked("commit-tree", tree, *parents, "-m", message, extra=who)

    def _parent(self, remote: str, target: str) -> str:
        """Our branch there as long as it is not merged, else the default branch; "" for an empty remote."""
        repository = self._git.repository
        main = repository.resolve(f"refs/remotes/{remote}/{target}")
        ours = repository.resolve(f"refs/remotes/{remote}/{self._branch}")
        if ours and not (main and repository.is_ancestor(ours, main)):
            return ours
        # A branch that was merged is pushed again from the newest commit, which descends from it: no force is needed.
        return main or ""

    def fill(self, index: Path, parent: str) -> None:
        """The tree of the parent with the voice's folder of the work tree in it, and nothing else of that."""
        if parent:
            self._git.checked("read-tree", parent, index=index)
        folder = f"voices/{self._voice}"
        added = self._git.run("add", "--all", "--", folder, index=index)
        if added.returncode:
            words = git_words(added)
            remedy = "install Git LFS, and run once: git lfs install" if "lfs" in words else "do what Git says"
            raise ConfigurationError(f"git add {folder}: {words}", remedy)

    def _changes(self, index: _Index) -> tuple[Change, ...]:
        against = index.parent or self._git.checked("hash-object", "-t", "tree", "/dev/null")
        listed = self._git.checked(
            "diff", "--cached", "--no-renames", "--name-status", "--relative", "-z", against, "--", index=index.path
        ).split("\0")
        found = []
        in_lfs = self._in_lfs(listed[1::2])
        for kind, path in zip(listed[::2], listed[1::2], strict=False):
            if not path.startswith(f"voices/{self._voice}/"):
                raise StudioError(409, "foreign-path", f"{path}: not of this voice", "tell the maintainers", file=path)
            file = self._root / path
            name = {"A": "new", "D": "deleted"}.get(kind[:1], "changed")
            size = file.stat().st_size if name != "deleted" and file.is_file() else 0
            found.append(Change(printable(path), name, size, name != "deleted" and path in in_lfs))
        return tuple(found)

    def _in_lfs(self, paths: Sequence[str]) -> frozenset[str]:
        """Those of the paths that Git LFS stores."""
        if not paths:
            return frozenset()
        # path NUL attribute NUL value NUL, for each. Paths go in by stdin: arguments are limited in length.
        found = self._git.run("check-attr", "-z", "--stdin", "filter", given="\0".join(paths)).stdout.split("\0")
        return frozenset(path for path, value in zip(found[::3], found[2::3], strict=False) if value == "lfs")

    def _push_lfs(self, remote: str, commit: str) -> None:
        """Recordings first: a commit whose recordings are absent would stop every runner."""
        listed = self._git.checked("ls-tree", "-r", "--name-only", "-z", commit, f"voices/{self._voice}/").split("\0")
        files = [path for path in listed if path]
        in_lfs = self._in_lfs(files)
        if not in_lfs:
            return
        if shutil.which("git-lfs", path=self._git.environment.get("PATH")) is None:
            raise ConfigurationError(
                "recordings are to be stored by Git LFS, which is not installed", "install git-lfs"
            )
        pointers = [self._git.checked("cat-file", "blob", f"{commit}:{path}") for path in files if path in in_lfs]
        ids = [found[1] for text in pointers if (found := re.search(r"^oid sha256:([0-9a-f]{64})$", text, re.M))]
        objects = self._root / self._git.checked("rev-parse", "--git-common-dir") / "lfs" / "objects"
        here = [oid for oid in ids if (objects / oid[:2] / oid[2:4] / oid).is_file()]
        if here and (done := self._git.run("lfs", "push", "--object-id", remote, *here)).returncode:
            raise InfrastructureError(
                f"git lfs push to {remote}: {git_words(done)}", "try again when the server answers"
            )


class _Index:
    """A temporary index; the person's own is not touched."""

    def __init__(self, push: VoicePush, parent: str) -> None:
        self._push = push
        self.parent = parent
        self._folder = Path(tempfile.mkdtemp(prefix="timbre-index-"))
        self.path = self._folder / "index"

    def __enter__(self) -> _Index:
        try:
            self._push.fill(self.path, self.parent)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
