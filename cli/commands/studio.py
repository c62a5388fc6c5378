"""`timbre studio`: the page on which a person records a voice."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from timbre.cli.invocation import Invocation
from timbre.core.errors import InfrastructureError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from timbre.pipeline.engine.workspace import Workspace
    from timbre.registry.aliases import Alias
    from timbre.studio.door import Codes
    from timbre.studio.people import Person
    from timbre.studio.publishing import Publishing

_HERE = ("127.0.0.1", "localhost")
_SHUTDOWN_S = 5


@click.command()
@click.option("--port", type=int, default=0, help="Port; default: a free one.")
@click.option("--phone", is_flag=True, help="Also listen in the local network, by HTTPS, for a phone.")
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@click.option(
    "--hosted",
    "people",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="Serve several people in the network, by HTTPS; FILE lists their keys and roles.",
)
@click.pass_obj
def studio(invocation: Invocation, port: int, phone: bool, no_browser: bool, people: Path | None) -> None:
    """Record a voice in the browser: script line by line, each take judged at once.

    Listens on this machine only, unless --phone is given. The printed address holds a code that works once; each
    browser needs the newest one. Recordings are written into voices/NAME/ and leave this machine only when you push.
    """
    if people is not None:
        _host(invocation, people, port)
        return
    from timbre.studio.app import create_studio
    from timbre.studio.door import Codes, Door
    from timbre.studio.publishing import Publishing

    invocation.logger()
    workspace, recipe = invocation.workspace(), invocation.recipe(None)
    publishing = Publishing(
        lambda: invocation.engine(recipe), invocation.registry(), invocation.environment, invocation.actor,
        lambda state: _tell_webhook(invocation, state),
    )  # fmt: skip
    app, desk = create_studio(workspace, recipe, publishing)
    addresses: list[Callable[[str], str]] = []

    def tell(code: str) -> None:
        for address in addresses:
            click.echo(f"timbre: for another browser: {address(code)}", err=True)

    codes = Codes(tell)
    with _listen(_HERE[0], port) as listening, contextlib.ExitStack() as closing:
        number = listening.getsockname()[1]
        addresses.append(lambda code: f"http://{_HERE[0]}:{number}/enter?code={code}")
        click.echo(f"timbre: open {addresses[0](codes.code)}", err=True)
        if phone:
            addresses.append(closing.enter_context(_for_phone(app, codes)))
        click.echo("timbre: Ctrl+C ends the studio; takes are saved at once", err=True)
        threading.Thread(target=_warm, args=(desk.warm,), name="warm", daemon=True).start()
        if not no_browser:
            threading.Timer(0.5, webbrowser.open, (addresses[0](codes.code),)).start()
        with contextlib.suppress(KeyboardInterrupt):
            _serve(Door(app, codes, frozenset(_HERE), number, secure=False), listening)


def _host(invocation: Invocation, people: Path, port: int) -> None:
    """Several people, each with a key and in a work tree of their own, until Ctrl+C."""
    from timbre.studio.app import create_hosted
    from timbre.studio.certificate import make_certificate, network_address
    from timbre.studio.door import Door
    from timbre.studio.people import Sessions, read_hosted
    from timbre.studio.work_trees import WorkTrees

    settings = read_hosted(people)
    invocation.logger()
    workspace, recipe = invocation.workspace(), invocation.recipe(None)
    trees = WorkTrees(workspace, invocation.environment)

    def make(person: Person, own: Workspace) -> Publishing:
        from timbre.studio.publishing import Publishing

        return Publishing(
            lambda: dataclasses.replace(invocation.engine(recipe), workspace=own), invocation.registry(),
            invocation.environment, lambda: person.actor, lambda state: _tell_webhook(invocation, state),
            person.roles, person,
        )  # fmt: skip

    sessions = Sessions(settings.people)
    app, warm = create_hosted(workspace, recipe, sessions, trees, make)
    address = network_address() if not settings.host else "0.0.0.0"
    with tempfile.TemporaryDirectory(prefix="timbre-tls-") as folder, _listen(address, port) as listening:
        number, host = listening.getsockname()[1], settings.host or address
        certificate, key = settings.certificate, settings.private_key
        if certificate is None or key is None:
            made = make_certificate(Path(folder), host)
            certificate, key = made.certificate, made.key
            click.echo(f"timbre: browsers warn once; the certificate's SHA-256 is {made.fingerprint}", err=True)
        count = len(settings.people)
        who = "1 person" if count == 1 else f"{count} people"
        click.echo(f"timbre: https://{host}:{number}/ for {who}, by key", err=True)
        threading.Thread(target=_warm, args=(warm,), name="warm", daemon=True).start()
        door = Door(app, sessions, frozenset({host}), number, secure=True, lasting=True)
        with contextlib.suppress(KeyboardInterrupt):
            _serve(door, listening, ssl_certfile=str(certificate), ssl_keyfile=str(key))


@contextlib.contextmanager
def _for_phone(app: ASGIApp, codes: Codes) -> Iterator[Callable[[str], str]]:
    """Listens in the network by HTTPS as long as the context lasts; gives the address for a code."""
    from timbre.studio.certificate import make_certificate, network_address
    from timbre.studio.door import Door

    host = network_address()
    with tempfile.TemporaryDirectory(prefix="timbre-tls-") as folder, _listen(host, 0) as listening:
        number = listening.getsockname()[1]
        made = make_certificate(Path(folder), host)
        door = Door(app, codes, frozenset({host}), number, secure=True)
        files = {"ssl_certfile": str(made.certificate), "ssl_keyfile": str(made.key)}
        threading.Thread(target=_serve, args=(door, listening), kwargs=files, name="phone", daemon=True).start()
        click.echo(f"timbre: on a phone in this network: https://{host}:{number}/  code {codes.code}", err=True)
        click.echo(f"timbre: the phone warns once; the certificate's SHA-256 is {made.fingerprint}", err=True)
        yield lambda code: f"https://{host}:{number}/enter?code={code}"


def _serve(door: ASGIApp, listening: socket.socket, **files: Any) -> None:
    import uvicorn

    config = uvicorn.Config(
        door, access_log=False, server_header=False, ws="none", log_config=None, lifespan="off",
        timeout_graceful_shutdown=_SHUTDOWN_S, **files,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listening])


def _tell_webhook(invocation: Invocation, state: Alias) -> None:
    from timbre.pipeline.release.promotion import promotion_alert

    webhook = invocation.webhook()
    if webhook is not None:
        webhook.send(promotion_alert(state), invocation.logger())


def _warm(warm: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):
        # A machine without the networks says so at the first take, to the person who can act.
        warm()


def _listen(host: str, port: int) -> socket.socket:
    """Raises InfrastructureError if the port is in use."""
    from timbre.serving.sockets import claim_address

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
