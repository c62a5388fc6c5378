"""A stub of a Hub, ours: the calls by which the real client creates, commits with a parent, tags, lists and downloads.

Not the Hub. It keeps commits in memory, compares parents under a lock, takes LFS uploads, and can fail on demand.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LFS_ABOVE = 1000


@dataclass
class Fault:
    """The next `times` requests whose "METHOD path" matches are answered with this status, or not at all (0).

    after: the request is carried out first, and only its answer is lost.
    """

    pattern: str
    status: int
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False


@dataclass
class Repository:
    """commits: id -> files; titles: of the commits; tags: name -> commit."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"0" * 40: {}})
    titles: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return list(self.commits)[-1]


@dataclass
class HubServer:
    """What the stub holds. token: the only one it takes."""

    token: str = "hf_right"
    repositories: dict[str, Repository] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    url: str = ""


def oid_of(data: bytes) -> str:
    if len(data) > LFS_ABOVE:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def log_message(self, *_: object) -> None: ...

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        what = f"{self.command} {path}"
        with self.hub.lock:
            self.hub.requests.append(what)
            fault = next((item for item in self.hub.faults if item.times and re.search(item.pattern, what)), None)
            if fault is not None:
                fault.times -= 1
            if fault is not None and not fault.after:
                self._fail(fault)
                return
            status, headers, answer = self._answer(path, body)
        if fault is not None:
            self._fail(fault)
        else:
            self._send(status, headers, answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _fail(self, fault: Fault) -> None:
        if fault.status:
            self._send(fault.status, fault.headers, b'{"error": "by request of a test"}')
            return
        self.close_connection = True
        self.connection.close()

    def _send(self, status: int, headers: dict[str, str], answer: bytes) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(key, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def _answer(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        hub = self.hub
        if found := re.fullmatch(r"/storage/(\w+)", path):
            hub.uploads[found[1]] = body
            return 200, {}, b""
        if self.headers.get("Authorization") != f"Bearer {hub.token}":
            return 401, {}, b'{"error": "Invalid username or password."}'
        if path == "/api/repos/create":
            said = json.loads(body)
            name = f"{said['organization']}/{said['name']}" if said.get("organization") else said["name"]
            if name in hub.repositories:
                taken = {"error": "You already created this model repo", "url": f"{hub.url}/{name}"}
                return 409, {}, json.dumps(taken).encode()
            hub.repositories[name] = Repository(said.get("private", said.get("visibility") == "private"))
            return _json({"url": f"{hub.url}/{name}", "name": name, "id": "1"})
        if path == "/api/validate-yaml":
            return _json({"errors": [], "warnings": []})
        if found := re.fullmatch(r"/(?:api/models/)?([\w.-]+/[\w.-]+?)(?:\.git)?(/.*)?", path):
            repository = hub.repositories.get(found[1])
            if repository is None:
                return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
            return self._of_repository(found[1], repository, found[2] or "", body)
        return 404, {}, b"{}"

    def _of_repository(self, name: str, repo: Repository, rest: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        hub = self.hub
        if rest == "" or rest.startswith("/revision/"):
            commit = _commit(repo, rest.removeprefix("/revision/") or "main")
            if commit is None:
                return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
            return _json({"id": name, "sha": commit, "private": repo.private, "tags": [], "siblings": []})
        if rest.startswith("/preupload/"):
            now = repo.commits[repo.head]
            rows = []
            for item in json.loads(body)["files"]:
                mode = "lfs" if item["size"] > LFS_ABOVE else "regular"
                there = {"oid": oid_of(now[item["path"]])} if item["path"] in now else {}
                rows.append({"path": item["path"], "uploadMode": mode, "shouldIgnore": False, **there})
            return _json({"files": rows})
        if rest == "/info/lfs/objects/batch":
            rows = [
                {**item, "actions": {"upload": {"href": f"{hub.url}/storage/{item['oid']}"}}}
                for item in json.loads(body)["objects"]
            ]
            return _json({"transfer": "basic", "objects": rows})
        if rest.startswith("/commit/"):
            return self._commit(name, repo, [json.loads(line) for line in body.splitlines() if line])
        if found := re.fullmatch(r"/tag/(.+)", rest):
            said = json.loads(body)
            if said["tag"] in repo.tags:
                return 409, {}, b"{}"
            repo.tags[said["tag"]] = found[1]
            return _json({})
        if found := re.fullmatch(r"/paths-info/([^/]+)", rest):
            files = repo.commits[_commit(repo, found[1]) or repo.head]
            asked = json.loads(body)["paths"] if body.startswith(b"{") else re.findall(r"paths=([^&]+)", body.decode())
            return _json([_row(path, files[path]) for path in map(unquote, asked) if path in files])
        if found := re.fullmatch(r"/tree/([^/]+)(?:/(.+))?", rest):
            start = f"{found[2]}/" if found[2] else ""
            files = {key: data for key, data in repo.commits[repo.head].items() if key.startswith(start)}
            if start and not files:
                return 404, {"X-Error-Code": "EntryNotFound"}, b"{}"
            folders = {key.rsplit("/", 1)[0] for key in files if "/" in key}
            rows = [{"type": "directory", "path": folder, "oid": "0" * 40, "size": 0} for folder in folders]
            return _json(rows + [_row(path, data) for path, data in files.items()])
        if found := re.fullmatch(r"/resolve/([^/]+)/(.+)", rest):
            commit = _commit(repo, found[1])
            data = repo.commits[commit].get(found[2]) if commit else None
            if data is None:
                return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit or ""}, b""
            tags = {"ETag": f'"{oid_of(data)}"', "X-Repo-Commit": str(commit), "Content-Length": str(len(data))}
            if len(data) > LFS_ABOVE:
                tags |= {"X-Linked-Etag": f'"{oid_of(data)}"', "X-Linked-Size": str(len(data))}
            return 200, {**tags, "Content-Type": "application/octet-stream"}, data
        return 404, {}, b"{}"

    def _commit(self, name: str, repo: Repository, lines: list[dict[str, Any]]) -> tuple[int, dict[str, str], bytes]:
        header = lines[0]["value"]
        if header.get("parentCommit", repo.head) != repo.head:
            return 412, {}, b'{"error": "A commit has happened since. Please refresh and try again."}'
        files = dict(repo.commits[repo.head])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.uploads[value["oid"]]
            else:
                del files[value["path"]]
        new = hashlib.sha1(f"{len(repo.commits)}{header['summary']}".encode()).hexdigest()
        repo.commits[new] = files
        repo.titles.append(header["summary"])
        return _json({"commitUrl": f"{self.hub.url}/{name}/commit/{new}", "commitOid": new, "success": True})


def _json(value: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps(value).encode()


def _row(path: str, data: bytes) -> dict[str, Any]:
    git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    row: dict[str, Any] = {"type": "file", "path": path, "oid": git, "size": len(data)}
    if len(data) > LFS_ABOVE:
        row["lfs"] = {"oid": oid_of(data), "size": len(data), "pointerSize": 100}
    return row


def _commit(repo: Repository, revision: str) -> str | None:
    if revision == "main":
        return repo.head
    return revision if revision in repo.commits else repo.tags.get(revision)


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """Runs the stub on a free loopback port."""
    hub = HubServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
