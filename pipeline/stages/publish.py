"""Stage 5: write the immutable version, move the alias, record who and why.

outputs of stages 3 and 4, verdicts -> package -> registry: base, blobs, manifest, alias, events
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timbre.core.atomic import write_json
from timbre.core.recipe import PublishRecipe
from timbre.pipeline.bases.exported import publish_exported
from timbre.pipeline.ci.git import Repository
from timbre.pipeline.ci.origin import Origin, actor_of
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.release.package import GATES, MAX_BYTES, PackageInputs, build_package, committed
from timbre.pipeline.release.promotion import PASSED, promote_for_commit, review_of_production
from timbre.pipeline.stages.table import StageContext
from timbre.pipeline.voice.folder import VoiceFolder
from timbre.registry.open import open_registry

RECORD = "publish.json"


class PublishStage:
    """Acts on the world, runs every time, and does nothing twice: equal versions are kept, aliases stand."""

    version = 1

    def run(self, context: StageContext) -> Mapping[str, Any]:
        """Publishes, then promotes unless something speaks against it; `said` in the facts describes the result.

        Raises RevokedError for a withdrawn voice, InfrastructureError on a full or unreachable store (what was stored
        before stays whole), and what Registry.publish and promote_for_commit raise.
        """
        recipe, repository = context.section(PublishRecipe), Repository(context.root)
        voice = context.voice
        origin = committed(context.origin, voice, repository)
        if origin != context.origin:
            context.log.warning("recordings are not committed: published without a commit", extra={"voice": voice.name})
        registry = open_registry(context.registry)
        review = review_of_production(registry, voice.name, recipe.alias)
        package = build_package(self._package_inputs(context, voice, origin, review), registry.now(), recipe.samples)
        version = package.manifest.version
        facts: dict[str, Any] = {"version": version, "size_bytes": package.size_bytes, "promoted": False}
        if package.size_bytes > MAX_BYTES:
            fields = {"size_bytes": package.size_bytes, "limit_bytes": MAX_BYTES}
            context.log.warning("a large package: lower finetune.rank", extra=fields)
        if origin.why_not:
            # Merge requests never publish.
            facts |= {"published": False, "said": f"{origin.why_not}: nothing is published"}
            write_json(context.output / RECORD, facts)
            return facts
        publish_exported(context.base, context.root, context.registry, progress=context.progress)
        manifest = registry.publish(package.manifest, package.files, actor=actor_of(origin), reason=PASSED)
        outcome = promote_for_commit(
            registry,
            manifest,
            origin,
            repository,
            alias=recipe.alias,
            review=manifest.review_required,
            reason=PASSED,
        )
        facts |= {"published": True, "promoted": outcome.moved, "alias": recipe.alias}
        facts["said"] = f"published {version}; {outcome.words}"
        write_json(context.output / RECORD, facts)
        return facts

    def _package_inputs(self, context: StageContext, voice: VoiceFolder, origin: Origin, review: bool) -> PackageInputs:
        return PackageInputs(
            voice=voice,
            base=context.base,
            recipe=context.recipe,
            origin=origin,
            review=review,
            finetuned=context.inputs["finetune"],
            measured=context.inputs["evaluate"],
            gates=Workspace(context.root).report(context.voice.name, "evaluate") / GATES,
        )
