"""One request for speech inside the server: its options, and the way from a worker to the client."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field

from timbre.core.cancellation import Cancellation
from timbre.inference.errors import CancelledError
from timbre.inference.request import SpeechRequest
from timbre.inference.timing import SentenceTime
from timbre.serving.errors import ApiError

ZERO_SHOT = "zero-shot"
"""In place of a version of the registry: a voice made of one recording."""


@dataclass(frozen=True)
class Part:
    """The share of one voice in an order."""

    voice: str
    """Name, as Library.check gave it."""
    reference: str
    """Alias or version, as Library.check gave it."""
    speech: SpeechRequest
    """Text and options."""

    @property
    def label(self) -> str:
        """Its voice in metrics: those of one recording each are one, so that keys cannot make up series."""
        return self.reference if self.reference == ZERO_SHOT else self.voice


@dataclass(frozen=True)
class Order:
    """What a client requests."""

    parts: tuple[Part, ...]
    """Turns of a dialogue and parts of a long text, in order; at least one."""
    format: str
    """A key of encoding.FORMATS."""
    rate_hz: int | None
    """Of the answer, None for the voice's own."""
    whole: bool
    """Speak everything, check it, then answer; else answer from the first sound on."""
    route: str
    """Path of the request, for metrics."""
    timed: bool = False
    """Post when each sentence and word is heard, for captions and conversations."""

    @property
    def voice(self) -> str:
        """Who speaks first."""
        return self.parts[0].voice

    @property
    def label(self) -> str:
        """Who speaks first, in metrics."""
        return self.parts[0].label

    @property
    def characters(self) -> int:
        """Of the whole text."""
        return sum(len(part.speech.text) for part in self.parts)


@dataclass(frozen=True)
class Begun:
    """The first event, when speaking works."""

    voices: tuple[str, ...]
    """NAME@VERSION of each voice, in order."""
    rate_hz: int
    """Of the audio that follows."""
    unknown: tuple[str, ...]
    """Characters that are not spoken."""


@dataclass(frozen=True)
class Piece:
    """Encoded bytes, never empty."""

    data: bytes
    """In the order's format; all pieces one after the other are the file."""


@dataclass(frozen=True)
class Timed:
    """When a sentence is heard, from the start of the answer; its sound was posted before, or comes with the next
    piece.
    """

    sentence: SentenceTime
    """Its words included."""


@dataclass(frozen=True)
class Done:
    """The last event."""

    seconds: float
    """Length of the audio."""
    failed: int = 0
    """Sentences of a whole answer that stayed below the limits after three attempts."""


Event = Begun | Piece | Timed | Done | ApiError


_LOOK_S = 0.2


@dataclass(eq=False)
class Delivery:
    """An order under way. The worker posts events, the client's task takes them; either side may cancel."""

    order: Order
    """What is answered."""
    loop: asyncio.AbstractEventLoop
    """Of the client's task: a worker's thread may post to it alone."""
    most_bytes: int = 4 << 20
    """Encoded sound that may wait here; the worker waits when there is more."""
    stall_s: float = 30.0
    """How long the worker waits."""
    cancel: Cancellation = field(default_factory=Cancellation)
    """Stops decoding at the next code; either side may set it."""
    arrived_s: float = field(default_factory=time.perf_counter)
    """When the order came, on the clock of `time.perf_counter`."""
    _events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    _room: threading.Condition = field(default_factory=threading.Condition)
    _waiting_bytes: int = 0

    def post(self, event: Event) -> None:
        """From the worker's thread. Raises CancelledError for a Piece that finds no room within stall_s, or that is no
        longer wanted.
        """
        if isinstance(event, Piece):
            self._await_room(len(event.data))
        try:
            self.loop.call_soon_threadsafe(self._events.put_nowait, event)
        except RuntimeError:  # the loop was closed: the client is gone
            self.cancel.cancel("the server is shutting down")

    async def take(self) -> Event:
        """The next event, in the client's task."""
        event = await self._events.get()
        if isinstance(event, Piece):
            with self._room:
                self._waiting_bytes -= len(event.data)
                self._room.notify_all()
        return event

    @property
    def waiting_bytes(self) -> int:
        """Encoded sound that was posted and not taken."""
        return self._waiting_bytes

    @property
    def waited_s(self) -> float:
        """Seconds since the request arrived."""
        return time.perf_counter() - self.arrived_s

    def _await_room(self, size_bytes: int) -> None:
        deadline_s = time.monotonic() + self.stall_s
        with self._room:
            while self._waiting_bytes and self._waiting_bytes + size_bytes > self.most_bytes:
                if time.monotonic() >= deadline_s:
                    self.cancel.cancel("the client took too little for too long")
                if self.cancel.cancelled:
                    raise CancelledError(f"speaking: {self.cancel.reason}", "send the request again")
                self._room.wait(_LOOK_S)
            self._waiting_bytes += size_bytes
