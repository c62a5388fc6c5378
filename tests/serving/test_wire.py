"""Bytes on the wire that no HTTP library would send, and many clients at once: no 500, no traceback, no lost slot."""

from __future__ import annotations

import random
import socket
import threading

import pytest

from tests.serving.running import Running, wait_until

HOST = b"Host: localhost\r\n"
BODY = b'{"text": "hi", "spk": "ada"}'
JSON = b"Content-Type: application/json\r\n"


def exchange(live: Running, data: bytes, *, half_close: bool = False, awaited: bytes = b"") -> bytes:
    """What the server says to these bytes until it closes or says nothing more for a while.

    awaited: what it will say however slow the machine is; only what comes behind it is waited for briefly.
    """
    with socket.create_connection(("127.0.0.1", live.port), timeout=60) as client:
        client.sendall(data)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        said = b""
        try:
            client.settimeout(3 if awaited in said else 60)
            while part := client.recv(65536):
                said += part
                client.settimeout(3 if awaited in said else 60)
                if (b"\r\n\r\n" in said and said[9:12] not in (b"100", b"200")) or len(said) > 2000:
                    break
        except (TimeoutError, ConnectionResetError):
            pass
        return said


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /tts?text=%ff%fe&spk=%00 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /tts?text=hi&spk=ada&spk=bob&seed=1&seed=x HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /tts?speed_factor=nan&text=hi&spk=ada HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /tts?speed_factor=inf&text=hi&spk=ada HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /tts?text=" + b"x" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /..%2f..%2fetc%2fpasswd HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET //etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /page.js/../../settings.py HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET http://other.example/health HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /v1/audio/voices/..%2f..%2fx HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /v1/audio/voices/%ed%a0%80 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"POST /tts HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: -5\r\n\r\n" + BODY,
        b"POST /tts HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY,
        b"POST /tts HTTP/1.1\r\n" + HOST + JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /tts HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /tts HTTP/1.1\r\n" + HOST + b"Content-Type: \xff/json; charset=\xfe\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /tts HTTP/1.1\r\nContent-Type: application/json; charset=utf-16\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /tts HTTP/1.1\r\n" + HOST + JSON + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
        b"GET /health HTTP/1.1\r\n" + HOST + b"Authorization: Bearer \xff\xfe\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + HOST + b"X-Request-Id: a\x0bb\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    ],
    ids=lambda data: f"{len(data)}-bytes",
)
def test_odd_bytes_are_answered_and_forgotten(live: Running, data: bytes) -> None:
    said = exchange(live, data)
    assert said == b"" or said.startswith(b"HTTP/1."), said[:80]
    status = int(said[9:12]) if said else 0
    assert status < 500, said[:400]
    assert b"Traceback" not in said
    assert b"root:" not in said
    assert not any(record.exc_info for record in live.lines)


def test_bodies_cut_and_pipelined(live: Running) -> None:
    head = b"POST /tts HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: %d\r\n" % len(BODY)
    assert exchange(live, head + b"\r\n" + BODY[:5], half_close=True)[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 408")
    waited = exchange(live, head + b"Expect: 100-continue\r\n\r\n" + BODY, awaited=b"HTTP/1.1 200")
    assert waited.startswith(b"HTTP/1.1 100")
    assert b"HTTP/1.1 200" in waited
    pair = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n" + b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n"
    both = exchange(live, pair, awaited=b"HTTP/1.1 200")
    assert both.startswith(b"HTTP/1.1 200")
    head = b"POST /tts HTTP/1.0\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(BODY)
    old = exchange(live, head + BODY, awaited=b" 200 ")
    assert b" 200 " in old[:20]
    assert b"chunked" not in old.split(b"\r\n\r\n")[0]


def test_a_storm_of_clients_that_come_and_go(live: Running) -> None:
    """Sixty connections at once: whole, cut, garbage and silent ones. The server is as before afterwards."""
    chance = random.Random(7)
    head = b"POST /tts HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: %d\r\n\r\n" % len(BODY)
    whole = head + BODY
    kinds = [whole, whole[: chance.randrange(10, len(whole))], chance.randbytes(300), b"", head]
    statuses: list[int] = []

    def visit(index: int) -> None:
        data, half_close = kinds[index % len(kinds)], index % 2 == 0
        awaited = b"HTTP/1.1 " if data is whole and not half_close else b""
        said = exchange(live, data, half_close=half_close, awaited=awaited)
        statuses.append(int(said[9:12]) if said.startswith(b"HTTP") else 0)

    threads = [threading.Thread(target=visit, args=(index,)) for index in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 200 in statuses
    assert not {status for status in statuses if status >= 500 and status != 503}
    wait_until(lambda: live.metric("voice_tts_in_flight") == 0, 30)
    wait_until(lambda: not live.server.workers._busy)
    assert live.say("ada", "hi").status == 200
    assert not any(record.exc_info for record in live.lines)
