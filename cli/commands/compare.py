"""`timbre compare`: two versions, or a version and a run, next to each other."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from timbre.cli.commands.options import VOICE, output_options, registry_option
from timbre.cli.commands.output import show
from timbre.cli.invocation import Invocation
from timbre.core.atomic import write_text
from timbre.evaluation.listening import pooled, read_listening
from timbre.pipeline.release.compared import find_side
from timbre.pipeline.release.comparison import compare as compare_sides
from timbre.registry.open import open_registry


@click.command()
@click.argument("a", type=VOICE)
@click.argument("b", type=VOICE)
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write a page with the audio of both and a blind listening test.",
)  # fmt: skip
@click.option(
    "--listened", type=click.Path(path_type=Path, dir_okay=False), multiple=True, metavar="FILE",
    help="Result saved by the listening test; repeat to pool listeners.",
)  # fmt: skip
@registry_option
@output_options
@click.pass_obj
def compare(
    invocation: Invocation,
    a: str,
    b: str,
    html: Path | None,
    listened: tuple[Path, ...],
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Compare A with B: gates and significant differences, recipe, recordings, texts, samples.

    Each is VOICE (in production), VOICE@VERSION, VOICE@ALIAS, VOICE@run (its last run), VOICE@RUN-ID, or VOICE@here
    (what stage 4 measured last in this repository). Changes are B minus A.
    """
    workspace, address = invocation.anywhere(registry)
    store = open_registry(address)
    with tempfile.TemporaryDirectory() as temporary:
        kept = [Path(temporary) / name for name in ("a", "b")]
        sides = [find_side(item, store, workspace, folder) for item, folder in zip((a, b), kept, strict=True)]
        found = compare_sides(sides[0], sides[1])
        heard = pooled([read_listening(path, sides[0].name, sides[1].name) for path in listened]) if listened else None
        if html is not None:
            from timbre.pipeline.release.comparison_page import comparison_page

            html.parent.mkdir(parents=True, exist_ok=True)
            write_text(html, comparison_page(found))
    plain = found.plain() | ({"listening": heard.plain()} if heard else {})
    if not as_json:
        table = found.facts_table()
        click.echo(invocation.redactor.clean((table.markdown() if as_markdown else table.text()) + "\n"))
    notes = [*found.notes(), *([heard.sentence()] if heard else []), *([f"page: {html}"] if html else [])]
    show(invocation, plain, found.gates_table(), as_json, as_markdown, note="\n".join(notes))
