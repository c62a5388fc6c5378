"""`timbre say`: speaks text with a published voice."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from timbre.cli.commands.options import VOICE, chosen_device, engine_options, registry_option, speed_option
from timbre.cli.invocation import Invocation
from timbre.core.atomic import write_text
from timbre.core.errors import InputError
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.pipeline.release.targets import check_target

_MOST_BYTES = 1 << 20


@click.command()
@click.argument("voice", type=VOICE, metavar="VOICE[@REF]")
@click.argument("text", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="Output file, .wav or .flac; with --lines a folder.",
)
@click.option(
    "--lines",
    "lines_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Speak each line of FILE instead of TEXT, each into its own file in the folder -o.",
)
@click.option(
    "--timestamps",
    type=click.Choice(["srt", "vtt", "json"]),
    default=None,
    help="Also write word timestamps, to a file with this suffix beside the audio.",
)
@click.option(
    "--seed", type=int, default=None, help="Random seed; the same seed gives the same audio. Default: random."
)
@speed_option
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
@engine_options
@registry_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
@click.pass_obj
def say(
    invocation: Invocation,
    voice: str,
    text: str | None,
    output: Path,
    lines_file: Path | None,
    timestamps: str | None,
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

    TEXT may be SSML (<speak>...), or have marks: [pause:1s], [voice:NAME], [word](/ipa/), {AA1 R P AH0}.

    Needs no torch if the registry has the exported base.
    """
    from timbre.pipeline.release import line_by_line, speaking

    if (text is None) == (lines_file is None):
        raise InputError("say: give either TEXT or --lines FILE", 'for example: timbre say VOICE "Hello." -o hello.wav')
    sampling = Sampling(top_k, top_p, temperature, repetition_penalty, seed)
    request = SpeechRequest(_text(text or ""), language=language, sampling=sampling, speed=speed)
    lines = line_by_line.read_lines(lines_file) if lines_file is not None else []
    if lines_file is None:
        check_target(output)
    else:
        line_by_line.check_folder(output)
    chosen = chosen_device(device)
    open_voice = partial(
        speaking.opened, cache=invocation.cache(), registry=invocation.registry(registry), profile=profile,
        device=chosen, progress=invocation.progress(), find_base=invocation.load_base,
    )  # fmt: skip
    with open_voice(voice) as opened:
        if lines_file is not None:
            spoken = line_by_line.speak_lines(opened, lines, output, request, timestamps or "", _shown(as_json))
            _show_lines(output, opened.manifest, spoken, as_json, as_markdown)
            return
        said = opened.say(request, open_voice)
    speaking.save(output, said.speech.wave)
    if timestamps:
        captions = output.with_suffix(f".{timestamps}")
        write_text(captions, line_by_line.captions(said.speech, timestamps))
    plain = _plain(output, said) | ({"timestamps": str(captions)} if timestamps else {})
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


def _shown(quiet: bool) -> Callable[[str], None]:
    return (lambda _: None) if quiet else (lambda line: click.echo(line, err=True))


def _show_lines(output: Path, manifest: Any, spoken: Any, as_json: bool, as_markdown: bool) -> None:
    """Raises InputError after all lines when some could not be spoken."""
    if as_json:
        lines = [asdict(item) for item in spoken.lines]
        plain = {"folder": str(output), "voice": manifest.voice, "version": manifest.version, "lines": lines}
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    else:
        words = f"{spoken.seconds:.1f} s in {len(spoken.lines)} files by {manifest.voice}@{manifest.version}"
        click.echo(f"**{output}**: {words}" if as_markdown else f"{output}: {words}")
    if spoken.failed:
        numbers = ", ".join(map(str, spoken.failed[:20])) + (", ..." if len(spoken.failed) > 20 else "")
        raise InputError(
            f"lines: {len(spoken.failed)} of {len(spoken.lines) + len(spoken.failed)} were not spoken: {numbers}",
            "correct them and run the command again; it keeps the spoken lines",
        )


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
