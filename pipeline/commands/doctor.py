"""`timbre doctor`: is everything there that a run needs?"""

from __future__ import annotations

import dataclasses
import json

import click

from core.errors import EXIT_CONFIGURATION, EXIT_OK
from pipeline.commands.options import output_options
from pipeline.doctor import FAILURE, OK, WARNING, Finding, examine
from pipeline.invocation import Invocation

_MARKS = {OK: "✔", WARNING: "!", FAILURE: "✘"}


@click.command()
@output_options
@click.pass_obj
def doctor(invocation: Invocation, as_json: bool, as_markdown: bool) -> None:
    """Examine this machine and this repository. Exit code 40 when something is missing that every run needs."""
    findings = [*examine(invocation.workspace()), _webhook(invocation)]
    code = EXIT_CONFIGURATION if any(finding.state == FAILURE for finding in findings) else EXIT_OK
    if as_json:
        plain = {"exit_code": code, "findings": [dataclasses.asdict(finding) for finding in findings]}
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    elif as_markdown:
        rows = [f"| {item.name} | {item.state} | {item.value} | {item.remedy} |" for item in findings]
        click.echo("\n".join(["| what | state | found | next action |", "|---|---|---|---|", *rows]))
    else:
        for item in findings:
            click.echo(f"{_MARKS[item.state]} {item.name:<20} {item.value}")
            if item.remedy:
                click.echo(f"  -> {item.remedy}")
    raise click.exceptions.Exit(code)


def _webhook(invocation: Invocation) -> Finding:
    """The address itself is a secret and is not shown."""
    value = "set" if invocation.webhook() else "not set (TIMBRE_WEBHOOK)"
    return Finding("webhook", OK, value)
