"""The command `timbre`: a lazy group, so that `timbre --help` imports no command and no library behind one.

To add a command: write cli/commands/<name>.py with a click command or group, and add a line to COMMANDS.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from timbre.core.errors import EXIT_BUG, EXIT_CONFIGURATION, EXIT_INFRASTRUCTURE, EXIT_OK, TimbreError


@dataclass(frozen=True)
class LazyCommand:
    """A command that is imported when it is called."""

    target: str
    """Of a click command, as `module:attribute`."""
    help: str
    """Its line in `timbre --help`."""


COMMANDS: Mapping[str, LazyCommand] = {
    "run": LazyCommand("timbre.cli.commands.run:run", "Run the pipeline for one, several or all voices."),
    "validate": LazyCommand("timbre.cli.commands.validate:validate", "Check, slice and clean recordings."),
    "extract": LazyCommand("timbre.cli.commands.extract:extract", "Extract phonemes, codes and speaker embeddings."),
    "finetune": LazyCommand("timbre.cli.commands.finetune:finetune", "Train LoRA adapters."),
    "init": LazyCommand("timbre.cli.commands.init:init", "Start a repository for voices."),
    "voices": LazyCommand("timbre.cli.commands.voices:voices", "List voices, or create one."),
    "studio": LazyCommand("timbre.cli.commands.studio:studio", "Record a voice in the browser."),
    "status": LazyCommand("timbre.cli.commands.status:status", "Show which stages are up to date."),
    "doctor": LazyCommand("timbre.cli.commands.doctor:doctor", "Check this machine and repository."),
    "parity": LazyCommand("timbre.cli.commands.parity:parity", "Compare networks with reference vectors."),
    "base": LazyCommand("timbre.cli.commands.base:base", "Manage base models: list, pull, check, export."),
    "export-upstream": LazyCommand(
        "timbre.cli.commands.export_upstream:export_upstream", "Export a voice as upstream .ckpt and .pth files."
    ),
    "pretrain": LazyCommand("timbre.cli.commands.pretrain:pretrain", "Train the nano base, stage by stage."),
    "evaluate": LazyCommand("timbre.cli.commands.evaluate:evaluate", "Synthesise, measure and gate voices."),
    "gates": LazyCommand("timbre.cli.commands.gates:gates", "Show or calibrate the gates of a base."),
    "publish": LazyCommand("timbre.cli.commands.publish:publish", "Run every stage and publish to the registry."),
    "read": LazyCommand("timbre.cli.commands.read:read", "Read a book aloud into an audiobook."),
    "say": LazyCommand("timbre.cli.commands.say:say", "Speak text with a published voice."),
    "serve": LazyCommand("timbre.cli.commands.serve:serve", "Serve voices over HTTP."),
    "history": LazyCommand("timbre.cli.commands.history:history", "Show the event log of a voice."),
    "promote": LazyCommand("timbre.cli.commands.moves:promote", "Move an alias to a version; approve a review."),
    "rollback": LazyCommand("timbre.cli.commands.moves:rollback", "Move an alias back to an earlier version."),
    "retire": LazyCommand("timbre.cli.commands.moves:retire", "Take a deleted voice out of service."),
    "revoke": LazyCommand("timbre.cli.commands.moves:revoke", "Remove a voice permanently (consent withdrawn)."),
    "audit": LazyCommand("timbre.cli.commands.audit:audit", "Show where published versions came from."),
    "verify": LazyCommand("timbre.cli.commands.audit:verify", "Verify every stored byte of the registry."),
    "registry": LazyCommand("timbre.cli.commands.registry:registry", "Mirror, back up, restore, measure registries."),
    "keys": LazyCommand("timbre.cli.commands.keys:keys", "Manage the keys that voices are encrypted with."),
    "sign": LazyCommand("timbre.cli.commands.sign:sign", "Sign the registry's records with a key."),
    "prune": LazyCommand("timbre.cli.commands.prune:prune", "Move unneeded versions and caches to the trash."),
    "policy": LazyCommand("timbre.cli.commands.policy:policy", "Check, store and show the operator's policy."),
    "report": LazyCommand("timbre.cli.commands.report:report", "List reports, or serve them locally."),
    "compare": LazyCommand("timbre.cli.commands.compare:compare", "Compare two versions, or a version and a run."),
    "changed": LazyCommand("timbre.cli.commands.changed:changed", "List the voices that a push changes."),
    "ci": LazyCommand("timbre.cli.commands.ci:ci", "Write the CI jobs of a push (GitLab, Jenkins)."),
    "dashboard": LazyCommand("timbre.cli.commands.dashboard:dashboard", "Build the static site of all voices."),
    # name: LazyCommand("timbre.cli.commands.<module>:<attribute>", "one line of help")
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
        # Nothing of what is imported is garbage.
        gc.disable()
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        finally:
            gc.enable()
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            from timbre.core.near_names import nearest

            guess = nearest(name, COMMANDS)
            ctx.fail(f"no command `{name}`" + (f"; did you mean `{guess}`?" if guess else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if COMMANDS:
            with formatter.section("Commands"):
                formatter.write_dl([(name, row.help) for name, row in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--root",
    envvar="TIMBRE_ROOT",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Voice repository; default: the nearest parent folder that contains voices/.",
)
@click.option(
    "--log-format",
    envvar="TIMBRE_LOG_FORMAT",
    type=click.Choice(["plain", "json"]),
    default="plain",
    help="Format of log lines on standard error.",
)
@click.option(
    "--log-level",
    envvar="TIMBRE_LOG_LEVEL",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    help="Minimum log level.",
)
@click.version_option(package_name="timbre", prog_name="timbre")
@click.pass_context
def timbre(context: click.Context, root: Path | None, log_format: str, log_level: str) -> None:
    """Timbre: a commit becomes a voice."""
    from timbre.cli.invocation import Invocation

    context.obj = Invocation(root, log_format, log_level)


def main() -> None:
    """Entry point of the command `timbre`: a user-facing error prints its message and sets the exit code."""
    raise SystemExit(call(sys.argv[1:]))


def call(arguments: Sequence[str]) -> int:
    """Run one command line and return the exit code; failures are reported on standard error."""
    try:
        # Without standalone mode click returns the code of its own Exit instead of ending the process.
        code = timbre.main(list(arguments), prog_name="timbre", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return EXIT_CONFIGURATION
    except click.Abort:
        click.echo("timbre: interrupted", err=True)
        return EXIT_INFRASTRUCTURE
    except Exception as error:
        return _failed(error)
    return code if isinstance(code, int) else EXIT_OK


def _failed(error: Exception) -> int:
    import traceback

    from timbre.core.redaction import Redactor
    from timbre.pipeline.engine.failures import explain

    redactor, explained = Redactor.of(os.environ), explain(error)
    if isinstance(explained, TimbreError):
        click.echo(f"timbre: {redactor.clean(str(explained))}", err=True)
        return explained.exit_code
    click.echo(redactor.clean("".join(traceback.format_exception(error))), err=True, nl=False)
    click.echo("timbre: this is a bug in timbre; please report the lines above", err=True)
    return EXIT_BUG


if __name__ == "__main__":
    main()
