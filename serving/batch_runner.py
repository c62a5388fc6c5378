"""Speaks batch jobs one item at a time, while no request waits: store -> order -> workers -> store."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from timbre.serving.batches import Batch, BatchStore, Outcome
from timbre.serving.encoding import FORMATS
from timbre.serving.errors import ApiError, error_body
from timbre.serving.order import Begun, Delivery, Done, Order, Piece
from timbre.serving.ordering import asked_for
from timbre.serving.schemas import SpeechBody
from timbre.serving.server import Server
from timbre.serving.speaking_options import openai_rate, openai_request, voice_of

ROUTE = "/v1/audio/batches"
_LOOK_S = 0.1
_SWEEP_S = 3600.0
_MOST_TRIES = 3
"""Of an item that the server cannot speak now."""


class BatchRunner:
    """run() until stop(), in the loop of the application."""

    def __init__(self, server: Server, store: BatchStore) -> None:
        self._server = server
        self._store = store
        self._task: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self._now: tuple[str, Delivery] | None = None
        self._closing = False

    def start(self) -> None:
        """Begins with what an earlier run left."""
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Ends at once; an item under way is spoken again by the next run."""
        self._closing = True
        self.stop_speaking()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def wake(self) -> None:
        """There is a new job."""
        self._more.set()

    def stop_speaking(self, name: str = "") -> None:
        """Gives up the item that is being spoken, if it is of this job; "" for any."""
        if self._now is not None and name in ("", self._now[0]):
            self._now[1].cancel.cancel("the batch was cancelled")

    async def _run(self) -> None:
        swept_s = -_SWEEP_S
        loop = asyncio.get_running_loop()
        while True:
            self._more.clear()
            try:
                if loop.time() - swept_s >= _SWEEP_S:
                    await asyncio.to_thread(self._store.sweep)
                    swept_s = loop.time()
                batch = await asyncio.to_thread(self._store.next)
                if batch is not None:
                    await self._job(batch)
                    continue
            except Exception as error:
                # The runner must outlive everything: without it no job would ever end.
                self._server.log.error("a batch could not go on", exc_info=error)
                await asyncio.sleep(1.0)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._more.wait(), _SWEEP_S)

    async def _job(self, batch: Batch) -> None:
        for index, item in enumerate(batch.items, 1):
            if index in batch.outcomes:
                continue
            if await asyncio.to_thread(self._store.is_cancelled, batch):
                return
            outcome, sound = await self._spoken(batch, index, SpeechBody.model_validate(item))
            if outcome is not None:
                await asyncio.to_thread(self._store.note, batch, index, outcome, sound)

    async def _spoken(self, batch: Batch, index: int, body: SpeechBody) -> tuple[Outcome | None, bytes]:
        """None when the job was cancelled, or the server closes."""
        for attempt in range(1, _MOST_TRIES + 1):
            try:
                return await self._speak(batch, index, body)
            except ApiError as error:
                if self._closing or self._cancelled:
                    return None, b""
                passing = error.status_code in (429, 503)
                if not passing or attempt == _MOST_TRIES:
                    return Outcome(error=error_body(error, "/v1/", "")["error"]), b""
                await asyncio.sleep(float((error.headers or {}).get("Retry-After", 1)))
            finally:
                self._now = None
        raise AssertionError("the last attempt returns")

    @property
    def _cancelled(self) -> bool:
        return self._now is not None and self._now[1].cancel.cancelled

    async def _speak(self, batch: Batch, index: int, body: SpeechBody) -> tuple[Outcome, bytes]:
        server = self._server
        while not (server.ready.is_set() and server.workers.idle):
            await asyncio.sleep(_LOOK_S)
        asked = await asked_for(
            server, body.input, voice_of(body), openai_request(body), field="input", whole=True, owner=batch.owner
        )
        delivery = server.deliver(Order(asked.parts, body.response_format, openai_rate(body), True, ROUTE))
        self._now = batch.id, delivery
        voices, sound = "", bytearray()
        while True:
            event = await delivery.take()
            if isinstance(event, ApiError):
                raise event
            if isinstance(event, Begun):
                voices = ", ".join(event.voices)
            elif isinstance(event, Piece):
                sound += event.data
            elif isinstance(event, Done):
                file = f"{index:05}.{FORMATS[body.response_format].name}"
                return Outcome(file, round(event.seconds, 3), voices, event.failed), bytes(sound)
