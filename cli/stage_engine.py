"""The engine that runs the stages of a repository, as the command line asks for it."""

from __future__ import annotations

from typing import Any

from timbre.cli.invocation import OWN_CACHE, Invocation
from timbre.core.recipe import Recipe
from timbre.pipeline.ci.git_notes import GIT_NOTES
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.registry_cache import stage_cache
from timbre.registry.encryption.keyring import open_keyring, require_key
from timbre.registry.store_at import open_store


def stage_engine(
    invocation: Invocation, recipe: Recipe, registry: str = "", use_cache: bool = True, **options: Any
) -> Engine:
    """An engine for the repository of a call; options: retries, wait_s, cancel, on_stage of Engine.

    The registry serves as stage cache only when it was named: a copy of .timbre/work inside .timbre is useless.
    """
    workspace = invocation.workspace()
    origin = invocation.origin(registry)
    _refuse_without_key(invocation, recipe)
    workspace.make_private()
    named = registry or invocation.environment.get("TIMBRE_REGISTRY", "")
    cache = None
    if named and use_cache:
        store, own = open_store(invocation.address(named)), invocation.environment.get(OWN_CACHE, "")
        keys = open_keyring(store, invocation.environment)
        cache = stage_cache(store, origin, open_store(invocation.address(own)) if own else None, keys)
    return Engine(
        workspace=workspace,
        recipe=recipe,
        registry=invocation.registry(registry),
        origin=origin,
        progress=invocation.progress(),
        log=invocation.logger(),
        cache=cache,
        notes=invocation.environment.get(GIT_NOTES, ""),
        **options,
    )


def _refuse_without_key(invocation: Invocation, recipe: Recipe) -> None:
    """Raises ConfigurationError before any work when encryption is demanded and no master key is named, or the master
    key that is named cannot be read.
    """
    require_key(invocation.environment, recipe.publish.encryption == "required")
