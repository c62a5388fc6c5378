"""`timbre read`: a book becomes an audiobook."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import click

from timbre.cli.commands.options import VOICE, chosen_device, engine_options, registry_option, speed_option
from timbre.cli.invocation import Invocation
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.pipeline.books.files import read_book
from timbre.pipeline.books.plan import passages
from timbre.pipeline.books.turns import Order, read_in_turns
from timbre.pipeline.release.targets import BOOK_SUFFIXES, check_target

_SHOWN = 10


@click.command()
@click.argument("book", type=click.Path(path_type=Path), metavar="BOOK")
@click.argument("voice", type=VOICE, metavar="VOICE[@REF]")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Output file, .m4b or .m4a."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same audio.")
@speed_option
@click.option("--language", default="auto", show_default=True, help="Language of the book: auto, zh, en, ...")
@engine_options
@click.option("--keep-parts", is_flag=True, help="Keep the folder of audio files, one per paragraph.")
@registry_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def read(
    invocation: Invocation,
    book: Path,
    voice: str,
    output: Path,
    seed: int,
    speed: float,
    language: str,
    profile: str,
    device: str,
    keep_parts: bool,
    registry: str,
    as_json: bool,
) -> None:
    """Read BOOK (.txt, .md, .epub) aloud with VOICE into an audiobook with chapters.

    An interrupted run resumes.
    """
    check_target(output, BOOK_SUFFIXES)
    text = read_book(book)
    plan = tuple(passages(text))
    folder = output.with_name(f"{output.name}.parts")
    progress = invocation.progress()
    opening = {
        "cache": invocation.cache(), "registry": invocation.registry(registry), "profile": profile,
        "find_base": invocation.load_base,
    }  # fmt: skip
    request = SpeechRequest("", language=language, sampling=Sampling(seed=seed), speed=speed)
    order = Order(voice, opening, partial(chosen_device, device), invocation.progress, folder, request)
    speaker, spoken = read_in_turns(order, plan, progress, [chapter.title for chapter in text.chapters])
    # Not before: it brings the engine's libraries and those of sound into this process.
    from timbre.pipeline.books.reading import bind, spoken_book

    made = spoken_book(text, plan, folder, spoken, speaker)
    reading = bind(made, output, progress, keep_parts=keep_parts)
    plain = _plain(reading, text.characters, speaker)
    if as_json:
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    click.echo(
        f"{output}: {plain['seconds'] / 60:.1f} min in {plain['chapters']} chapters by {plain['voice']}, "
        f"{plain['lufs']:.1f} LUFS"
    )
    for what, lines in (("left out", plain["left_out"]), ("below the limits", plain["below_limits"])):
        for line in lines[:_SHOWN]:
            click.echo(f"timbre: {what}: {line}", err=True)
        if len(lines) > _SHOWN:
            click.echo(f"timbre: {what}: {len(lines) - _SHOWN} more; --json lists them", err=True)


def _plain(reading: Any, characters: int, voice: str) -> dict[str, Any]:
    return {
        "file": str(reading.made.path),
        "voice": voice,
        "seconds": round(reading.made.seconds, 3),
        "chapters": reading.made.chapters,
        "lufs": reading.made.lufs,
        "characters": characters,
        "sentences": sum(item.sentences for item in reading.passages),
        "below_limits": [line for item in reading.passages for line in item.below],
        "left_out": [item.left_out for item in reading.passages if item.left_out],
    }
