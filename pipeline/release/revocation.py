"""What a revocation removes on this machine: the work and reports of a voice, which hold its recordings."""

from __future__ import annotations

from timbre.core.atomic import remove_tree
from timbre.core.locks import exclusive
from timbre.pipeline.engine.workspace import Workspace

_WAIT_S = 600.0


def remove_local_work(workspace: Workspace, voice: str) -> list[str]:
    """Removes .timbre/work/<voice> and .timbre/reports/<voice>; which of them were there, relative to the repository.

    Waits for a run of this voice to end. Raises InfrastructureError when it does not.
    """
    removed = []
    with exclusive(workspace.lock(voice), f"voice {voice}", _WAIT_S):
        for folder in (workspace.private / "work" / voice, workspace.private / "reports" / voice):
            if folder.exists():
                remove_tree(folder)
                removed.append(folder.relative_to(workspace.root).as_posix())
    return removed
