"""What did a change of the base do to the ear? Recordings and bases side by side, on one page.

    python -m benchmarks.listening_page PAGE.html --base OLD_FOLDER --base nano --voice voices/kathleen
        [--voice FOLDER ...] [--adapter kathleen=FOLDER ...] [--sentences 10]

A table a voice folder: sentences that its speaker read, the recording first, then every base from one other recording
of the speaker, without training. --adapter adds what the last base says with a package, or with the output of stage 3.
All sounds are brought to one level and lie inside the page; they are as personal as the recordings. A sentence that is
refused or fails says why in place of a player or below it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import soundfile

from timbre.audio.level import apply_gain, limit
from timbre.audio.reader import read
from timbre.audio.waveform import Waveform
from timbre.core.atomic import write_text
from timbre.core.base import Base, load_base
from timbre.core.errors import InputError, TimbreError
from timbre.core.progress import PlainProgress
from timbre.evaluation.metrics.signal import active_level_dbfs
from timbre.evaluation.reports.pages import CSS, environment
from timbre.inference.engine import Engine
from timbre.inference.exported_base import ExportedBase
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.voice import Voice, load_voice
from timbre.pipeline.bases.exported import exported_base
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.release.zero_shot import zero_shot
from timbre.pipeline.voice.folder import Clip, VoiceFolder, open_voice
from timbre.registry.address import RegistryAddress

LEVEL_DBFS = -24.0
CEILING_DBFS = -1.0
MOST_GAIN_DB = 40.0
"""Silence stays silent."""
PROMPT_S = (3.0, 10.0)
SEED = 1
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Bases side by side</title><style>{{ css | safe }}</style>
<h1>Bases side by side</h1>
<p class="soft">Sounds at one level ({{ level }} dBFS of active speech). Bases speak from one recording, without
training, with seed {{ seed }}; first attempts and repairs as in service.</p>
<ul>{% for line in about %}<li>{{ line }}</li>{% endfor %}</ul>
{% for table in tables %}
<h2>{{ table.title }}</h2><p class="soft">{{ table.credit }}</p>
<div class="scroll"><table><tr><th>sentence</th>{% for name in table.columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in table.rows %}
<tr><td>{{ row.text }}</td>{% for cell in row.cells %}<td>
{% if cell.player %}<audio controls preload="none" src="{{ cell.player }}"></audio>{% endif %}
{% if cell.remark %}<p class="soft">{{ cell.remark }}</p>{% endif %}</td>{% endfor %}</tr>
{% endfor %}</table></div>
{% endfor %}</html>
"""


@dataclass(frozen=True)
class Cell:
    """One sound. player: a data address, empty where nothing was spoken; remark: what is wrong with it, or empty."""

    player: str
    remark: str = ""


@dataclass(frozen=True)
class TableRow:
    """One sentence."""

    text: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class SpeakerTable:
    """One speaker. credit: whose recordings these are."""

    title: str
    credit: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


@dataclass(frozen=True)
class Speaking:
    """One column: a name, an engine and who speaks with it."""

    title: str
    engine: Engine
    voice: Voice


def player(wave: Waveform) -> str:
    """FLAC as a data address, at LEVEL_DBFS."""
    wave = apply_gain(wave, min(MOST_GAIN_DB, LEVEL_DBFS - active_level_dbfs(wave.samples, wave.rate_hz)))
    stream = io.BytesIO()
    soundfile.write(stream, limit(wave, CEILING_DBFS).wave.samples, wave.rate_hz, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(stream.getvalue()).decode()}"


def spoken(column: Speaking, text: str, language: str) -> Cell:
    """What a column says."""
    try:
        speech = column.engine.speak(SpeechRequest(text, language=language, sampling=Sampling(seed=SEED)), column.voice)
    except TimbreError as error:
        return Cell("", f"refused: {error}")
    failures = [reason for sentence in speech.sentences for reason in sentence.failures]
    return Cell(player(speech.wave), f"failed: {'; '.join(failures)}" if failures else "")


