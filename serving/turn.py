"""One turn of a conversation: clauses spoken in order while more come, until they end or somebody interrupts.

clause -> order -> delivery (two at once, so that the next is ready when one ends) -> events, in the order of the text
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from timbre.inference.timing import SentenceTime
from timbre.serving.errors import ApiError
from timbre.serving.order import Begun, Delivery, Done, Piece, Timed

_AHEAD = 2
"""Clauses that are spoken at once: the one that is heard and the next."""


@dataclass(frozen=True)
class Sound:
    """Encoded bytes that can be played now."""

    data: bytes
    """Of the clause's own stream: each clause begins a file of the format."""


@dataclass
class Heard:
    """What a turn has said so far."""

    sentences: list[SentenceTime] = field(default_factory=list)
    """In order, with times from the start of the turn."""
    seconds: float = 0.0
    """Sound that was sent, whether it has been played or not."""

    def until(self, played_s: float | None) -> tuple[str, str]:
        """Text of the sentences that were heard to their end, and the words of one that was broken off.

        played_s: how much the listener has heard; None for all that was sent.
        """
        end_s = self.seconds if played_s is None else played_s
        whole = [item.text for item in self.sentences if item.end_s <= end_s + 0.05]
        broken = next((item for item in self.sentences if item.start_s < end_s < item.end_s - 0.05), None)
        words = [word.text for word in broken.words if word.end_s <= end_s] if broken is not None else []
        return " ".join(whole), _joined(words)


class Turn:
    """submit: takes a clause and gives its delivery, or raises ApiError. Used by tasks of one loop."""

    def __init__(self, submit: Callable[[str], Delivery]) -> None:
        self._submit = submit
        self._clauses: deque[str] = deque()
        self._running: deque[Delivery] = deque()
        self._more = asyncio.Event()
        self._ended = False
        self._stopped = False
        self._complete = False
        self.heard = Heard()

    @property
    def waiting_characters(self) -> int:
        """Of clauses that are not being spoken yet."""
        return sum(map(len, self._clauses))

    @property
    def waits(self) -> bool:
        """Whether all that was given is spoken."""
        return not self._clauses and not self._running

    @property
    def stopped(self) -> bool:
        """Whether it was stopped before its end."""
        return self._stopped and not self._complete

    def add(self, clauses: list[str]) -> None:
        """Says these next."""
        self._clauses.extend(clauses)
        self._more.set()

    def end(self) -> None:
        """No clause comes after those given."""
        self._ended = True
        self._more.set()

    def stop(self) -> None:
        """Speaks no further; frees what was being decoded."""
        self._stopped = True
        self._clauses.clear()
        for delivery in self._running:
            delivery.cancel.cancel("the listener interrupted")
        self._more.set()

    async def events(self) -> AsyncIterator[Sound | SentenceTime]:
        """Sound and times in order; ends when the turn has ended or was stopped. Raises ApiError."""
        try:
            while not self._stopped:
                self._fill()
                if not self._running:
                    if self._ended:
                        self._complete = True
                        return
                    self._more.clear()
                    await self._more.wait()
                    continue
                async for event in self._of(self._running[0]):
                    yield event
                if self._running:
                    self._running.popleft()
        finally:
            self.stop()

    def _fill(self) -> None:
        while self._clauses and len(self._running) < _AHEAD:
            self._running.append(self._submit(self._clauses.popleft()))

    async def _of(self, delivery: Delivery) -> AsyncIterator[Sound | SentenceTime]:
        before_s = self.heard.seconds
        while not self._stopped:
            event = await self._next(delivery)
            if event is None or isinstance(event, Begun):
                continue
            if isinstance(event, ApiError):
                if self._stopped:
                    return
                raise event
            if isinstance(event, Done):
                self.heard.seconds = before_s + event.seconds
                return
            if isinstance(event, Timed):
                sentence = event.sentence.moved(before_s)
                self.heard.sentences.append(sentence)
                self.heard.seconds = max(self.heard.seconds, sentence.end_s)
                yield sentence
            elif isinstance(event, Piece):
                yield Sound(event.data)

    async def _next(self, delivery: Delivery) -> Begun | Piece | Timed | Done | ApiError | None:
        """The next event; None after a clause was added or the turn stopped, which is looked at first."""
        self._more.clear()
        self._fill()
        taking = asyncio.ensure_future(delivery.take())
        more = asyncio.ensure_future(self._more.wait())
        try:
            await asyncio.wait({taking, more}, return_when=asyncio.FIRST_COMPLETED)
            return taking.result() if taking.done() else None
        finally:
            more.cancel()
            if not taking.done():
                taking.cancel()


def _joined(words: list[str]) -> str:
    text = ""
    for word in words:
        text += word if not text or not (text[-1].isascii() or word[0].isascii()) else f" {word}"
    return text
