"""`.timbre/` holds what this machine made. Nothing in it may come from a checkout, and no link may lead out of it.

A commit that brings finished outputs, exported graphs or links along would decide what is published, whatever the
recordings say. So every command refuses such a checkout before it reads or writes anything there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from timbre.core.errors import ConfigurationError
from timbre.core.printable import printable
from timbre.pipeline.ci.git import Repository

_SHOWN = 5
# Whose content is not ours to judge: weights and a registry may lie behind links that an operator made, which cannot
# have come with a commit (that would be found first).
_OPERATORS = ("bases", "registry")


def refuse_foreign_state(root: Path, private: Path) -> None:
    """Raises ConfigurationError when Git tracks anything of the private folder, or when a link lies in it."""
    tracked = Repository(root).tracked(private.name) if _under_git(root) else []
    if tracked:
        shown = ", ".join(printable(path) for path in tracked[:_SHOWN]) + (", ..." if len(tracked) > _SHOWN else "")
        raise ConfigurationError(
            f"{private.name}/ is part of this commit ({shown}); outputs, graphs and locks never come from a checkout",
            f"remove it from Git: git rm -r --cached {private.name}, and keep {private.name}/ in .gitignore",
        )
    link = next(_links(private), None)
    if link is not None:
        raise ConfigurationError(
            f"{printable(str(link))}: a symbolic link, and nothing below {private.name}/ may be one",
            "remove the link; to keep the folder elsewhere, move the repository or mount the disk there",
        )


def _links(private: Path) -> Iterator[Path]:
    if private.is_symlink():
        yield private
        return
    for folder, folders, files in os.walk(private):
        if Path(folder) == private:
            folders[:] = [name for name in folders if name not in _OPERATORS]
        yield from (path for name in (*folders, *files) if (path := Path(folder) / name).is_symlink())


def _under_git(root: Path) -> bool:
    """Asked first, so that a machine without the program git can work on a folder that is no repository."""
    return any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents))
