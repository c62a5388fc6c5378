"""`timbre voices`: lists voices and creates voice folders."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from timbre.cli.commands.options import VOICE, output_options, registry_option
from timbre.cli.commands.output import show
from timbre.cli.invocation import Invocation
from timbre.core.errors import ConfigurationError
from timbre.core.languages import LANGUAGES
from timbre.core.printable import printable
from timbre.pipeline.release.registry_view import voice_summaries, voices_table
from timbre.pipeline.voice.importing import import_voice
from timbre.pipeline.voice.listing import list_voices, voices_markdown
from timbre.pipeline.voice.new_voice import new_voice, rights_step
from timbre.pipeline.voice.voice_yaml import DEFAULT_BASE
from timbre.registry.open import open_registry

_BASE = click.option("--base", default=DEFAULT_BASE, show_default=True, help="Base to train on: a folder of bases/.")


@click.group(invoke_without_command=True)
@output_options
@click.pass_context
def voices(context: click.Context, as_json: bool, as_markdown: bool) -> None:
    """List the voices of this repository."""
    if context.invoked_subcommand is not None:
        return
    found = list_voices(context.find_object(Invocation).workspace())  # type: ignore[union-attr]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(voice) for voice in found], ensure_ascii=False, indent=2))
    elif as_markdown:
        click.echo(voices_markdown(found))
    else:
        for voice in found:
            state = "ok" if not voice.problems else f"{voice.problems} problems, see: timbre validate {voice.name}"
            click.echo(
                f"{voice.name:<20} {voice.language:<4} {voice.base:<16} {voice.consent:<14} "
                f"{voice.clips:>4} clips  {state}"
            )


@voices.command("list")
@click.option("--alias", default="production", show_default=True, help="Alias whose version is shown.")
@registry_option
@output_options
@click.pass_obj
def list_command(invocation: Invocation, alias: str, registry: str, as_json: bool, as_markdown: bool) -> None:
    """List the voices of this repository and of the registry, and the version that each one serves."""
    address = invocation.registry(registry)
    try:
        workspace = invocation.workspace()
    except ConfigurationError:
        # Outside a repository there is still the registry.
        workspace = None
    found = voice_summaries(workspace, open_registry(address), alias)
    plain = [dataclasses.asdict(voice) for voice in found]
    show(invocation, plain, voices_table(found), as_json, as_markdown, empty="no voices here, none published")


@voices.command()
@click.argument("name", type=VOICE)
@click.option("--language", type=click.Choice(tuple(LANGUAGES)), required=True, help="Language of the recordings.")
@_BASE
@click.option("--lfs", is_flag=True, help="Store recordings in Git LFS (writes .gitattributes).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def new(invocation: Invocation, name: str, language: str, base: str, lfs: bool, as_json: bool) -> None:
    """Create the voice folder NAME with settings and a script to read, and print the next steps."""
    made = new_voice(invocation.workspace().root, name, language, base, lfs)
    if as_json:
        click.echo(json.dumps({"voice": name, "files": made.files, "steps": made.steps}, ensure_ascii=False, indent=2))
        return
    click.echo("written: " + ", ".join(made.files))
    click.echo("next:")
    for number, step in enumerate(made.steps, 1):
        click.echo(f"  {number}. {step}")


@voices.command("import")
@click.argument("source", type=click.Path(path_type=Path), metavar="DIR|LIST|ZIP")
@click.argument("name", type=VOICE)
@click.option("--language", type=click.Choice(tuple(LANGUAGES)), default=None, help="Language of rows that name none.")
@_BASE
@click.pass_obj
def import_command(invocation: Invocation, source: Path, name: str, language: str | None, base: str) -> None:
    """Create the voice folder NAME from recordings and the transcript list of another program.

    Reads GPT-SoVITS and LJSpeech lists and spreadsheet exports (comma- or tab-separated; UTF-8 or UTF-16), beside their
    recordings or in a ZIP archive. Copies the recordings and leaves the source unchanged.
    """
    made = import_voice(invocation.workspace().root, source, name, language or "", base)
    click.echo(f"voices/{name}: {made.rows} recordings")
    for note in made.notes:
        click.echo(f"  {printable(note)}")
    click.echo("next:")
    click.echo(f"  1. record a statement of consent as voices/{name}/consent.wav, or correct `consent` in voice.yaml")
    click.echo(f"  2. {rights_step(name)}")
    click.echo(f"  3. check it: timbre validate {name}")
