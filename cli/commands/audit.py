"""`timbre audit` compares the registry with its event log; `timbre verify` checks every stored byte."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from timbre.cli.commands.options import VOICE, output_options, registry_option
from timbre.cli.commands.output import show
from timbre.cli.invocation import Invocation
from timbre.cli.sound_origin import show_origin
from timbre.core.errors import CheckFailedError
from timbre.pipeline.ci.git import Repository
from timbre.pipeline.ci.git_notes import fetch_notes
from timbre.pipeline.release.registry_view import audit_table, findings_table
from timbre.registry.open import open_registry
from timbre.registry.verification import audit as unexplained
from timbre.registry.verification import verify as damaged


@click.command()
@click.argument("voices", nargs=-1, type=VOICE, metavar="[VOICE]...")
@click.option("--notes", "remote", metavar="REMOTE", default="", help="Also compare with the Git notes of this remote.")
@registry_option
@output_options
@click.pass_obj
def audit(
    invocation: Invocation, voices: tuple[str, ...], remote: str, registry: str, as_json: bool, as_markdown: bool
) -> None:
    """Show the origin of every version of VOICE (default: all): commit, author, job, base, recipe, gates, consent.

    Exit code 20 if the event log does not explain the state of a voice.
    """
    store = open_registry(invocation.registry(registry))
    for voice in voices:
        store.history(voice)
    names = list(voices) or store.voices()
    manifests = [manifest for name in names for manifest in store.versions(name)]
    heads = fetch_notes(Repository(invocation.folder()), remote) if remote else []
    findings = [finding for name in names for finding in unexplained(store, name, heads)]
    findings += [
        dataclasses.replace(gone, affects=(head.voice,))
        for head in heads if not voices and head.voice not in names
        for gone in unexplained(store, head.voice, [head])
    ]  # fmt: skip
    plain: dict[str, Any] = {
        "versions": [manifest.to_body() for manifest in manifests],
        "revoked": {name: mark for name in names if (mark := store.tombstone(name)) is not None},
        "findings": [dataclasses.asdict(finding) for finding in findings],
    }
    note = "\n".join(f"{item.key}: {item.problem}" for item in findings) or "the event log explains every state"
    note += "".join(f"\n{name}: revoked at {mark['time']}: {mark['reason']}" for name, mark in plain["revoked"].items())
    show(
        invocation, plain, audit_table(manifests), as_json, as_markdown, empty="no voice has been published", note=note
    )
    if findings:
        count = len(findings)
        raise CheckFailedError(f"registry {store.store.url}: {count} states without an event", "see the list above")


@click.command()
@click.argument("voice", required=False, type=VOICE, metavar="[VOICE|FILE]")
@registry_option
@output_options
@click.pass_obj
def verify(invocation: Invocation, voice: str | None, registry: str, as_json: bool, as_markdown: bool) -> None:
    """Verify every stored byte (or only those of VOICE); list damaged and missing objects and the versions they affect.

    For an audio FILE (a name with a suffix): show whether it is marked as synthetic, and by which voice.

    Exit code 20 if an object is damaged or missing, or FILE carries neither watermark nor label.
    """
    if voice and ("." in voice or "/" in voice):
        show_origin(invocation, Path(voice), registry, as_json)
        return
    store = open_registry(invocation.registry(registry))
    if voice:
        store.history(voice)
    progress, done = invocation.progress(), 0
    with progress.task("verify", unit="files") as task:

        def report(count: int, total: int) -> None:
            nonlocal done
            task.note(f"of {total}")
            task.advance(count - done)
            done = count

        findings = damaged(store, voice, report)
    plain = {
        "registry": store.store.url,
        "sound": not findings,
        "blobs": done,
        "findings": [dataclasses.asdict(item) for item in findings],
    }
    sound = f"registry {store.store.url}: intact, {done} files verified"
    show(invocation, plain, findings_table(findings), as_json, as_markdown, empty=sound)
    if findings:
        remedy = "republish the affected versions from their commits (timbre run --rebuild), or restore a backup"
        raise CheckFailedError(f"registry {store.store.url}: {len(findings)} damaged or missing objects", remedy)
