"""`timbre serve`: the HTTP server. Here and not among pipeline's commands, because no room imports this one."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from timbre.core.errors import ConfigurationError, InfrastructureError

if TYPE_CHECKING:
    from timbre.serving.settings import ServeSettings

_SHUTDOWN_S = 10


class _Workspace(Protocol):
    @property
    def root(self) -> Path: ...


class Invocation(Protocol):
    """What the command line hands to every command."""

    @property
    def environment(self) -> Mapping[str, str]: ...

    def workspace(self) -> _Workspace:
        """Raises ConfigurationError outside a voice repository."""

    def registry(self, given: str = "") -> str:
        """Address of the registry."""

    def logger(self) -> logging.Logger:
        """The process's logger."""


@click.command()
@click.option("--host", default=None, help="Address to listen on; default: 127.0.0.1.")
@click.option("--port", type=int, default=None, help="Port; default: 9880; 0 takes a free one.")
@click.option("--voice", "default_voice", default=None, metavar="VOICE", help="Voice of requests that name none.")
@click.option("--profile", type=click.Choice(["fp32", "int8"]), default=None, help="Graphs to use; default: fp32.")
@click.option("--workers", type=int, default=None, help="Requests spoken at once; default: 4.")
@click.option("--threads", type=int, default=None, help="Threads of each graph; default: 1.")
@click.option("--poll", "poll_s", type=float, default=None, help="Seconds between looks at the registry; default: 1.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), default=None, help="YAML file of settings.")
@click.option("--registry", default="", metavar="URL", help="Default: $TIMBRE_REGISTRY, then .timbre/registry.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    metavar="DIR",
    help="Where exported bases are kept; default: .timbre of the repository, else ~/.cache/timbre.",
)
@click.option("--settings", "show", is_flag=True, help="Print all settings as JSON, secrets hidden, and end.")
@click.pass_obj
def serve(
    invocation: Invocation, /, config: Path | None, registry: str, cache: Path | None, show: bool, **options: Any
) -> None:
    """Serve the voices of a registry over HTTP: OpenAI's and GPT-SoVITS's routes, and a page at /.

    Every setting may also stand in the YAML file or in the environment; docs/server.md lists them. New, changed and
    revoked voices are noticed while it runs. Needs no torch.
    """
    from timbre.serving.settings import load_settings

    settings = load_settings(config, invocation.environment, options)
    if show:
        click.echo(json.dumps(_shown(settings), indent=2, ensure_ascii=False))
        return
    _run(invocation, settings, registry, cache)


def _run(invocation: Invocation, settings: ServeSettings, registry: str, cache: Path | None) -> None:
    import uvicorn

    from timbre.registry.open import open_registry
    from timbre.serving.app import create_app
    from timbre.serving.server import Server

    log = invocation.logger().getChild("serve")
    store = open_registry(invocation.registry(registry))
    server = Server(store, (cache or _cache(invocation)) / "exports", settings, log)
    with _listen(settings) as listening:
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"timbre: http://{shown}:{port}/ speaks for {store.store.url}", err=True)
        config = uvicorn.Config(
            create_app(server), log_config=None, access_log=False, server_header=False, http="h11",
            timeout_keep_alive=15, timeout_graceful_shutdown=_SHUTDOWN_S, h11_max_incomplete_event_size=32 * 1024,
        )  # fmt: skip
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl+C, after everything was closed in order
            uvicorn.Server(config).run(sockets=[listening])


def _listen(settings: ServeSettings) -> socket.socket:
    """The listening socket. Raises ConfigurationError for an address that is not this machine's, InfrastructureError
    when the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigurationError(f"host {settings.host!r}: {error}", "name an address of this machine") from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise InfrastructureError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}",
            "stop the program that has the port, or choose another with --port",
        ) from error
    return listening


def _cache(invocation: Invocation) -> Path:
    try:
        return invocation.workspace().root / ".timbre"
    except ConfigurationError:
        home = invocation.environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return Path(home) / "timbre"


def _shown(settings: ServeSettings) -> dict[str, Any]:
    values = dataclasses.asdict(settings)
    for name in ("api_keys", "jwt_secret"):
        values[name] = "[hidden]" if values[name] else values[name]
    return values
