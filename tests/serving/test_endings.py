"""Connections that the protocol ends while the application answers, and refusals that nobody takes."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.serving.test_attacks import QUICK, SHORT, site
from timbre.serving.auth import Authenticator
from timbre.serving.errors import ApiError
from timbre.serving.metrics import Metrics
from timbre.serving.middleware import RefusalMiddleware

CHUNKED = "POST {} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = b"zz\r\n"


@pytest.mark.parametrize("path", ["/livez", SHORT])
def test_a_body_that_breaks_after_its_answer_began_ends_the_connection(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with site() as here, here.connect() as client:
        client.sendall(CHUNKED.format(path).encode())
        said = b""
        while not said.partition(b"\r\n\r\n")[2]:
            said += client.recv(4096)
        client.sendall(BROKEN)
        while part := client.recv(4096):
            said += part
    assert said.count(b"HTTP/1.1") == 1
    assert not [line.getMessage() for line in caplog.records if line.levelno >= logging.ERROR]


def test_a_body_that_breaks_before_its_answer_is_refused_once(caplog: pytest.LogCaptureFixture) -> None:
    with site() as here:
        said = here.ask(CHUNKED.format("/livez").encode() + BROKEN)
    assert said.startswith(b"HTTP/1.1 400")
    assert not [line.getMessage() for line in caplog.records if line.levelno >= logging.ERROR]


class _Full:
    """A connection whose client takes nothing."""

    unsent_bytes = 10
    closing = lost = broken = False
    aborted = 0

    def abort(self) -> None:
        self.aborted += 1


def test_a_refusal_that_nobody_takes_is_a_stalled_answer_and_no_bug() -> None:
    wire, metrics, lines = _Full(), Metrics("1", ""), list[logging.LogRecord]()
    log = logging.Logger("gate")
    log.handle = lines.append  # type: ignore[method-assign, assignment]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ApiError(404, "there is no such voice")

    async def send(message: Message) -> None:
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": SHORT, "query_string": b"", "headers": [(b"host", b"localhost")],
        "state": {"wire": wire},
    }  # fmt: skip
    gate = RefusalMiddleware(app, Authenticator(QUICK), metrics, QUICK, log)
    asyncio.run(gate(scope, receive, send))
    assert wire.aborted == 1
    assert b'voice_tts_cancelled_total{reason="stalled"} 1.0' in metrics.text()
    assert f'voice_tts_requests_total{{route="{SHORT}",status="cut"'.encode() in metrics.text()
    assert not [line for line in lines if line.levelno >= logging.ERROR]
