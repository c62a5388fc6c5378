"""One result in three formats: table, JSON, Markdown."""

from __future__ import annotations

import json
from typing import Any

import click

from timbre.cli.invocation import Invocation
from timbre.core.table import Table


def show(
    invocation: Invocation,
    plain: Any,
    table: Table,
    as_json: bool,
    as_markdown: bool,
    *,
    empty: str = "",
    note: str = "",
) -> None:
    """Print plain as JSON, or the table. empty: printed instead of a table without rows; note: last line of the table
    output (JSON has a field for it).
    """
    clean = invocation.redactor.clean
    if as_json:
        click.echo(clean(json.dumps(plain, indent=2, ensure_ascii=False)))
        return
    body = table.markdown() if as_markdown else table.text()
    click.echo(clean(body if table.rows or not empty else empty))
    if note:
        click.echo(clean(f"\n{note}" if as_markdown else note))
