"""Where the studio listens: on this machine, in its network, or for several people, alone and beside `timbre serve`.

people.yaml -> Sessions, work trees -> Door -> HTTPS by itself, or plain HTTP to one trusted proxy
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from timbre.cli.invocation import Invocation
from timbre.cli.recipes import chosen_recipe
from timbre.cli.stage_engine import stage_engine
from timbre.core.errors import InfrastructureError
from timbre.pipeline.release.promotion import promotion_alert
from timbre.serving.sockets import claim_address
from timbre.studio.certificate import make_certificate, network_address

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from timbre.pipeline.engine.workspace import Workspace
    from timbre.registry.aliases import Alias
    from timbre.studio.people import HostedSettings, Person
    from timbre.studio.publishing import Publishing

_SHUTDOWN_S = 5
_HERE, _EVERYWHERE = "127.0.0.1", "0.0.0.0"


@contextlib.contextmanager
def hosted_studio(invocation: Invocation, people: Path, port: int, registry: str = "") -> Iterator[Callable[[], None]]:
    """A studio for several people, each with a key and in a work tree of their own; gives what serves it until Ctrl+C.

    people: the operator's file. port: 0 for a free one. registry: its address, "" for the usual one. Raises
    ConfigurationError with every problem of the file, InfrastructureError if the port is in use.
    """
    from timbre.studio.app import create_hosted
    from timbre.studio.door import Door
    from timbre.studio.people import Sessions, read_hosted
    from timbre.studio.publishing import Publishing
    from timbre.studio.work_trees import WorkTrees

    settings = read_hosted(people)
    invocation.logger()
    workspace, recipe = invocation.workspace(), chosen_recipe(invocation, None)
    trees = WorkTrees(workspace, invocation.environment)

    def make(person: Person, own: Workspace) -> Publishing:
        return Publishing(
            lambda: dataclasses.replace(stage_engine(invocation, recipe, registry), workspace=own),
            invocation.registry(registry), invocation.environment, lambda: person.actor,
            lambda state: tell_webhook(invocation, state), person.roles, person,
        )  # fmt: skip

    sessions = Sessions(settings.people)
    app, warm = create_hosted(workspace, recipe, sessions, trees, make)
    with contextlib.ExitStack() as closing:
        host, address = _where(settings)
        listening = closing.enter_context(listen_at(address, port))
        number = listening.getsockname()[1]
        files: dict[str, str] = {} if settings.proxies else _certificate(settings, host, closing)
        count = len(settings.people)
        who = "1 person" if count == 1 else f"{count} people"
        shown = host if settings.proxies else f"{host}:{number}"
        click.echo(f"timbre: studio at https://{shown}/ for {who}, by key", err=True)
        if settings.proxies:
            named = ", ".join(str(network) for network in settings.proxies)
            click.echo(f"timbre: plain HTTP at {address}:{number}, for the proxy {named} only", err=True)
        threading.Thread(target=warm_up, args=(warm,), name="warm", daemon=True).start()
        door = Door(app, sessions, frozenset({host}), number, secure=True, lasting=True, proxies=settings.proxies)
        yield lambda: serve_door(door, listening, **files)


def _where(settings: HostedSettings) -> tuple[str, str]:
    """The name that browsers use, and the address to listen on: no further than the proxy, where there is one."""
    if settings.proxies:
        near = all(network.is_loopback for network in settings.proxies)
        return settings.host, _HERE if near else _EVERYWHERE
    if settings.host:
        return settings.host, _EVERYWHERE
    address = network_address()
    return address, address


def _certificate(settings: HostedSettings, host: str, closing: contextlib.ExitStack) -> dict[str, str]:
    """The files of the operator, or a certificate for this run."""
    certificate, key = settings.certificate, settings.private_key
    if certificate is None or key is None:
        folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="timbre-tls-"))
        made = make_certificate(Path(folder), host)
        certificate, key = made.certificate, made.key
        click.echo(f"timbre: browsers warn once; the certificate's SHA-256 is {made.fingerprint}", err=True)
    return {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}


def serve_door(door: ASGIApp, listening: socket.socket, **files: Any) -> None:
    """Serves until Ctrl+C, or until the process ends where this is not its main thread."""
    import uvicorn

    # The door judges by who connects, not by what a header says of it.
    config = uvicorn.Config(
        door, access_log=False, proxy_headers=False, server_header=False, ws="none", log_config=None, lifespan="off",
        timeout_graceful_shutdown=_SHUTDOWN_S, **files,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listening])


def tell_webhook(invocation: Invocation, state: Alias) -> None:
    """Alerts the operator's webhook, if one is set, that production moved."""
    webhook = invocation.webhook()
    if webhook is not None:
        webhook.send(promotion_alert(state), invocation.logger())


def warm_up(warm: Callable[[], None]) -> None:
    """Loads the networks before the first take."""
    with contextlib.suppress(Exception):
        # A machine without the networks says so at the first take, to the person who can act.
        warm()


def listen_at(host: str, port: int) -> socket.socket:
    """Raises InfrastructureError if the port is in use."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    claim_address(listening)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise InfrastructureError(
            f"cannot listen on {host}:{port}: {error.strerror}", "choose another port, or omit --port"
        ) from error
    return listening
