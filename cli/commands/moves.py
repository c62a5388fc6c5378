"""`timbre promote`, `rollback`, `retire` and `revoke`: manual changes to a published voice."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from timbre.cli.commands.options import REASON, VOICE, output_options, registry_option
from timbre.cli.invocation import Invocation
from timbre.core.errors import CheckFailedError, InputError, TimbreError
from timbre.pipeline.ci.git import Repository
from timbre.pipeline.ci.git_notes import GIT_NOTES, note_heads
from timbre.pipeline.ci.origin import origin_of
from timbre.pipeline.release.known_source import version_here
from timbre.pipeline.release.listening_review import listening_review
from timbre.pipeline.release.promotion import promote_by_hand, promotion_alert
from timbre.pipeline.release.revocation import remove_local_work
from timbre.pipeline.voice.folder import open_voice
from timbre.registry.actor import Actor
from timbre.registry.open import open_registry
from timbre.registry.registry import Registry
from timbre.registry.revocation import revoke as revoke_stored


@dataclass(frozen=True)
class Move:
    """Arguments that these commands share."""

    invocation: Invocation
    """Environment and repository of the call."""
    voice: str
    """Argument VOICE; need not have a folder here."""
    reason: str
    """--reason, for the event log; empty when none was given."""
    who: str
    """--by or TIMBRE_BY; empty for the person that CI or Git names."""
    registry: str
    """--registry; empty for the default of `Invocation.registry`."""
    as_json: bool
    """--json; wins over --markdown."""
    as_markdown: bool
    """--markdown."""
    alias: str = "production"
    """--alias; `revoke` has no such option, it concerns all."""

    def open(self) -> Registry:
        """The registry."""
        return open_registry(self.invocation.registry(self.registry))

    def actor(self, author: str = "") -> Actor:
        """--by, as claimed unless Jenkins says that this user answered; else the signed identity of the CI job; else
        author, or the person named by CI or Git.
        """
        if self.who:
            return self.invocation.named_actor(self.registry, self.who)
        return self.invocation.actor(self.registry, author)

    def show(self, words: str, plain: dict[str, Any], *more: str) -> None:
        """Print the result in the requested format, and note the heads of the histories (of `more` voices too) in Git
        where the operator asks for it.
        """
        line = f"**{self.voice}**: {words}" if self.as_markdown else f"{self.voice}: {words}"
        text = json.dumps({"voice": self.voice, "said": words, **plain}, indent=2, ensure_ascii=False)
        click.echo(self.invocation.redactor.clean(text if self.as_json else line))

        if remote := self.invocation.environment.get(GIT_NOTES, ""):
            note_heads(Repository(self.invocation.folder()), self.open(), {self.voice, *more}, remote)


def _moving(*, alias: bool, reason: str | None = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Argument VOICE and the options of a Move, which the command gets as its first argument. reason: its default; None
    makes it required."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        names = [field.name for field in dataclasses.fields(Move) if field.name != "invocation"]

        @functools.wraps(command)
        def called(invocation: Invocation, /, **options: Any) -> None:
            shared = {name: options.pop(name) for name in names if name in options}
            command(Move(invocation, **shared), **options)

        wrapped: Callable[..., None] = click.pass_obj(called)
        wrapped = registry_option(output_options(wrapped))
        by = (
            "Actor, recorded as claimed unless Jenkins confirms the answer to its input step; default: the CI job's "
            "signed identity, else its user or that of Git."
        )
        wrapped = click.option("--by", "who", envvar="TIMBRE_BY", default="", metavar="NAME", help=by)(wrapped)
        why = {"required": True} if reason is None else {"default": reason}
        wrapped = click.option("--reason", metavar="TEXT", help=REASON, **why)(wrapped)
        if alias:
            text = "Alias to move."
            wrapped = click.option("--alias", default="production", show_default=True, help=text)(wrapped)
        return wrapped

    return decorate


@click.command()
@click.argument("voice", type=VOICE)
@click.argument("version", required=False, default="")
@click.option("--approve", is_flag=True, help="Record your approval for `review: required`.")
@click.option(
    "--listening", type=click.Path(path_type=Path, dir_okay=False), multiple=True, metavar="FILE",
    help="Result of a blind test against the version that speaks now; recorded with --approve. Several are pooled.",
)  # fmt: skip
@_moving(alias=True)
def promote(move: Move, version: str, approve: bool, listening: tuple[Path, ...]) -> None:
    """Move the alias of VOICE to VERSION (12 digits, see `timbre history`).

    Only versions that passed their gates can be promoted. VERSION defaults to the version of the recordings in
    this checkout.

    Exit code 20 if the version awaits review or failed its gates, or if the listeners of --listening prefer the version
    that speaks now.
    """
    if listening and not approve:
        raise click.UsageError("--listening belongs to an approval: add --approve")

    store, invocation = move.open(), move.invocation
    if not version:
        version = version_here(store, open_voice(invocation.workspace().voice_path(move.voice)))
    reason = move.reason
    if listening:
        heard = listening_review(store, move.voice, version, move.alias, listening)
        reason = f"{reason}; {heard}" if reason else heard
    outcome = promote_by_hand(
        store,
        move.voice,
        version,
        move.actor(),
        alias=move.alias,
        approve=approve,
        reason=reason,
        repository=_repository(invocation),
    )
    move.show(outcome.words, {"moved": outcome.moved, "alias": _plain(outcome.alias)})
    if outcome.moved:
        _alert(invocation, outcome.alias)
    elif outcome.alias is None or outcome.alias.version != version:
        raise CheckFailedError(f"{move.voice}@{version} was not promoted: {outcome.words}")


@click.command()
@click.argument("voice", type=VOICE)
@click.option(
    "--to", "version", default=None, metavar="VERSION", help="Target version; default: the one before the current one."
)
@_moving(alias=True)
def rollback(move: Move, version: str | None) -> None:
    """Move the alias of VOICE back to an earlier version. It stays there until the recordings change."""
    state = move.open().rollback(move.voice, actor=move.actor(), alias=move.alias, to=version, reason=move.reason)
    move.show(f"{move.alias} points to {state.version} again (before: {state.previous})", {"alias": _plain(state)})
    _alert(move.invocation, state)


@click.command()
@click.argument("voice", type=VOICE)
@_moving(alias=True)
def retire(move: Move) -> None:
    """Take VOICE out of service after its folder was deleted. Reverting that commit restores it."""
    voice, alias, invocation = move.voice, move.alias, move.invocation
    root = invocation.folder()
    if (root / "voices" / voice / "voice.yaml").exists():
        raise InputError(
            f"voices/{voice} still exists, so the next run would publish the voice again",
            f"delete the folder and commit, or withdraw it permanently: timbre revoke {voice}",
        )
    origin = origin_of(invocation.environment, root)
    repository = _repository(invocation)
    found = move.open().retire(
        voice,
        actor=dataclasses.replace(move.actor(origin.author), commit=origin.commit or None),
        alias=alias,
        reason=move.reason or f"voices/{voice} was deleted",
        is_ancestor=repository.is_ancestor if repository else None,
    )
    words = f"{alias} is retired" if found.moved else f"{alias} stays: {found.reason}"
    move.show(words, {"moved": found.moved, "alias": _plain(found.alias)})
    if found.moved:
        _alert(invocation, found.alias)


@click.command()
@click.argument("voice", type=VOICE)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--all-names", is_flag=True, help="Also revoke active voices made from the same recordings.")
@_moving(alias=False, reason=None)
def revoke(move: Move, yes: bool, all_names: bool) -> None:
    """Remove VOICE permanently because consent was withdrawn. This cannot be undone.

    Deletes adapters, samples and cached recordings from the registry and from the local .timbre folder, including those
    of retired voices made from the same recordings. Does not rewrite Git history. --json prints the certificate of
    deletion, also kept in the registry: what was destroyed, and where copies out of reach may remain.
    """
    voice, invocation = move.voice, move.invocation
    if not yes:
        click.confirm(f"Permanently remove all stored data of {voice!r}?", abort=True, err=True)
    found = revoke_stored(move.open(), voice, actor=move.actor(), reason=move.reason, all_names=all_names)
    here = found.names if _in_repository(invocation) else ()
    folders = [folder for name in here for folder in remove_local_work(invocation.workspace(), name)]
    words = (
        f"revoked; removed {found.blobs} stored files, {found.stages} cached stages and {len(folders)} local "
        f"work folders ({found.kept_blobs} files are shared with other voices)"
    )
    move.show(words, {**dataclasses.asdict(found), "folders": folders}, *found.names)
    if not move.as_json:
        for name in found.names:
            if name != voice:
                click.echo(f"{name}: also revoked, since it has the same recordings")
        for name in found.spared:
            click.echo(f"{name}: is active and has the same recordings; revoke it with: timbre revoke {name}")
        for place in found.unreachable:
            click.echo(f"out of reach: {place}")
        click.echo(f"next: delete voices/{voice} and commit; Git history keeps the recordings until you rewrite it")


def _plain(state: Any) -> dict[str, Any] | None:
    return None if state is None else dataclasses.asdict(state)


def _alert(invocation: Invocation, state: Any) -> None:
    webhook = invocation.webhook()
    if webhook is not None and state is not None:
        webhook.send(promotion_alert(state), invocation.logger())


def _repository(invocation: Invocation) -> Any:
    repository = Repository(invocation.folder())
    return repository if repository.head() is not None else None


def _in_repository(invocation: Invocation) -> bool:
    try:
        invocation.workspace()
    except TimbreError:
        return False
    return True
