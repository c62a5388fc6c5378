"""`timbre doctor`: checks this machine and repository."""

from __future__ import annotations

import dataclasses
import json

import click

from timbre.cli.check import FAILURE, NOTE, OK, WARNING, Check
from timbre.cli.commands.options import output_options
from timbre.cli.doctor import examine
from timbre.cli.invocation import Invocation
from timbre.core.errors import EXIT_CONFIGURATION, EXIT_OK, ConfigurationError
from timbre.core.table import Table

_MARKS = {OK: "✔", NOTE: "·", WARNING: "!", FAILURE: "✘"}


@click.command()
@output_options
@click.pass_obj
def doctor(invocation: Invocation, as_json: bool, as_markdown: bool) -> None:
    """Check this machine and repository: what is installed, what is missing, what each stage would use.

    Exit code 40 if a requirement of every run is missing (✘). Marks: ! some features are unavailable, · an optional
    part is missing.
    """
    checks = [*_examine(invocation), _webhook(invocation)]
    code = EXIT_CONFIGURATION if any(check.state == FAILURE for check in checks) else EXIT_OK
    if as_json:
        plain = {"exit_code": code, "findings": [dataclasses.asdict(check) for check in checks]}
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    elif as_markdown:
        rows = [(item.part, item.name, item.state, item.value, item.remedy) for item in checks]
        click.echo(Table(("part", "what", "state", "found", "next action"), rows).markdown())
    else:
        part = ""
        for item in checks:
            if item.part != part:
                click.echo(f"\n{item.part}" if part else item.part)
            part = item.part
            click.echo(f"{_MARKS[item.state]} {item.name:<20} {item.value}")
            if item.remedy:
                click.echo(f"  -> {item.remedy}")
    raise click.exceptions.Exit(code)


def _examine(invocation: Invocation) -> list[Check]:
    """Outside a repository, check only what speaking needs, unless a repository is given."""
    try:
        workspace = invocation.workspace()
    except ConfigurationError:
        if invocation.root is not None:
            raise
        return examine(None, invocation.address(invocation.environment.get("TIMBRE_REGISTRY", "")))
    return examine(workspace, invocation.registry())


def _webhook(invocation: Invocation) -> Check:
    """The URL is a secret and is never shown."""
    value = "set" if invocation.webhook() else "not set (TIMBRE_WEBHOOK)"
    return Check("webhook", OK, value, part="CI and tests")
