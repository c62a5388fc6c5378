"""`timbre promote`, `rollback`, `retire`, `revoke`: what a person may do to a published voice."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from timbre.cli.commands.options import output_options, registry_option
from timbre.cli.invocation import Invocation
from timbre.core.errors import CheckFailedError, InputError, TimbreError

if TYPE_CHECKING:
    from timbre.registry.registry import Registry


@dataclass(frozen=True)
class Move:
    """What every command here is told: voice, alias, reason, who, the registry's place, and the form of the answer."""

    invocation: Invocation
    voice: str
    reason: str
    who: str
    registry: str
    as_json: bool
    as_markdown: bool
    alias: str = "production"

    def open(self) -> Registry:
        """The registry."""
        from timbre.registry.open import open_registry

        return open_registry(self.invocation.registry(self.registry))

    @property
    def person(self) -> str:
        """--by, or whoever CI or Git says it is."""
        from timbre.pipeline.ci.actor import acting_person

        return self.who or acting_person(self.invocation.environment, _folder(self.invocation))

    def show(self, words: str, plain: dict[str, Any]) -> None:
        """The answer in the form that was asked for."""
        line = f"**{self.voice}**: {words}" if self.as_markdown else f"{self.voice}: {words}"
        text = json.dumps({"voice": self.voice, "said": words, **plain}, indent=2, ensure_ascii=False)
        click.echo(self.invocation.redactor.clean(text if self.as_json else line))


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
        by = "Who; default: the CI job's person, or Git's user."
        wrapped = click.option("--by", "who", default="", metavar="NAME", help=by)(wrapped)
        why = {"required": True} if reason is None else {"default": reason}
        wrapped = click.option("--reason", metavar="TEXT", help="Why; kept in the history.", **why)(wrapped)
        if alias:
            text = "The name that moves."
            wrapped = click.option("--alias", default="production", show_default=True, help=text)(wrapped)
        return wrapped

    return decorate


@click.command()
@click.argument("voice")
@click.argument("version", required=False, default="")
@click.option("--approve", is_flag=True, help="Give the review that `review: required` asks for, under your name.")
@_moving(alias=True)
def promote(move: Move, version: str, approve: bool) -> None:
    """Let VOICE speak with VERSION (12 digits, see `timbre history`). Only versions that passed their gates can be.

    Without VERSION: the one that was made of the recordings in this checkout.

    Exit code 20 when it waits for a review or failed its gates.
    """
    from timbre.pipeline.release.promotion import promote_by_hand

    store, invocation = move.open(), move.invocation
    if not version:
        from timbre.pipeline.release.known_source import version_here
        from timbre.pipeline.voice.folder import open_voice

        version = version_here(store, open_voice(invocation.workspace().voice_path(move.voice)))
    told = promote_by_hand(
        store,
        move.voice,
        version,
        move.person,
        alias=move.alias,
        approve=approve,
        reason=move.reason,
        repository=_repository(invocation),
    )
    move.show(told.words, {"moved": told.moved, "alias": _plain(told.alias)})
    if told.moved:
        _alert(invocation, told.alias)
    elif told.alias is None or told.alias.version != version:
        raise CheckFailedError(f"{move.voice}@{version} was not promoted: {told.words}")


@click.command()
@click.argument("voice")
@click.option("--to", "version", default=None, metavar="VERSION", help="Default: the version before the current one.")
@_moving(alias=True)
def rollback(move: Move, version: str | None) -> None:
    """Let VOICE speak with an earlier version at once. Pipelines leave it there until its recordings change."""
    from timbre.registry.registry import Actor

    actor = Actor(move.person)
    state = move.open().rollback(move.voice, actor=actor, alias=move.alias, to=version, reason=move.reason)
    move.show(f"{move.alias} points to {state.version} again (before: {state.previous})", {"alias": _plain(state)})
    _alert(move.invocation, state)


@click.command()
@click.argument("voice")
@_moving(alias=True)
def retire(move: Move) -> None:
    """Take VOICE out of service because its folder was deleted; a revert of that commit brings it back."""
    from timbre.pipeline.ci.origin import origin_of
    from timbre.registry.registry import Actor

    voice, alias, invocation = move.voice, move.alias, move.invocation
    root = _folder(invocation)
    if (root / "voices" / voice / "voice.yaml").exists():
        raise InputError(
            f"voices/{voice} is still there, so the next run would publish the voice again",
            f"delete the folder and commit that, or withdraw it for good: timbre revoke {voice}",
        )
    origin = origin_of(invocation.environment, root)
    repository = _repository(invocation)
    found = move.open().retire(
        voice,
        actor=Actor(move.who or origin.author or move.person, origin.commit or None),
        alias=alias,
        reason=move.reason or f"voices/{voice} was deleted",
        is_ancestor=repository.is_ancestor if repository else None,
    )
    words = f"{alias} is retired" if found.moved else f"{alias} stays: {found.reason}"
    move.show(words, {"moved": found.moved, "alias": _plain(found.alias)})
    if found.moved:
        _alert(invocation, found.alias)


@click.command()
@click.argument("voice")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_moving(alias=False, reason=None)
def revoke(move: Move, yes: bool) -> None:
    """Consent for VOICE was withdrawn: its stored files are removed and it never comes back. There is no way back.

    Removes adapters, samples and cached recordings from the registry and from .timbre here. Recordings in Git's history
    are not touched.
    """
    from timbre.pipeline.release.revocation import remove_local_work
    from timbre.registry.registry import Actor
    from timbre.registry.revocation import revoke as revoke_stored

    voice, invocation = move.voice, move.invocation
    if not yes:
        click.confirm(f"Remove everything stored of {voice!r}, for good?", abort=True, err=True)
    removal = revoke_stored(move.open(), voice, actor=Actor(move.person), reason=move.reason)
    folders = remove_local_work(invocation.workspace(), voice) if _in_repository(invocation) else []
    words = (
        f"revoked; removed {removal.blobs} stored files, {removal.stages} cached stages and {len(folders)} folders of "
        f"work here ({removal.kept_blobs} files are shared with other voices)"
    )
    move.show(words, {**dataclasses.asdict(removal), "folders": folders})
    if not move.as_json:
        click.echo(f"next: delete voices/{voice} and commit that; Git's history keeps recordings until it is rewritten")


def _plain(state: Any) -> dict[str, Any] | None:
    return None if state is None else dataclasses.asdict(state)


def _alert(invocation: Invocation, state: Any) -> None:
    from timbre.pipeline.release.promotion import promotion_alert

    webhook = invocation.webhook()
    if webhook is not None and state is not None:
        webhook.send(promotion_alert(state), invocation.logger())


def _repository(invocation: Invocation) -> Any:
    from timbre.pipeline.ci.git import Repository

    repository = Repository(_folder(invocation))
    return repository if repository.head() is not None else None


def _folder(invocation: Invocation) -> Path:
    """The repository, or where we are: who owns only a registry may move its aliases too."""
    return invocation.workspace().root if _in_repository(invocation) else invocation.root or Path.cwd()


def _in_repository(invocation: Invocation) -> bool:
    try:
        invocation.workspace()
    except TimbreError:
        return False
    return True
