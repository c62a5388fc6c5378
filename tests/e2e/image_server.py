"""A server in a container with one voice: its registry, and requests to it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.deploy.processes import free_port
from tests.e2e import containers
from tests.e2e.containers import Container
from tests.serving.shelf_of_voices import Shelf

KEY = "a-key-that-is-long-enough"


def open_to_others(folder: Path) -> None:
    """Let the container's user reach a folder of this test."""
    for each in (folder, *folder.parents):
        if each == Path(each.anchor) or each.name == "tmp":
            break
        each.chmod(each.stat().st_mode | 0o055)


def readable_shelf(root: Path, export: Path) -> Shelf:
    """A registry with the voice ada, which others may read, as a mounted bucket or volume would be."""
    open_to_others(root)
    made = Shelf(root / "registry", export)
    made.publish("ada", 0)
    return made


@contextmanager
def speaking(image: str, shelf: Shelf, *options: str) -> Iterator[Container]:
    """A healthy container of a server's image over the registry; options of `podman run`."""
    started = containers.start(
        image, "--volume", f"{shelf.folder}:/registry:ro", "--env", f"TIMBRE_SERVE_API_KEYS={KEY}",
        "--memory", "1g", *options, port=free_port(),
    )  # fmt: skip
    try:
        started.wait_healthy()
        yield started
    finally:
        started.remove()


def post(server: Container, path: str, body: dict[str, Any], key: str = KEY) -> tuple[int, bytes]:
    """Status and body of an answer; key: "" for none."""
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}", json.dumps(body).encode(), headers, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
