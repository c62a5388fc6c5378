"""`timbre studio`: the page on which a person records a voice."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from timbre.cli.invocation import Invocation
from timbre.cli.recipes import chosen_recipe
from timbre.cli.stage_engine import stage_engine
from timbre.cli.studio_sites import hosted_studio, listen_at, serve_door, tell_webhook, warm_up
from timbre.studio.certificate import make_certificate, network_address

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from timbre.studio.door import Codes

_HERE = ("127.0.0.1", "localhost")


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
    help="Serve several people in the network, by HTTPS or behind a proxy; FILE lists their keys and roles.",
)
@click.pass_obj
def studio(invocation: Invocation, port: int, phone: bool, no_browser: bool, people: Path | None) -> None:
    """Record a voice in the browser: script line by line, each take checked at once.

    Listens on this machine only, unless --phone is given. The printed address holds a code that works once; each
    browser needs the newest one. Recordings are written into voices/NAME/ and leave this machine only when you push.
    """
    if people is not None:
        with contextlib.suppress(KeyboardInterrupt), hosted_studio(invocation, people, port) as serve:
            serve()
        return
    from timbre.studio.app import create_studio
    from timbre.studio.door import Codes, Door
    from timbre.studio.publishing import Publishing

    invocation.logger()
    workspace, recipe = invocation.workspace(), chosen_recipe(invocation, None)
    publishing = Publishing(
        lambda: stage_engine(invocation, recipe), invocation.registry(), invocation.environment, invocation.actor,
        lambda state: tell_webhook(invocation, state),
    )  # fmt: skip
    app, desk = create_studio(workspace, recipe, publishing)
    addresses: list[Callable[[str], str]] = []

    def tell(code: str) -> None:
        for address in addresses:
            click.echo(f"timbre: for another browser: {address(code)}", err=True)

    codes = Codes(tell)
    with listen_at(_HERE[0], port) as listening, contextlib.ExitStack() as closing:
        number = listening.getsockname()[1]
        addresses.append(lambda code: f"http://{_HERE[0]}:{number}/enter?code={code}")
        click.echo(f"timbre: open {addresses[0](codes.code)}", err=True)
        if phone:
            addresses.append(closing.enter_context(_for_phone(app, codes)))
        click.echo("timbre: Ctrl+C ends the studio; takes are saved at once", err=True)
        threading.Thread(target=warm_up, args=(desk.warm,), name="warm", daemon=True).start()
        if not no_browser:
            threading.Timer(0.5, webbrowser.open, (addresses[0](codes.code),)).start()
        with contextlib.suppress(KeyboardInterrupt):
            serve_door(Door(app, codes, frozenset(_HERE), number, secure=False), listening)


@contextlib.contextmanager
def _for_phone(app: ASGIApp, codes: Codes) -> Iterator[Callable[[str], str]]:
    """Listens in the network by HTTPS as long as the context lasts; gives the address for a code."""
    from timbre.studio.door import Door

    host = network_address()
    with tempfile.TemporaryDirectory(prefix="timbre-tls-") as folder, listen_at(host, 0) as listening:
        number = listening.getsockname()[1]
        made = make_certificate(Path(folder), host)
        door = Door(app, codes, frozenset({host}), number, secure=True)
        files = {"ssl_certfile": str(made.certificate), "ssl_keyfile": str(made.key)}
        threading.Thread(target=serve_door, args=(door, listening), kwargs=files, name="phone", daemon=True).start()
        click.echo(f"timbre: on a phone in this network: https://{host}:{number}/  code {codes.code}", err=True)
        click.echo(f"timbre: the phone warns once; the certificate's SHA-256 is {made.fingerprint}", err=True)
        yield lambda code: f"https://{host}:{number}/enter?code={code}"
