"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from timbre.core.voice_names import voice_of_path
from timbre.inference.device import Device, choose_device
from timbre.inference.profiles import AUTO, PROFILES
from timbre.pipeline.engine.workspace import Workspace

Command = Callable[..., Any]


REASON = "Reason; recorded in the event log."
NO_VOICES = "voices/ contains no voice folder; create one: timbre voices new NAME --language en"


class VoiceName(click.ParamType):  # type: ignore[type-arg]
    """A voice by its name, with or without @REF, or by the path of its folder, which a shell completes."""

    name = "voice"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name alone; what is no voice's path stays as it is, and is judged where names are."""
        return voice_of_path(str(value))


VOICE = VoiceName()


def voice_names(given: Sequence[str], workspace: Workspace) -> list[str]:
    """The voices of a call: those given, else all of the repository. Raises UsageError when there are none."""
    names = list(given) or workspace.voice_names()
    if not names:
        raise click.UsageError(NO_VOICES)
    return names


def chosen_device(asked: str) -> Device:
    """The device of --device; says on standard error where it is another one than asked for."""
    found = choose_device(asked)
    if found.fallback:
        click.echo(f"timbre: using the CPU: {found.fallback}", err=True)
    return found


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


def bases_dir_option(command: Command) -> Command:
    """--bases-dir DIR, as parameter `bases_dir`."""
    kind = click.Path(path_type=Path, file_okay=False)
    text = "Folder that contains the bases. [default: bases/ of the repository, else those of the package]"
    return click.option("--bases-dir", type=kind, default=None, help=text)(command)


def speed_option(command: Command) -> Command:
    """--speed, as parameter `speed`."""
    text = "Speaking rate, 0.25 to 4; above 1 is faster."
    return click.option("--speed", type=float, default=1.0, show_default=True, help=text)(command)


def engine_options(command: Command) -> Command:
    """--profile and --device, as parameters of these names."""
    text = "auto, cpu, cuda or cuda:N; uses the CPU where CUDA is missing."
    command = click.option("--device", default="auto", show_default=True, help=text)(command)
    text = "ONNX graph profile; auto: int8 on a processor if the voice's int8 gates passed."
    kind = click.Choice(PROFILES)
    return click.option("--profile", type=kind, default=AUTO, show_default=True, help=text)(command)


def reason_option(command: Command) -> Command:
    """--reason TEXT, as parameter `reason`."""
    return click.option("--reason", metavar="TEXT", default="", help=REASON)(command)
