"""One request for speech inside the server: what is wanted, and the way from a worker to the client."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from timbre.core.cancellation import Cancellation
from timbre.inference.request import SpeechRequest
from timbre.serving.errors import ApiError


@dataclass(frozen=True)
class Order:
    """What a client wants.

    voice, reference: name and alias or version, as Library.check gave them. format: a key of encoding.FORMATS.
    rate_hz: of the answer, None for the voice's own. whole: speak everything, check it, then answer; else answer from
    the first sound on. route: path of the request, for metrics.
    """

    voice: str
    reference: str
    speech: SpeechRequest
    format: str
    rate_hz: int | None
    whole: bool
    route: str


@dataclass(frozen=True)
class Begun:
    """Comes first when speaking works: who speaks, at which rate the client will hear it.

    unknown: characters that are not spoken.
    """

    voice: str
    version: str
    rate_hz: int
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Piece:
    """Encoded bytes, never empty."""

    data: bytes


@dataclass(frozen=True)
class Done:
    """Comes last. failed: sentences of a whole answer that stayed below the limits after three attempts."""

    seconds: float
    failed: int = 0


Event = Begun | Piece | Done | ApiError


@dataclass(eq=False)
class Delivery:
    """An order under way. The worker posts events, the client's task takes them; either side may cancel."""

    order: Order
    loop: asyncio.AbstractEventLoop
    cancel: Cancellation = field(default_factory=Cancellation)
    arrived_s: float = field(default_factory=time.perf_counter)
    _events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)

    def post(self, event: Event) -> None:
        """From the worker's thread."""
        try:
            self.loop.call_soon_threadsafe(self._events.put_nowait, event)
        except RuntimeError:  # the loop was closed: nobody listens any more
            self.cancel.cancel("the server is shutting down")

    async def take(self) -> Event:
        """The next event, in the client's task."""
        return await self._events.get()

    @property
    def waited_s(self) -> float:
        """Seconds since the request arrived."""
        return time.perf_counter() - self.arrived_s