def prompt_and_sentences(voice: VoiceFolder, count: int) -> tuple[Clip, list[Clip]]:
    """The first recording of PROMPT_S, and the first `count` others. Raises InputError without either."""
    prompt = next((clip for clip in voice.clips if PROMPT_S[0] <= read(clip.path).duration_s <= PROMPT_S[1]), None)
    others = [clip for clip in voice.clips if clip != prompt][:count]
    if prompt is None or not others:
        limits = f"{PROMPT_S[0]:g} to {PROMPT_S[1]:g} s"
        raise InputError(
            f"{voice.path}: no recording of {limits} and another one", "give a folder with more recordings"
        )
    return prompt, others


def speaker_table(
    voice: VoiceFolder, columns: Sequence[Speaking], sentences: Sequence[Clip], report: Callable[[str], None]
) -> SpeakerTable:
    """Every sentence, recorded and spoken."""
    rows = []
    for clip in sentences:
        language = clip.language or voice.language
        cells = [Cell(player(read(clip.path)))]
        for column in columns:
            cells.append(spoken(column, clip.text, language))
            report(f"{voice.name}, {column.title}: {clip.text} {cells[-1].remark}")
        rows.append(TableRow(clip.text, tuple(cells)))
    titles = ("recording", *(column.title for column in columns))
    return SpeakerTable(voice.name, voice.consent.rights, titles, tuple(rows))


def page(tables: Sequence[SpeakerTable], about: Sequence[str]) -> str:
    """The page; it needs no other file."""
    template = environment("timbre.evaluation.reports").from_string(PAGE)
    return template.render(css=CSS, level=f"{LEVEL_DBFS:g}", seed=SEED, about=about, tables=tables)


def columns_of(
    bases: Sequence[tuple[Base, ExportedBase, Engine]], voice: VoiceFolder, prompt: Clip, adapter: Path | None
) -> Iterator[Speaking]:
    """Every base that speaks the voice's language, and the last of them with the adapter."""
    able = [item for item in bases if voice.language in item[0].languages]
    for base, exported, engine in able:
        speaker = zero_shot(exported, voice.name, prompt.path, voice.language, prompt.text)
        yield Speaking(str(base.folder.name), engine, speaker)
    if adapter is not None and able:
        base, exported, engine = able[-1]
        yield Speaking(f"{base.folder.name}, fine-tuned", engine, load_voice(adapter, exported, name=voice.name))


def adapters_of(given: Sequence[str]) -> Mapping[str, Path]:
    """NAME=FOLDER -> folders by voice. Raises InputError."""
    pairs = [item.partition("=") for item in given]
    if wrong := [item for item, pair in zip(given, pairs, strict=True) if not (pair[0] and pair[2])]:
        raise InputError(f"--adapter {wrong[0]!r}: expected VOICE=FOLDER", "name the voice that the folder belongs to")
    return {name: Path(folder) for name, _, folder in pairs}


@click.command(help=__doc__)
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--base", "names", multiple=True, default=("nano",), show_default=True, help="Name or folder; repeat.")
@click.option(
    "--voice", "folders", multiple=True, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Voice folder of a speaker; repeat.",
)  # fmt: skip
@click.option("--adapter", "adapters", multiple=True, help="VOICE=FOLDER: a package or stage 3's output; repeat.")
@click.option("--sentences", "count", default=10, show_default=True, help="Of each speaker.")
def main(
    target: Path, names: tuple[str, ...], folders: tuple[Path, ...], adapters: tuple[str, ...], count: int
) -> None:
    """Write the page."""

    def report(line: str) -> None:
        click.echo(line, err=True)

    workspace = Workspace.find(Path.cwd())
    registry = RegistryAddress(str(workspace.default_registry), {})
    trained = adapters_of(adapters)
    bases: list[tuple[Base, ExportedBase, Engine]] = []
    try:
        for name in names:
            base = load_base(name, workspace.bases)
            progress = PlainProgress(report, every_s=60.0)
            exported = exported_base(base, workspace.root, registry, progress=progress)
            bases.append((base, exported, Engine(exported)))
        tables = []
        for folder in folders:
            voice = open_voice(folder.resolve())
            prompt, sentences = prompt_and_sentences(voice, count)
            columns = list(columns_of(bases, voice, prompt, trained.get(voice.name)))
            tables.append(speaker_table(voice, columns, sentences, report))
    finally:
        for _, _, engine in bases:
            engine.close()
    about = [f"{base.folder.name}: base {base.name}, digest {base.digest[:12]}" for base, _, _ in bases]
    write_text(target, page(tables, about))
    click.echo(f"{target}: {target.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
