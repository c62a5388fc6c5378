"""The command `timbre`: a lazy group, so that `timbre --help` imports no command and no library behind one.

To add a command: write pipeline/commands/<name>.py with a click command or group, and add a line to COMMANDS.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

import click

from core.errors import EXIT_BUG, TimbreError


@dataclass(frozen=True)
class LazyCommand:
    """target: "module:attribute" of a click command; help: its line in `timbre --help`."""

    target: str
    help: str


COMMANDS: Mapping[str, LazyCommand] = {
    # name: LazyCommand("pipeline.commands.<module>:<attribute>", "one line of help")
}


class LazyGroup(click.Group):
    """A click group that imports a command when it is called, and shows help lines from the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        row = COMMANDS.get(name)
        if row is None:
            return None
        module, _, attribute = row.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            from core.settings import nearest

            guess = nearest(name, COMMANDS)
            ctx.fail(f"no command `{name}`" + (f"; did you mean `{guess}`?" if guess else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if COMMANDS:
            with formatter.section("Commands"):
                formatter.write_dl([(name, row.help) for name, row in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="timbre", prog_name="timbre")
def timbre() -> None:
    """Timbre: a commit becomes a voice."""


def main() -> None:
    """Entry point of the command `timbre`: an error that is meant for a person ends in a message and its exit code."""
    try:
        timbre.main(standalone_mode=False)
    except TimbreError as error:
        click.echo(f"timbre: {error}", err=True)
        raise SystemExit(error.exit_code) from None
    except click.exceptions.Exit as done:
        raise SystemExit(done.exit_code) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except click.Abort:
        click.echo("timbre: interrupted", err=True)
        raise SystemExit(30) from None
    except Exception:
        import traceback

        traceback.print_exc()
        click.echo("timbre: this is a bug in timbre; please report the lines above", err=True)
        raise SystemExit(EXIT_BUG) from None


if __name__ == "__main__":
    main()
