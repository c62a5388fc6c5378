"""`timbre say`: speaks text with a published voice."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from timbre.cli.commands.options import registry_option
from timbre.cli.invocation import Invocation
from timbre.core.errors import InputError

_MOST_BYTES = 1 << 20


@click.command()
@click.argument("voice", metavar="VOICE[@REF]")
@click.argument("text")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Output file, .wav or .flac."
)
@click.option(
    "--seed", type=int, default=None, help="Random seed; the same seed gives the same audio. Default: random."
)
@click.option(
    "--speed",
    type=float,
    default=1.0,
    show_default=True,
    help="Speaking rate, Speaking rate, 0.25 to 4; above 1 is faster.",
)
@click.option("--language", default="auto", show_default=True, help="Language of the text: auto, zh, en, ...")
@click.option("--temperature", type=float, default=None, help="Sampling temperature; 0 is greedy. Default: the base's.")
@click.option(
    "--top-k", type=int, default=None, help="Sample from the k most likely codes; 0 for all. Default: the base's."
)
@click.option(
    "--top-p",
    type=float,
    default=None,
    help="Sample from the most likely codes up to this total probability. Default: the base's.",
)
@click.option(
    "--repetition-penalty",
    type=float,
    default=None,
    help="Penalty for repeated codes; 1 for none. Default: the base's.",
)
@click.option("--profile", type=click.Choice(["fp32", "int8"]), default="fp32", show_default=True, help="Graphs used.")
@click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N; without CUDA the processor speaks."
)
@registry_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
@click.pass_obj
def say(
    invocation: Invocation,
    voice: str,
    text: str,
    output: Path,
    seed: int | None,
    speed: float,
    language: str,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    repetition_penalty: float | None,
    profile: str,
    device: str,
    registry: str,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Speak TEXT (- reads standard input) with VOICE. REF is an alias or version; default: production.

    Needs no torch if the registry has the exported base.
    """
    from timbre.inference.device import choose_device
    from timbre.inference.request import SpeechRequest
    from timbre.inference.sampling import Sampling
    from timbre.pipeline.release import speaking

    speaking.check_target(output)
    sampling = Sampling(top_k, top_p, temperature, repetition_penalty, seed)
    request = SpeechRequest(_text(text), language=language, sampling=sampling, speed=speed)
    chosen = choose_device(device)
    if chosen.fallback:
        click.echo(f"timbre: the processor speaks: {chosen.fallback}", err=True)
    said = speaking.say(
        voice, request, cache=invocation.cache(), registry=invocation.registry(registry), profile=profile,
        device=chosen, progress=invocation.progress(), find_base=invocation.load_base,
    )  # fmt: skip
    speaking.save(output, said.speech.wave)
    plain = _plain(output, said)
    if as_json:
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    words = f"{plain['seconds']:.1f} s by {plain['voice']}@{plain['version']} on {plain['base']}"
    click.echo(f"**{output}**: {words}" if as_markdown else f"{output}: {words}")
    for sentence in plain["sentences"]:
        for reason in sentence["failures"]:
            click.echo(f"timbre: {sentence['text']!r}: {reason}", err=True)
    if plain["unknown"]:
        click.echo(f"timbre: skipped: {' '.join(plain['unknown'])}", err=True)


def _plain(output: Path, said: Any) -> dict[str, Any]:
    return {
        "file": str(output),
        "voice": said.manifest.voice,
        "version": said.manifest.version,
        "base": said.manifest.base,
        "rate_hz": said.speech.wave.rate_hz,
        "seconds": round(said.speech.wave.duration_s, 3),
        "sentences": [
            {
                "text": item.text,
                "seconds": round(item.seconds, 3),
                "attempts": item.attempts,
                "failures": list(item.failures),
                "phone_error_rate": item.error_rate,
            }
            for item in said.speech.sentences
        ],
        "unknown": list(said.speech.unknown),
    }


def _text(given: str) -> str:
    if given != "-":
        return given
    data = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise InputError(f"text: standard input exceeds {_MOST_BYTES} bytes", "split the text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"text: not UTF-8 (byte {error.start})", "encode the text as UTF-8") from error
