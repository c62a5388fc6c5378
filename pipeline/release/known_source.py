"""The short way of a push whose source was published before: promote that version, run no stage.

voice folder -> source digest -> a version that passed -> promotion, or None when there is work to do
"""

from __future__ import annotations

import time
from typing import Any

from timbre.pipeline.ci.git import Repository
from timbre.pipeline.engine.engine import Engine, StageOutcome
from timbre.pipeline.release.package import committed, source_digest
from timbre.pipeline.release.promotion import KNOWN_SOURCE, promote_for_commit
from timbre.pipeline.stages.table import stage_row
from timbre.pipeline.voice.folder import VoiceFolder
from timbre.registry.errors import CorruptError, NotFoundError
from timbre.registry.open import open_registry
from timbre.registry.registry import Registry

KNOWN = "known"


def version_here(registry: Registry, voice: VoiceFolder) -> str:
    """The newest version that passed and was made of exactly this folder. Raises NotFoundError when there is none."""
    manifest = registry.find_source(voice.name, source_digest(voice))
    if manifest is None:
        raise NotFoundError(
            f"voices/{voice.name} in this state was never published",
            f"publish it first (timbre publish {voice.name}), or name a version (timbre history {voice.name})",
        )
    return manifest.version


def publish_known(engine: Engine, voice: VoiceFolder) -> StageOutcome | None:
    """Promotes the version that this source has already, and says so as the outcome of stage `publish`.

    None when there is no such version, when it is damaged (the stages then mend it), and for merge requests, which are
    there to be looked at. Raises what promote_for_commit raises.
    """
    started = time.monotonic()
    registry = open_registry(engine.registry)
    if engine.origin.why_not:
        return None
    recipe = engine.recipe.for_voice(voice.recipe, f"voices/{voice.name}/voice.yaml: recipe", with_base=False).publish
    repository = Repository(engine.workspace.root)
    try:
        manifest = registry.find_source(voice.name, source_digest(voice))
        if manifest is None:
            return None
        outcome = promote_for_commit(
            registry,
            manifest,
            committed(engine.origin, voice, repository),
            repository,
            alias=recipe.alias,
            review=voice.review,
            reason=KNOWN_SOURCE,
        )
    except CorruptError as error:
        engine.log.warning("published version not used", extra={"voice": voice.name, "reason": str(error)})
        return None
    facts: dict[str, Any] = {
        "version": manifest.version,
        "promoted": outcome.moved,
        "alias": recipe.alias,
        "said": f"already published as {manifest.version}, no stage run (--rebuild retrains); {outcome.words}",
        "verdicts": manifest.gates,
    }
    return StageOutcome(stage_row("publish"), KNOWN, seconds=time.monotonic() - started, facts=facts)
