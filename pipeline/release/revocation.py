"""What must not be worked on: a voice whose consent was withdrawn, and one that the operator's policy does not allow
or has no room for.

Effect of a revocation on this machine: no further run of the voice, and its work and reports are removed.
"""

from __future__ import annotations

import logging

from timbre.core.atomic import remove_tree
from timbre.core.errors import InfrastructureError
from timbre.core.locks import exclusive
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.voice.folder import VoiceFolder
from timbre.registry.address import RegistryAddress
from timbre.registry.errors import CorruptError
from timbre.registry.open import open_registry
from timbre.registry.quota import expect_room
from timbre.registry.store_at import open_store
from timbre.registry.tombstones import refuse_revoked

_WAIT_S = 600.0


def refuse_withdrawn(registry: RegistryAddress, voice: str, recordings: str, log: logging.Logger) -> None:
    """Raises RevokedError when consent for the voice or for its recordings was withdrawn.

    A registry that cannot be reached is warned of: what is made on this machine is published only after the registry
    was asked again.
    """
    try:
        refuse_revoked(open_store(registry), voice, recordings)
    except CorruptError:
        raise
    except InfrastructureError as error:
        log.warning("withdrawn consent not looked up", extra={"voice": voice, "reason": error.message})


def refuse_by_policy(registry: RegistryAddress, voice: VoiceFolder, log: logging.Logger) -> None:
    """Raises InputError before any work for a voice whose kind of consent or base a policy does not allow, and
    ConfigurationError for an invalid policy. What cannot be checked now is checked before publishing.
    """
    try:
        open_registry(registry).rules.check_voice(voice.name, voice.consent.kind, voice.base)
    except CorruptError:
        raise
    except InfrastructureError as error:
        log.warning("policy not looked up", extra={"voice": voice.name, "reason": error.message})


def refuse_without_room(registry: RegistryAddress, voice: str, log: logging.Logger) -> None:
    """Raises NoRoomError before any work when the next version would exceed a quota of the policy. What cannot be asked
    now is asked before publishing.
    """
    try:
        opened = open_registry(registry)
        expect_room(opened.store, opened.rules.policies, voice)
    except CorruptError:
        raise
    except InfrastructureError as error:
        log.warning("quota not looked up", extra={"voice": voice, "reason": error.message})


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
