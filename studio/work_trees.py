"""A work tree of one clone for each person of a hosted studio: what one records, no other one sees before the push.

clone, person -> .timbre/studio/people/<person>/ at the newest commit of the remote's default branch
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from timbre.core.errors import ConfigurationError, TimbreError
from timbre.pipeline.engine.workspace import Workspace
from timbre.studio.clone import Clone
from timbre.studio.people import Person


class WorkTrees:
    """The work trees below a repository. Thread-safe."""

    def __init__(self, workspace: Workspace, environment: Mapping[str, str]) -> None:
        self._workspace = workspace
        self._environment = environment
        self._clone = Clone(workspace.root, environment)
        self._lock = threading.Lock()

    def of(self, person: Person) -> Workspace:
        """The person's own, made at first, brought to what is newest where nothing of theirs stands against it.

        Raises ConfigurationError outside a Git repository with a commit.
        """
        place = self._workspace.private / "studio" / "people" / person.slug
        with self._lock:
            newest = self._newest()
            if not (place / ".git").exists():
                self._workspace.make_private()
                place.parent.mkdir(parents=True, exist_ok=True)
                self._clone.checked("worktree", "prune")
                self._clone.checked("worktree", "add", "--quiet", "--detach", str(place), newest)
                (place / "voices").mkdir(exist_ok=True)
            else:
                self._refresh(place, newest)
        return Workspace(place, self._workspace.weights_root)

    def _newest(self) -> str:
        """The newest commit of the remote's default branch; the one that is checked out where there is no remote."""
        if self._clone.repository.head() is None:
            raise ConfigurationError(
                f"{self._workspace.root}: no Git repository with a commit",
                "start it in a clone",
            )
        try:
            remote, _ = self._clone.remote()
            target = self._clone.target(remote)
            self._clone.fetch(remote)
        except TimbreError:
            # No remote, or one that does not answer now: a person may record all the same; the push asks again.
            return self._clone.checked("rev-parse", "HEAD")
        found = self._clone.repository.resolve(f"refs/remotes/{remote}/{target}")
        return found or self._clone.checked("rev-parse", "HEAD")

    def _refresh(self, place: Path, newest: str) -> None:
        """What was pushed and merged since is the same there and here, and makes way; what was not pushed stays."""
        tree = Clone(place, self._environment)
        for voice in sorted(path.name for path in (place / "voices").iterdir() if path.is_dir()):
            folder = f"voices/{voice}"
            if tree.repository.differs(place / folder, ()) and self._merged(tree, folder, newest):
                tree.run("clean", "-fdq", "--", folder)
                tree.run("checkout", "--quiet", "HEAD", "--", folder)
        # Git refuses this where it would lose a change; then the tree stays where it is.
        tree.run("checkout", "--quiet", "--detach", newest)

    @staticmethod
    def _merged(tree: Clone, folder: str, newest: str) -> bool:
        """Whether a folder of the work tree is what that commit has, file by file."""
        if tree.run("add", "--all", "--", folder).returncode:
            return False
        same = tree.run("diff", "--cached", "--quiet", newest, "--", folder).returncode == 0
        tree.run("reset", "--quiet", "--", folder)
        return same
