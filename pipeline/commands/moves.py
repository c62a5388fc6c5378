"""`timbre promote`, `rollback`, `retire`, `revoke`: what a person may do to a published voice."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from core.errors import CheckFailedError, InputError, TimbreError
from pipeline.commands.options import registry_option
from pipeline.invocation import Invocation

_ALIAS = click.option("--alias", default="production", show_default=True, help="The name that moves.")
_REASON = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history.")
_BY = click.option("--by", "who", default="", metavar="NAME", help="Who; default: the CI job's person, or Git's user.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_MARKDOWN = click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")


@click.command()
@click.argument("voice")
@click.argument("version")
@click.option("--approve", is_flag=True, help="Give the review that `review: required` asks for, under your name.")
@_ALIAS
@_REASON
@_BY
@registry_option
@_JSON
@_MARKDOWN
@click.pass_obj
def promote(
    invocation: Invocation,
    voice: str,
    version: str,
    approve: bool,
    alias: str,
    reason: str,
    who: str,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Let VOICE speak with VERSION (12 digits, see `timbre history`). Only versions that passed their gates can be.

    Exit code 20 when it waits for a review or failed its gates.
    """
    from pipeline.promotion import promote_by_hand
    from registry.open import open_registry

    told = promote_by_hand(
        open_registry(invocation.registry(registry)),
        voice,
        version,
        who or _person(invocation),
        alias=alias,
        approve=approve,
        reason=reason,
        repository=_repository(invocation),
    )
    plain = {"voice": voice, "moved": told.moved, "said": told.words, "alias": _plain(told.alias)}
    _show(invocation, voice, told.words, plain, as_json, as_markdown)
    if told.moved:
        _alert(invocation, told.alias)
    elif told.alias is None or told.alias.version != version:
        raise CheckFailedError(f"{voice}@{version} was not promoted: {told.words}")


@click.command()
@click.argument("voice")
@click.option("--to", "version", default=None, metavar="VERSION", help="Default: the version before the current one.")
@_ALIAS
@_REASON
@_BY
@registry_option
@_JSON
@_MARKDOWN
@click.pass_obj
def rollback(
    invocation: Invocation,
    voice: str,
    version: str | None,
    alias: str,
    reason: str,
    who: str,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Let VOICE speak with an earlier version at once. Pipelines leave it there until its recordings change."""
    from registry.open import open_registry
    from registry.registry import Actor

    state = open_registry(invocation.registry(registry)).rollback(
        voice, actor=Actor(who or _person(invocation)), alias=alias, to=version, reason=reason
    )
    words = f"{alias} points to {state.version} again (before: {state.previous})"
    _show(invocation, voice, words, {"voice": voice, "said": words, "alias": _plain(state)}, as_json, as_markdown)
    _alert(invocation, state)


@click.command()
@click.argument("voice")
@_ALIAS
@_REASON
@_BY
@registry_option
@_JSON
@_MARKDOWN
@click.pass_obj
def retire(
    invocation: Invocation,
    voice: str,
    alias: str,
    reason: str,
    who: str,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Take VOICE out of service because its folder was deleted; a revert of that commit brings it back."""
    from pipeline.origin import origin_of
    from registry.open import open_registry
    from registry.registry import Actor

    root = _folder(invocation)
    if (root / "voices" / voice / "voice.yaml").exists():
        raise InputError(
            f"voices/{voice} is still there, so the next run would publish the voice again",
            f"delete the folder and commit that, or withdraw it for good: timbre revoke {voice}",
        )
    origin = origin_of(invocation.environment, root)
    repository = _repository(invocation)
    found = open_registry(invocation.registry(registry)).retire(
        voice,
        actor=Actor(who or origin.author or _person(invocation), origin.commit or None),
        alias=alias,
        reason=reason or f"voices/{voice} was deleted",
        is_ancestor=repository.is_ancestor if repository else None,
    )
    words = f"{alias} is retired" if found.moved else f"{alias} stays: {found.reason}"
    plain = {"voice": voice, "moved": found.moved, "said": words, "alias": _plain(found.alias)}
    _show(invocation, voice, words, plain, as_json, as_markdown)
    if found.moved:
        _alert(invocation, found.alias)


@click.command()
@click.argument("voice")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept for good.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_BY
@registry_option
@_JSON
@_MARKDOWN
@click.pass_obj
def revoke(
    invocation: Invocation,
    voice: str,
    reason: str,
    yes: bool,
    who: str,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Consent for VOICE was withdrawn: its stored files are removed and it never comes back. There is no way back.

    Removes adapters, samples and cached recordings from the registry and from .timbre here. Recordings in Git's history
    are not touched.
    """
    from pipeline.revocation import remove_local_work
    from registry.open import open_registry
    from registry.registry import Actor
    from registry.revocation import revoke as revoke_stored

    if not yes:
        click.confirm(f"Remove everything stored of {voice!r}, for good?", abort=True, err=True)
    store = open_registry(invocation.registry(registry))
    removal = revoke_stored(store, voice, actor=Actor(who or _person(invocation)), reason=reason)
    folders = remove_local_work(invocation.workspace(), voice) if _in_repository(invocation) else []
    words = (
        f"revoked; removed {removal.blobs} stored files, {removal.stages} cached stages and {len(folders)} folders of "
        f"work here ({removal.kept_blobs} files are shared with other voices)"
    )
    plain = {"voice": voice, "said": words, **dataclasses.asdict(removal), "folders": folders}
    _show(invocation, voice, words, plain, as_json, as_markdown)
    if not as_json:
        click.echo(f"next: delete voices/{voice} and commit that; Git's history keeps recordings until it is rewritten")


def _show(
    invocation: Invocation, voice: str, words: str, plain: dict[str, Any], as_json: bool, as_markdown: bool
) -> None:
    line = f"**{voice}**: {words}" if as_markdown else f"{voice}: {words}"
    click.echo(invocation.redactor.clean(json.dumps(plain, indent=2, ensure_ascii=False) if as_json else line))


def _plain(state: Any) -> dict[str, Any] | None:
    return None if state is None else dataclasses.asdict(state)


def _alert(invocation: Invocation, state: Any) -> None:
    from pipeline.promotion import promotion_alert

    webhook = invocation.webhook()
    if webhook is not None and state is not None:
        webhook.send(promotion_alert(state), invocation.logger())


def _person(invocation: Invocation) -> str:
    from pipeline.actor import acting_person

    return acting_person(invocation.environment, _folder(invocation))


def _repository(invocation: Invocation) -> Any:
    from pipeline.git import Repository

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
