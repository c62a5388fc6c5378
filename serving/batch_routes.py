"""Routes of batch jobs. A job belongs to the key that made it; to all other keys it is not there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, Response

from timbre.serving.batch_runner import ROUTE, BatchRunner
from timbre.serving.batch_schemas import BatchBody, BatchCounts, BatchGone, BatchInfo, BatchItemInfo, BatchList
from timbre.serving.batches import DAY_S, Batch, BatchStore, Outcome
from timbre.serving.encoding import FORMATS
from timbre.serving.errors import ApiError
from timbre.serving.schemas import OpenAIError, OpenAIErrorDetail
from timbre.serving.server import Server

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": OpenAIError} for status in (400, 401, 403, 404, 408, 413, 429)
}
_SOUND: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The sound.",
        "content": {
            media: {"schema": {"type": "string", "format": "binary"}}
            for media in sorted({kind.media_type for kind in FORMATS.values()})
        },
    }
}
Id = Annotated[str, PathParameter(max_length=60)]
Index = Annotated[int, PathParameter(ge=1, le=1000)]


def store_of(server: Server) -> BatchStore:
    """The folder that the operator named."""
    settings = server.settings
    return BatchStore(
        Path(settings.batches), settings.max_batches, settings.batches_mib << 20, settings.batch_days * DAY_S
    )


def batch_routes(server: Server, store: BatchStore, runner: BatchRunner) -> APIRouter:
    """The routes over one server."""
    router = APIRouter(prefix=ROUTE, responses=_ERRORS, tags=["batches"])
    days_s = server.settings.batch_days * DAY_S

    @router.post("")
    async def create(body: BatchBody, request: Request) -> BatchInfo:
        """Speak many texts while no request waits."""
        most = server.settings.max_characters
        for index, item in enumerate(body.items):
            if len(item.input) > most:
                raise ApiError(
                    413, f"items.{index}.input: {len(item.input)} characters, the limit is {most}",
                    "split it into several items", param=f"items.{index}.input",
                )  # fmt: skip
        items = [item.model_dump(exclude_unset=True) for item in body.items]
        batch = await asyncio.to_thread(store.add, _owner(request), items)
        runner.wake()
        return _info(batch, days_s, with_items=True)

    @router.get("")
    async def mine(request: Request) -> BatchList:
        """The batches of this key."""
        found = await asyncio.to_thread(store.of, _owner(request))
        return BatchList(data=[_info(batch, days_s) for batch in found])

    @router.get("/{batch_id}")
    async def one(batch_id: Id, request: Request) -> BatchInfo:
        """A batch with its items."""
        return _info(await asyncio.to_thread(store.get, batch_id, _owner(request)), days_s, with_items=True)

    @router.get("/{batch_id}/items/{index}", response_class=Response, responses=_SOUND)
    async def sound(batch_id: Id, index: Index, request: Request) -> Response:
        """The sound of an item."""
        batch = await asyncio.to_thread(store.get, batch_id, _owner(request))
        path = store.sound(batch, index)
        return FileResponse(path, media_type=FORMATS[path.suffix[1:]].media_type, filename=path.name)

    @router.post("/{batch_id}/cancel")
    async def cancel(batch_id: Id, request: Request) -> BatchInfo:
        """Speak nothing further of it; what is spoken stays."""
        batch = await asyncio.to_thread(store.get, batch_id, _owner(request))
        await asyncio.to_thread(store.cancel, batch)
        runner.stop_speaking(batch.id)
        return _info(await asyncio.to_thread(store.get, batch_id, _owner(request)), days_s, with_items=True)

    @router.delete("/{batch_id}")
    async def remove(batch_id: Id, request: Request) -> BatchGone:
        """Remove it and its sound."""
        batch = await asyncio.to_thread(store.get, batch_id, _owner(request))
        await asyncio.to_thread(store.remove, batch)
        runner.stop_speaking(batch.id)
        return BatchGone(id=batch.id)

    return router


def _owner(request: Request) -> str:
    return str(request.scope["state"]["owner"])


def _info(batch: Batch, days_s: float, *, with_items: bool = False) -> BatchInfo:
    failed = sum(outcome.error is not None for outcome in batch.outcomes.values())
    items = [_item(batch, index) for index in range(1, len(batch.items) + 1)] if with_items else None
    return BatchInfo(
        id=batch.id, status=batch.status, created_at=int(batch.created_s), expires_at=int(batch.created_s + days_s),
        counts=BatchCounts(total=len(batch.items), done=len(batch.outcomes) - failed, failed=failed), items=items,
    )  # fmt: skip


def _item(batch: Batch, index: int) -> BatchItemInfo:
    custom_id = batch.items[index - 1].get("custom_id")
    outcome: Outcome | None = batch.outcomes.get(index)
    if outcome is None:
        return BatchItemInfo(index=index, custom_id=custom_id, status="waiting")
    if outcome.error is not None:
        error = OpenAIErrorDetail.model_validate(outcome.error)
        return BatchItemInfo(index=index, custom_id=custom_id, status="failed", error=error)
    return BatchItemInfo(
        index=index, custom_id=custom_id, status="done", url=f"{ROUTE}/{batch.id}/items/{index}",
        seconds=outcome.seconds, voice=outcome.voice, failed_sentences=outcome.failed_sentences,
    )  # fmt: skip
