"""Read-only routes: voices, models, health, metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from timbre.registry.names import PRODUCTION
from timbre.serving.entries import Entry
from timbre.serving.errors import ApiError
from timbre.serving.schemas import (
    Health,
    ModelInfo,
    ModelList,
    NativeError,
    OpenAIError,
    VersionInfo,
    VoiceInfo,
    VoiceList,
)
from timbre.serving.server import Server
from timbre.serving.zero_shot_routes import owner_of, shown

_ANY_MODEL = "timbre"
_OPENAI: dict[int | str, dict[str, Any]] = {status: {"model": OpenAIError} for status in (400, 401, 404, 503)}
_NATIVE: dict[int | str, dict[str, Any]] = {status: {"model": NativeError} for status in (401,)}
_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": Health}}
Id = Annotated[str, Path(max_length=200)]


def listing_routes(server: Server) -> APIRouter:
    """The routes over one server."""
    router = APIRouter()

    @router.get("/v1/audio/voices", responses=_OPENAI, tags=["voices"])
    async def voices(request: Request) -> VoiceList:
        """All voices of the registry, those too that do not speak now; and those of one recording of this key."""
        entries = server.library.entries
        usable = [name for name, entry in entries.items() if entry.state == "ready"]
        own = server.zero_shot.of(owner_of(request))
        found = [*(_voice(server, name, entry) for name, entry in entries.items()), *map(shown, own)]
        return VoiceList(data=found, voices=[*usable, *(record.id for record in own)])

    @router.get("/v1/audio/voices/{name}", responses=_OPENAI, tags=["voices"])
    async def voice(name: Id, request: Request) -> VoiceInfo:
        """One voice."""
        if server.zero_shot.names(name):
            return shown(server.zero_shot.get(name, owner_of(request)))
        entry = server.library.entries.get(name)
        if entry is None:
            raise server.library.unknown(name, "name")
        return _voice(server, name, entry)

    @router.get("/v1/models", responses=_OPENAI, tags=["models"])
    async def models() -> ModelList:
        """The bases that voices speak with; `timbre` stands for all, the voice decides."""
        return ModelList(data=_models(server))

    @router.get("/v1/models/{model}", responses=_OPENAI, tags=["models"])
    async def model(model: Id) -> ModelInfo:
        """One of them."""
        found = next((item for item in _models(server) if item.id == model), None)
        if found is None:
            remedy = "GET /v1/models lists them"
            raise ApiError(404, f"there is no model {model[:63]!r}", remedy, code="model_not_found", param="model")
        return found

    @router.get("/livez", tags=["health"])
    @router.get("/v2/health/live", tags=["health"])
    async def livez(request: Request) -> Health:
        """The process answers."""
        return _health(server, request, "alive")

    @router.get("/readyz", responses=_NOT_READY, response_model=Health, tags=["health"])
    @router.get("/v2/health/ready", responses=_NOT_READY, response_model=Health, tags=["health"])
    async def readyz(request: Request) -> Response:
        """The registry was read and the first voice has spoken once: send requests."""
        ready = server.ready.is_set()
        health = _health(server, request, "ready" if ready else "starting")
        headers = {} if ready else {"Retry-After": "1"}
        return JSONResponse(health.model_dump(), 200 if ready else 503, headers)

    @router.get("/health", tags=["health"])
    async def health(request: Request) -> Health:
        """How it is."""
        status = "starting" if not server.ready.is_set() else "degraded" if server.problems else "ok"
        return _health(server, request, status)

    @router.get("/metrics", response_class=Response, responses=_NATIVE, tags=["health"])
    async def metrics() -> Response:
        """Prometheus's text format."""
        return Response(server.metrics.text(), media_type=server.metrics.content_type)

    return router


def _voice(server: Server, name: str, entry: Entry) -> VoiceInfo:
    version = entry.serving.get(PRODUCTION)
    manifest = server.library.manifest(name, version) if version else None
    gone = entry.state in ("revoked", "retired")
    versions = [] if gone else [_version(server, name, item) for item in entry.listing.versions]
    failure = next(iter(entry.failures.values()), None)
    reason = entry.listing.problem or (failure and f"version {failure.version} cannot be loaded")
    return VoiceInfo(
        id=name,
        name=name,
        state=entry.state,
        version=version,
        aliases=dict(entry.serving),
        languages=list(manifest.languages) if manifest else [],
        base=manifest.base if manifest else None,
        rights=str(manifest.consent.get("rights") or "") or None if manifest else None,
        versions=sorted(versions, key=lambda item: (item.created or "", item.id), reverse=True),
        problem=reason or None,
    )


def _version(server: Server, name: str, version: str) -> VersionInfo:
    manifest = server.library.manifest(name, version)
    if manifest is None:
        return VersionInfo(id=version)
    commit = manifest.provenance.commit
    return VersionInfo(id=version, created=manifest.created, commit=commit, passed=manifest.passed, base=manifest.base)


def _models(server: Server) -> list[ModelInfo]:
    first: dict[str, int] = {}
    for name, entry in server.library.entries.items():
        version = entry.serving.get(PRODUCTION)
        manifest = server.library.manifest(name, version) if version else None
        if manifest is not None:
            made = int(datetime.fromisoformat(manifest.created).timestamp())
            first[manifest.base] = min(made, first.get(manifest.base, made))
    newest = max(first.values(), default=0)
    return [ModelInfo(id=_ANY_MODEL, created=newest), *(ModelInfo(id=key, created=first[key]) for key in sorted(first))]


def _health(server: Server, request: Request, status: str) -> Health:
    problems = server.problems
    if problems and not request.scope["state"]["known"]:
        # Health is open to everybody; names, paths and reasons are not.
        problems = ["send a key to read them"]
    return Health(
        status=status,
        version=server.version,
        commit=server.settings.commit,
        voices=dict(server.states),
        bases=sorted({engine.base.name for engine in server.engines.open}),
        registry=_registry(server),
        device=server.device.name,
        problems=problems,
        max_characters=server.settings.max_characters,
    )


def _registry(server: Server) -> str:
    if server.library.last_problem:
        return "away"
    return "ok" if server.poll.stale_for_s is None else "stale"
