"""A studio on a free port of this machine, over a repository of its own, and a client that behaves as its page."""

from __future__ import annotations

import io
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import uvicorn
from numpy.typing import NDArray

from timbre.audio.reader import read
from timbre.core.recipe import Recipe
from timbre.pipeline.engine.engine import Engine
from timbre.pipeline.engine.workspace import Workspace
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.studio.app import Shared, create_studio
from timbre.studio.desk import Desk
from timbre.studio.door import Codes, Door
from timbre.studio.judging import Networks
from timbre.studio.publishing import Publishing

ROOT = Path(__file__).resolve().parents[2]
PLAIN = Recipe()
PERSON = Actor("Ada Example <ada@example.org>")
# Networks are loaded once a process, not once a test.
_NETWORKS = Networks()
VOICE = {
    "name": "ada", "language": "en", "base": "nano", "speaker": "Ada Example",
    "purpose": "announcements of Example School",
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """status, body and headers of a response."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Code of a refusal."""
        return str(self.json["error"]["code"])


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def send(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """One request, redirects not followed."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=500) as answer:
            return Answer(answer.status, answer.read(), dict(answer.headers.items()))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read(), dict(error.headers.items()))


@dataclass
class Studio:
    """A running studio."""

    root: Path
    desk: Desk
    codes: Codes
    port: int
    server: uvicorn.Server
    cookie: str = ""
    told: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def enter(self) -> None:
        """As the printed link does."""
        answer = send("GET", f"{self.url}/enter?code={self.codes.code}")
        assert answer.status == 303
        self.cookie = answer.headers["set-cookie"].partition(";")[0]

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A call of the page; body: bytes as they are, anything else as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        own = {"cookie": self.cookie, "origin": self.url, "x-timbre-studio": "1"}
        return send(method, self.url + path, data, {**own, **headers})

    @property
    def voice(self) -> Path:
        return self.root / "voices" / "ada"


def start(
    root: Path,
    environment: Mapping[str, str] | None = None,
    recipe: Recipe = PLAIN,
    registry: RegistryAddress | None = None,
    person: Actor = PERSON,
) -> Studio:
    """root: of a repository; voices/ is made, bases/ is that of this project. environment: None for the own one.
    registry: None for a folder of the repository. person: whom the registry knows.
    """
    (root / "voices").mkdir(exist_ok=True)
    if not (root / "bases").exists():
        (root / "bases").symlink_to(ROOT / "bases")
    told: list[str] = []
    codes = Codes(told.append)
    config = uvicorn.Config(lambda *_: None, port=0, log_config=None, lifespan="off", ws="none")
    listening = config.bind_socket()
    port = listening.getsockname()[1]
    workspace = Workspace(root)
    address = registry or RegistryAddress(str(root / "registry"), {})
    publishing = Publishing(
        lambda: Engine(workspace, recipe, address), address, environment or {**os.environ}, lambda: person
    )
    app, desk = create_studio(workspace, recipe, publishing, Shared(_NETWORKS, workspace) if recipe is PLAIN else None)
    door = Door(app, codes, frozenset({"127.0.0.1", "localhost"}), port, secure=False)
    server = uvicorn.Server(uvicorn.Config(door, log_config=None, lifespan="off", ws="none"))
    threading.Thread(target=server.run, args=([listening],), daemon=True).start()
    limit = time.monotonic() + 30
    while not server.started and time.monotonic() < limit:
        time.sleep(0.02)
    return Studio(root, desk, codes, port, server, told=told)


def wav(samples: NDArray[np.float32], rate_hz: int = 24_000) -> bytes:
    """As the page sends it: 16 bit, one channel."""
    out = io.BytesIO()
    sf.write(out, samples, rate_hz, format="WAV", subtype="PCM_16")
    return out.getvalue()


def recording(voice: str, number: int) -> bytes:
    """A clip of a voice of this project as WAV."""
    wave = read(next((ROOT / "voices" / voice / "wavs").glob(f"{number:04d}.*")))
    return wav(wave.samples, wave.rate_hz)


def sentence(voice: str, number: int) -> str:
    """What that clip says."""
    return (ROOT / "voices" / voice / "metadata.csv").read_text("utf-8").splitlines()[number].split("|")[1]
