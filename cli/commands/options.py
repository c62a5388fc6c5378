"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]


def output_options(command: Command) -> Command:
    """--json and --markdown, as parameters `as_json` and `as_markdown`."""
    command = click.option("--markdown", "as_markdown", is_flag=True, help="Print a Markdown report.")(command)
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def recipe_option(command: Command) -> Command:
    """--recipe FILE, as parameter `recipe_file`."""
    kind = click.Path(path_type=Path, dir_okay=False)
    text = "Recipe; default: recipes/default.yaml of the repository."
    return click.option("--recipe", "recipe_file", type=kind, metavar="FILE", help=text)(command)


def registry_option(command: Command) -> Command:
    """--registry URL, as parameter `registry`."""
    text = "Path or URL of the registry; default: $TIMBRE_REGISTRY, then .timbre/registry."
    return click.option("--registry", default="", metavar="URL", help=text)(command)
