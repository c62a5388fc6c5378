"""The S3 store when requests fail: moto answers, and a proxy of ours in front of it spoils chosen answers."""

from __future__ import annotations

import itertools
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.registry.s3_servers import CREDENTIALS, S3Server, moto
from timbre.core.errors import ConfigurationError, InfrastructureError, TimbreError
from timbre.registry.address import RegistryAddress
from timbre.registry.store_at import open_store
from timbre.registry.stores.s3 import S3Store

_NUMBERS = itertools.count()
_ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>by request of a test</Message></Error>"


@dataclass
class Fault:
    """The next `times` requests of a method are answered with a status and code, or not at all (status 0).

    after: the request is carried out first, and only its answer is lost.
    """

    method: str
    status: int
    code: str = ""
    times: int = 1
    after: bool = False


@dataclass
class Proxy:
    target: str
    faults: list[Fault] = field(default_factory=list)
    url: str = ""
    host: str = ""


@contextmanager
def spoiling(target: str) -> Iterator[Proxy]:
    """A proxy in front of an S3 server; faults of the returned object are applied in order."""
    proxy = Proxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = next((item for item in proxy.faults if item.times and item.method == self.command), None)
            if fault is None or fault.after:
                status, headers, data = self._ask(body)
            if fault is not None:
                fault.times -= 1
                if not fault.status:
                    self.close_connection = True
                    self.connection.close()
                    return
                status, headers, data = fault.status, {}, _ERROR.format(fault.code).encode()
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                    self.send_header(name, value)
            length = headers.get("Content-Length", str(len(data))) if self.command == "HEAD" else str(len(data))
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

        def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            kept = {name: value for name, value in self.headers.items() if name.lower() not in ("expect", "connection")}
            kept.setdefault("Content-Type", "application/octet-stream")  # urllib would call it a form, and moto drop it
            request = urllib.request.Request(proxy.target + self.path, body or None, kept, method=self.command)
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                with opener.open(request, timeout=30) as answer:
                    return answer.status, dict(answer.headers), answer.read()
            except urllib.error.HTTPError as error:
                return error.code, dict(error.headers), error.read()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture
def proxy(moto_server: S3Server) -> Iterator[Proxy]:
    with spoiling(moto_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: Proxy, moto_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3Store:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    address = moto_server.address(f"registry-{next(_NUMBERS)}").partition("?")[0]
    store = open_store(
        RegistryAddress(f"{address}?endpoint={proxy.url}&attempts=3&addressing=path&checksum=when_required", os.environ)
    )
    assert isinstance(store, S3Store)
    assert store.put_if_absent("alias", b"1")
    return store


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (503, "SlowDown"), (0, "")])
def test_failures_that_pass_are_tried_again(store: S3Store, proxy: Proxy, status: int, code: str) -> None:
    for method in ("PUT", "GET", "HEAD", "DELETE"):
        proxy.faults.append(Fault(method, status, code))
    assert store.put_if_absent("a", b"1")
    assert store.get("a").data == b"1"
    assert store.delete("a")
    assert not any(fault.times for fault in proxy.faults)


@pytest.mark.parametrize("status", [0, 500])
def test_a_write_whose_answer_was_lost_counts_as_written(store: S3Store, proxy: Proxy, status: int) -> None:
    tag = store.get("alias").tag  # type: ignore[union-attr]
    proxy.faults.append(Fault("PUT", status, "InternalError", after=True))
    assert store.put_if_absent("a", b"1") is True
    proxy.faults.append(Fault("PUT", status, "InternalError", after=True))
    new = store.replace_if("alias", b"2", tag)
    assert new
    assert new == store.get("alias").tag
    assert store.put_if_absent("a", b"2") is False
    assert store.replace_if("alias", b"3", tag) is None


@pytest.mark.parametrize(
    ("status", "code", "kind", "remedy"),
    [
        (500, "InternalError", InfrastructureError, "later"),
        (503, "SlowDown", InfrastructureError, "later"),
        (0, "", InfrastructureError, "network"),
        (403, "AccessDenied", ConfigurationError, "s3:GetObject"),
        (403, "ExpiredToken", ConfigurationError, "credentials"),
        (400, "IllegalLocationConstraintException", ConfigurationError, "region"),
        (400, "AuthorizationHeaderMalformed", ConfigurationError, "region"),
        (501, "NotImplemented", ConfigurationError, "conditional writes"),
        (507, "InsufficientStorage", InfrastructureError, "free space"),
    ],
)
def test_failures_that_stay_are_explained(
    store: S3Store, proxy: Proxy, status: int, code: str, kind: type[TimbreError], remedy: str
) -> None:
    proxy.faults += [Fault(method, status, code, times=1000) for method in ("GET", "PUT", "DELETE", "HEAD")]
    for call in (lambda: store.get("alias"), lambda: store.put_if_absent("b", b"1"), lambda: list(store.list(""))):
        with pytest.raises(kind, match="registry s3://") as caught:
            call()
        assert remedy in caught.value.remedy
        assert "secretkey" not in str(caught.value)
    proxy.faults.clear()
    assert list(store.list("")) == ["alias"]
    assert store.get("alias").data == b"1"
