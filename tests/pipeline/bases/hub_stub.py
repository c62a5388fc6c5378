"""A small server that answers the calls with which the real Hub client looks up and downloads a model's files.

Calls (client 1.x and 2.x): GET /api/models/{id}[/revision/{rev}], HEAD and GET /{id}/resolve/{rev}/{path}. It can cut
an answer in the middle, answer with any status, and count the bytes it sent.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class HubStub:
    """revisions: commit id -> path -> content; the last one is main. lfs: whether digests are published.

    storage: address of another server that files are redirected to, as the Hub does with large ones.
    """

    repo: str
    revisions: dict[str, dict[str, bytes]]
    lfs: bool = True
    cut_at: int | None = None
    status: int | None = None
    storage: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    sent_bytes: int = 0
    url: str = ""

    @property
    def main(self) -> str:
        return list(self.revisions)[-1]


@contextmanager
def serve(stub: HubStub) -> Iterator[HubStub]:
    """Runs the stub on a free local port; stub.url is its address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            stub.requests.append((self.command, path, self.headers.get("Range", "")))
            stub.tokens.append(self.headers.get("Authorization", ""))
            if stub.status is not None:
                return self._send(stub.status, b"{}", {"Content-Type": "application/json"})
            if found := re.fullmatch(rf"/api/models/{stub.repo}(?:/revision/([^/]+))?", path):
                return self._info(found[1] or "main")
            if found := re.fullmatch(rf"/{stub.repo}/resolve/([^/]+)/(.+)", path):
                return self._file(found[1], found[2], with_body)
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

        def _info(self, revision: str) -> None:
            sha = stub.main if revision == "main" else revision
            if sha not in stub.revisions:
                return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            siblings = []
            for name, content in stub.revisions[sha].items():
                row: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": "0" * 40}
                if stub.lfs:
                    row["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 1}
                siblings.append(row)
            body = json.dumps({"id": stub.repo, "sha": sha, "siblings": siblings, "tags": [], "downloads": 0}).encode()
            return self._send(200, body, {"Content-Type": "application/json"})

        def _file(self, revision: str, name: str, with_body: bool) -> None:
            sha = stub.main if revision == "main" else revision
            if sha not in stub.revisions:
                return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            content = stub.revisions[sha].get(name)
            if content is None:
                return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            etag = hashlib.sha256(content).hexdigest()
            headers = {
                "ETag": f'"{etag}"',
                "X-Repo-Commit": sha,
                "Accept-Ranges": "bytes",
                "X-Linked-Etag": f'"{etag}"',
                "X-Linked-Size": str(len(content)),
            }
            if stub.storage:
                return self._send(302, b"", headers | {"Location": stub.storage + self.path})
            start = 0
            if found := re.fullmatch(r"bytes=(\d+)-.*", self.headers.get("Range", "")):
                start = int(found[1])
                if start >= len(content):
                    return self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            body = content[start:]
            cut = stub.cut_at if with_body and stub.cut_at is not None and len(body) > stub.cut_at else None
            self.send_response(206 if start else 200)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                # Counted first: who has read it all may ask at once.
                stub.sent_bytes += len(body[:cut])
                self.wfile.write(body[:cut])
            if cut is not None:
                stub.status = 403
                self.wfile.flush()
                self.connection.close()
            return None

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
