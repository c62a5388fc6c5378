"""`timbre verify FILE`: what a sound file says of its origin, in its tags and in its sound."""

from __future__ import annotations

import json
from pathlib import Path

import click

from timbre.audio.provenance import read_label
from timbre.audio.reader import read
from timbre.audio.watermark import find_mark_anywhere
from timbre.cli.invocation import Invocation
from timbre.core.errors import CheckFailedError, TimbreError
from timbre.registry.open import open_registry

_MOST_S = 4 * 3600.0


def show_origin(invocation: Invocation, path: Path, registry: str, as_json: bool) -> None:
    """Raises InputError for what is no sound, CheckFailedError when there is neither mark nor label."""
    wave = read(path, _MOST_S)
    label = read_label(path)
    known = _versions(invocation, registry)
    mark = find_mark_anywhere(wave, dict.fromkeys([*([label.voice] if label else []), *known]))
    plain = {
        "file": str(path),
        "seconds": round(wave.duration_s, 3),
        "marked": mark.found,
        "score": mark.score,
        "voice": mark.voice or None,
        "candidates": len(known),
        "label": {"program": label.program, "voice": label.voice, "day": label.day} if label else None,
    }
    if as_json:
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    else:
        heard = f"by {mark.voice}" if mark.voice else f"by none of {len(known)} known versions, or too short to say"
        click.echo(f"{path}: " + (f"marked as synthetic, {heard}" if mark.found else "no mark in the sound"))
        click.echo(f"{path}: " + (f"its tags say: {label.text}" if label else "no label in its tags"))
    if not mark.found and label is None:
        raise CheckFailedError(
            f"{path}: neither marked nor labelled",
            "this proves nothing: marks can be removed, or be too faint below 12 s; see docs/provenance.md",
        )


def _versions(invocation: Invocation, registry: str) -> list[str]:
    """NAME@VERSION of all that the registry has; none where it cannot be read, which is said."""
    try:
        store = open_registry(invocation.registry(registry))
        return [f"{name}@{item.version}" for name in store.voices() for item in store.versions(name)]
    except (TimbreError, OSError) as error:
        click.echo(f"timbre: voices are not compared: {error}", err=True)
        return []
