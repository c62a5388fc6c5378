"""A book is read by processes that take turns: each opens the voice, speaks some passages and ends.

plan -> process 1: passages 1 to 50 -> process 2: 51 to 100 -> ... -> what was made of every passage

What an engine and its libraries keep beside their graphs grows with everything that was spoken; a process that ends
gives all of it back. So memory does not depend on the book, and a process that the system kills takes nothing along.
"""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from timbre.core.errors import InfrastructureError, TimbreError
from timbre.core.progress import Progress
from timbre.inference.device import Device
from timbre.inference.request import SpeechRequest
from timbre.pipeline.books.plan import Passage, SpokenPassage

PASSAGES = 50
"""That a process speaks, in less than a minute. Opening a voice takes it some two seconds."""
_PATIENCE_S = 10.0
"""That a process gets to end."""


@dataclass(frozen=True)
class Order:
    """What a process needs to take its turn; it is pickled and sent to it."""

    voice: str
    """VOICE[@REF]."""
    opening: Mapping[str, Any]
    """Keywords of `speaking.opened`, all but device and progress."""
    device: Callable[[], Device] | Device
    """Where its engine computes, or what chooses it, in the process."""
    progress: Callable[[], Progress]
    """Makes what shows the opening, in the process."""
    folder: Path
    """Of the parts."""
    request: SpeechRequest
    """All but the text."""


@dataclass(frozen=True)
class Opened:
    """What the first process found, and the others keep to."""

    speaker: str
    """NAME@VERSION."""
    device: Device
    """Where the engine computes."""


def read_in_turns(
    order: Order, plan: Sequence[Passage], progress: Progress, titles: Sequence[str], most: int = PASSAGES
) -> tuple[str, tuple[SpokenPassage, ...]]:
    """(NAME@VERSION, what was made of every passage with a text, in order). titles: of the chapters; most: passages
    that a process speaks; those that are there already are not counted.

    The version and the device that the first process finds are those of all. Raises what `speaking.opened` and
    `read_aloud` raise, and InfrastructureError when a process was killed.
    """
    worded = [item for item in plan if item.text]
    spoken: list[SpokenPassage] = []
    with progress.task("read", total=float(sum(len(item.text) for item in worded)), unit="characters") as task:
        while True:
            before = len(spoken)
            with _turn(order, worded[before:], most) as messages:
                for message in messages:
                    if isinstance(message, Opened):
                        order = replace(order, voice=message.speaker, device=message.device)
                        continue
                    passage = worded[len(spoken)]
                    spoken.append(message)
                    task.note(titles[passage.chapter - 1][:40])
                    task.advance(len(passage.text))
            if len(spoken) == len(worded):
                return order.voice, tuple(spoken)
            assert len(spoken) > before, "each turn reads on"


@contextmanager
def _turn(order: Order, plan: Sequence[Passage], most: int) -> Iterator[Iterator[Opened | SpokenPassage]]:
    """A process that reads on: what it opened, then what it made of each passage."""
    context = get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_take_turn, args=(order, plan, most, there), daemon=True, name="timbre-read")
    process.start()
    there.close()
    try:
        yield _messages(process, here)
        process.join(_PATIENCE_S)
    finally:
        here.close()
        process.kill()
        process.join()


def _messages(process: BaseProcess, here: Connection) -> Iterator[Opened | SpokenPassage]:
    while True:
        try:
            message = here.recv()
        except EOFError:
            process.join(_PATIENCE_S)
            raise InfrastructureError(
                f"reading: the process that speaks ended with {_ending(process.exitcode)}",
                "free memory, then give the same command: it goes on where it was",
            ) from None
        if message is None:
            return
        if isinstance(message, BaseException):
            raise message
        yield message


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _take_turn(order: Order, plan: Sequence[Passage], most: int, there: Connection) -> None:
    """In the new process. Ctrl+C is for the parent, which ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from timbre.pipeline.books.reading import read_aloud
    from timbre.pipeline.release.speaking import opened

    try:
        device = order.device if isinstance(order.device, Device) else order.device()
        with opened(order.voice, device=device, progress=order.progress(), **order.opening) as speaking:
            there.send(Opened(speaking.name, device))
            for made in read_aloud(speaking, plan, order.folder, order.request, most):
                there.send(made)
        there.send(None)
    except BrokenPipeError:  # the parent is gone
        return
    except (TimbreError, OSError) as error:
        there.send(error)
    except Exception:
        there.send(RuntimeError(f"in the process that speaks:\n{traceback.format_exc()}"))
