"""`timbre report`: lists the reports of this repository, newest first, and serves them at a local address."""

from __future__ import annotations

import click

from timbre.cli.commands.options import VOICE, output_options
from timbre.cli.commands.output import show
from timbre.cli.invocation import Invocation
from timbre.core.table import Table


@click.command()
@click.argument("voice", required=False, default="", type=VOICE)
@click.option("--serve", is_flag=True, help="Serve the reports until interrupted, and print the address.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on with --serve.")
@click.option("--port", type=int, default=0, metavar="PORT", help="Port with --serve; default: a free one.")
@output_options
@click.pass_obj
def report(
    invocation: Invocation, voice: str, serve: bool, host: str, port: int, as_json: bool, as_markdown: bool
) -> None:
    """List the reports of VOICE (default: all voices), newest first.

    --serve shows the list and the reports as web pages, for a machine that you reach through a tunnel. Reports contain
    recordings: everyone who can reach the address can hear them.
    """
    from timbre.cli.reports.listing import reports_below

    workspace = invocation.workspace()
    folder = workspace.private / "reports"
    if serve:
        from timbre.cli.reports.site import serve_reports

        serve_reports(folder, host, port, click.echo)
        return
    found = reports_below(folder, voice)
    states = {True: "passed", False: "red", None: "-"}
    rows = [
        (f"{item.written:%Y-%m-%d %H:%M}", item.voice, item.stage, states[item.passed], str(folder / item.path))
        for item in found
    ]
    plain = {"folder": str(folder), "reports": [item.plain() for item in found]}
    empty = f"no report yet; run: timbre run{f' {voice}' if voice else ''}"
    show(invocation, plain, Table(("UTC", "voice", "stage", "gates", "file"), rows), as_json, as_markdown, empty=empty)
