"""Sends attacks (fuzzed.py) to a server in this process and judges what comes back."""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.serving.fuzzed import Sent, attack
from tests.serving.running import FAST, Running, running
from tests.serving.shelf_of_voices import Shelf

ANSWER_S = 120.0
"""Longest wait for the end of an answer; more is a hang."""
_REFUSED = ("unavailable", "queued", "starting", "silent", "no_room")
"""Codes of answers of 503 that are no fault."""


@dataclass
class Verdicts:
    """What came back so far."""

    statuses: Counter[str] = field(default_factory=Counter)
    """Status ("none": closed without one) -> answers."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Kind of attack -> how many."""
    faults: list[str] = field(default_factory=list)
    """Answers of 5xx, hangs and missing answers, with the number of the attack."""
    slowest: tuple[float, int] = (0.0, -1)
    """Seconds and number of the answer that took longest."""


@contextlib.contextmanager
def target(folder: Path, export: Path) -> Iterator[Running]:
    """A server on which every route is open and answers are short."""
    shelf = Shelf(folder / "registry", export)
    for seed, name in enumerate(("ada", "bob", "carl")):
        shelf.publish(name, seed)
    settings = replace(
        FAST, zero_shot=str(folder / "voices"), batches=str(folder / "batches"), max_batches=100_000, batch_days=0.02,
        max_characters=400, max_stream_characters=800, max_audio_s=60.0, body_timeout_s=2.0, header_timeout_s=2.0,
        stream_idle_s=3.0, stall_timeout_s=5.0, queue=200,
    )  # fmt: skip
    with running(shelf.registry, folder / "cache", settings) as live:
        yield live


def fuzz(
    live: Running,
    seed: int,
    numbers: range,
    clients: int = 4,
    stop: Callable[[], bool] = lambda: False,
    told: Callable[[Verdicts], None] = lambda _: None,
) -> Verdicts:
    """Sends the attacks of these numbers from several connections at once. told: called after every thousandth."""
    verdicts, left, lock = Verdicts(), iter(numbers), threading.Lock()

    def work() -> None:
        while not stop():
            with lock:
                number = next(left, None)
            if number is None:
                return
            sent = attack(seed, number)
            began = time.monotonic()
            status, fault = _judged(sent, live.port)
            with lock:
                verdicts.statuses[status] += 1
                verdicts.kinds[sent.kind] += 1
                verdicts.slowest = max(verdicts.slowest, (time.monotonic() - began, number))
                if fault:
                    verdicts.faults.append(f"{number} ({sent.kind}): {fault}")
                if verdicts.kinds.total() % 1000 == 0:
                    told(verdicts)

    with ThreadPoolExecutor(clients) as pool:
        # A client that breaks sends nothing any more: that is no run without faults.
        for client in [pool.submit(work) for _ in range(clients)]:
            client.result()
    return verdicts


def bugs(live: Running) -> list[str]:
    """Tracebacks that the server logged."""
    return [f"{line.getMessage()}: {line.exc_info[1]!r}" for line in live.lines if line.exc_info]


def _judged(sent: Sent, port: int) -> tuple[str, str]:
    """Status of the answer, and what is wrong with it ("" for nothing)."""
    try:
        said = _exchange(sent, port)
    except TimeoutError:
        return "none", f"no end of an answer within {ANSWER_S:g} s"
    # A server that refused may close before it read all: the reset then takes its answer with it.
    if not said.startswith(b"HTTP/1.1 "):
        return "none", "no answer" if sent.must_answer and len(b"".join(sent.parts)) < 60_000 else ""
    status = said[9:12].decode("latin-1")
    if status == "101":
        return status, _in_frames(said)
    if status < "500":
        return status, ""
    if status == "503" and _code(said) in _REFUSED:
        return status, ""
    return status, said[:400].decode("latin-1")


def _exchange(sent: Sent, port: int) -> bytes:
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as wire:
        with contextlib.suppress(ConnectionError):
            for part in sent.parts:
                wire.sendall(part)
            if sent.ends:
                _end(wire)
        with contextlib.suppress(ConnectionError):
            while part := wire.recv(1 << 16):
                said += part
    return said


def _end(wire: socket.socket) -> None:
    try:
        wire.shutdown(socket.SHUT_WR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:  # the server hung up first
            raise


def _code(said: bytes) -> str:
    try:
        body = json.loads(said.partition(b"\r\n\r\n")[2])
        return str(body.get("error", body)["code"])
    except (ValueError, KeyError, AttributeError, TypeError):
        return ""


def _in_frames(said: bytes) -> str:
    """What a WebSocket said that nobody should say: the close code of a bug, or an error of the server's own."""
    for wrong in (b"something went wrong inside the server", b"\x88\x02\x03\xf3"):
        if wrong in said:
            return f"WebSocket: {wrong!r}"
    return ""
