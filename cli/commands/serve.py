"""`timbre serve`: the HTTP server."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import logging
import math
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import click

from timbre.cli.commands.options import VOICE
from timbre.cli.invocation import Invocation
from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.inference.profiles import PROFILES
from timbre.pipeline.engine.workspace import EXPORTS
from timbre.registry.open import COPIES, open_registry, with_cache
from timbre.serving.catalogue import Catalogue
from timbre.serving.quick_imports import import_fastapi
from timbre.serving.settings import ServeSettings, load_settings
from timbre.serving.sockets import claim_address


@click.command()
@click.option("--host", default=None, help="Address to listen on; default: 127.0.0.1.")
@click.option("--port", type=int, default=None, help="Port; default: 9880; 0 takes a free one.")
@click.option(
    "--voice", "default_voice", default=None, type=VOICE, metavar="VOICE", help="Voice for requests that name none."
)
@click.option("--profile", type=click.Choice(PROFILES), default=None, help="ONNX graph profile; default: auto.")
@click.option("--device", default=None, help="auto, cpu, cuda or cuda:N; default: auto.")
@click.option("--workers", type=int, default=None, help="Concurrent requests; default: 4.")
@click.option("--threads", type=int, default=None, help="Threads per graph; default: 1.")
@click.option(
    "--poll", "poll_s", type=float, default=None, help="Polling interval of the registry in seconds; default: 1."
)
@click.option("--wyoming", default=None, metavar="HOST:PORT", help="Also speak Wyoming, for Home Assistant.")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), default=None, help="YAML file with settings."
)
@click.option("--registry", default="", metavar="URL", help="Default: $TIMBRE_REGISTRY, then .timbre/registry.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    metavar="DIR",
    help="Cache folder of exported bases; default: .timbre of the repository, else ~/.cache/timbre.",
)
@click.option(
    "--studio",
    "people",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="Also serve the studio for the people of FILE, at a port of its own; needs the extra train.",
)
@click.option("--studio-port", type=int, default=8443, show_default=True, help="Port of --studio; 0 takes a free one.")
@click.option("--settings", "show", is_flag=True, help="Print all settings as JSON (secrets hidden) and exit.")
@click.pass_obj
def serve(
    invocation: Invocation,
    /,
    config: Path | None,
    registry: str,
    cache: Path | None,
    people: Path | None,
    studio_port: int,
    show: bool,
    **options: Any,
) -> None:
    """Serve a registry over HTTP: OpenAI and GPT-SoVITS routes, and a web page at /.

    Settings can also come from the YAML file or the environment; see docs/server.md. New, changed and revoked voices
    take effect without a restart. Needs no torch, except for --studio.
    """
    settings = load_settings(config, invocation.environment, options)
    if show:
        click.echo(json.dumps(_shown(settings), indent=2, ensure_ascii=False))
        return
    with contextlib.ExitStack() as closing:
        if people is not None:
            from timbre.cli.studio_sites import hosted_studio

            serve_studio = closing.enter_context(hosted_studio(invocation, people, studio_port, registry))
            threading.Thread(target=serve_studio, name="studio", daemon=True).start()
        _run(invocation, settings, registry, cache)


def _run(invocation: Invocation, settings: ServeSettings, registry: str, cache: Path | None) -> None:
    # Nothing of what is imported is garbage, and looking for garbage among it takes a twentieth of the start.
    gc.disable()
    try:
        log = invocation.logger().getChild("serve")
        folder = cache or invocation.cache()
        store = with_cache(open_registry(invocation.registry(registry)), folder / COPIES)
        # The registry is read while what answers is imported.
        catalogue = Catalogue(store)
        catalogue.begin()
        from timbre.serving.server import Server

        with (
            contextlib.closing(Server(store, folder / EXPORTS, settings, log, catalogue)) as server,
            _listen(settings) as listening,
        ):
            host, port = listening.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            click.echo(f"timbre: http://{shown}:{port}/ speaks for {store.store.url}", err=True)
            # Graphs are opened while what runs them, and the routes, are imported.
            server.start()
            import timbre.inference.engine  # noqa: F401

            import_fastapi()
            import uvicorn

            from timbre.serving.app import create_app
            from timbre.serving.wire import SeldomFilter, http_config

            logging.getLogger("uvicorn.error").addFilter(SeldomFilter())
            config = http_config(create_app(server), settings, shutdown_s=math.ceil(settings.drain_s), log_config=None)
            gc.freeze()
            gc.enable()
            # Ctrl+C or SIGTERM, after everything was closed in order: uvicorn raises the signal once more at its end.
            with contextlib.suppress(KeyboardInterrupt):
                signal.signal(signal.SIGTERM, signal.default_int_handler)
                uvicorn.Server(config).run(sockets=[listening])
    finally:
        gc.enable()


def _listen(settings: ServeSettings) -> socket.socket:
    """Open the listening socket. Raises ConfigurationError for an address of another machine, InfrastructureError if
    the port is in use.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigurationError(f"host {settings.host!r}: {error}", "use an address of this machine") from error
    listening = socket.socket(family, kind, protocol)
    claim_address(listening)
    try:
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise InfrastructureError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}",
            "stop the program that uses the port, or choose another with --port",
        ) from error
    return listening


def _shown(settings: ServeSettings) -> dict[str, Any]:
    values = dataclasses.asdict(settings)
    for name in ("api_keys", "jwt_secret"):
        values[name] = "[hidden]" if values[name] else values[name]
    return values
