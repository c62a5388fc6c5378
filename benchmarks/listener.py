"""What does a listener understand? Whisper hears what exported bases and voices say, and errors are counted.

    TIMBRE_WHISPER=FOLDER python -m benchmarks.listener --base nano [--count 60] [--seeds 1] [--zero-shot 4]

FOLDER holds a Whisper model that faster-whisper reads (base and multilingual for the figures of the model card). A row
a base, language and kind of text: word errors in English, errors over toned and toneless pinyin syllables in Mandarin
(a recogniser chooses among characters that sound alike), texts heard right, texts that the engine calls failed. Known
speakers are readers of the training speech, strangers those of unseen-speakers.txt, teachers single voices of the
synthesiser that it learned from; all speak from one clip, without fine-tuning. --voice FOLDER judges a package or the
output of stage 3 instead, on the first base. Nothing here is needed by the product: without faster-whisper or a model
it says so and ends.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.listener_texts import ENGLISH, MANDARIN, SHORT_ENGLISH, SHORT_MANDARIN
from timbre.core.base import Base, load_base
from timbre.core.progress import PlainProgress
from timbre.evaluation.whisper import MODEL_FILE, Whisper, installed, units
from timbre.inference.engine import Engine
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.voice import Voice, load_voice
from timbre.pipeline.bases.exported import exported_base
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.release.zero_shot import zero_shot
from timbre.registry.address import RegistryAddress
from timbre.text.edit_distance import EditCounts, edit_counts, total

KNOWN = {"en": ("kathleen", "ljspeech", "vctk"), "zh": ("aishell",)}
PROMPT_S = (3.0, 8.0)


@dataclass(frozen=True)
class Heard:
    """One text: who said it, what was heard, edits of words (en) or toned syllables (zh), of toneless syllables, and
    why the engine calls it failed."""

    text: str
    speaker: str
    heard: str
    edits: EditCounts
    toneless: EditCounts | None
    failures: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """A line of the table; rates in per cent."""

    base: str
    kind: str
    speakers: str
    texts: int
    error: float
    toneless: float | None
    right: float
    failed: float


def recordings(speech: Path, language: str, strangers: int, teachers: int = 0) -> Iterator[tuple[str, str, Path]]:
    """(group, speaker, clip): a training clip of every known reader of the language, of so many of the teacher's
    voices, and clips of unseen speakers."""
    from timbre.nano.corpus import read_metadata, training_files, unseen_speakers

    known = training_files(speech)
    for corpus in KNOWN[language]:
        files = [file for file in known if file.path.startswith(f"{corpus}/")]
        fitting = [file for file in files if PROMPT_S[0] <= file.seconds <= PROMPT_S[1]]
        if fitting:
            yield "known", fitting[0].speaker, speech / fitting[0].path
    for speaker, clip in islice(teacher_voices(speech / "teacher" / language), teachers):
        yield "teachers", speaker, clip
    if language == "en":
        unseen = read_metadata(speech, "speechocean762")
        for speaker in sorted(unseen_speakers(speech))[:strangers]:
            own = [file for file in unseen if file.speaker == speaker]
            fitting = [file for file in own if PROMPT_S[0] <= file.seconds <= PROMPT_S[1]]
            if fitting:
                yield "strangers", speaker, speech / fitting[0].path


def teacher_voices(folder: Path) -> Iterator[tuple[str, Path]]:
    """Each voice of the teacher that speaks alone, and a clip of it, by name."""
    index = folder / "clips.jsonl"
    found: dict[str, Path] = {}
    for line in index.read_text(encoding="utf-8").splitlines() if index.is_file() else []:
        clip = json.loads(line)
        if len(clip["voice"]) == 1 and clip["speed"] == 1.0 and PROMPT_S[0] <= clip["seconds"] <= PROMPT_S[1]:
            found.setdefault(clip["voice"][0][0], folder / f"{clip['id']}.ogg")
    yield from sorted(found.items())


def judged(
    listener: Whisper,
    engine: Engine,
    voices: Sequence[Voice],
    texts: Sequence[str],
    language: str,
    report: Callable[[str], None],
    seeds: int = 1,
) -> list[Heard]:
    """Every text, spoken by the voices in turn, with so many seeds each."""
    found = []
    for seed, text in enumerate(text for _ in range(seeds) for text in texts):
        voice = voices[seed % len(texts) % len(voices)]
        request = SpeechRequest(text, language=language, sampling=Sampling(seed=seed))
        speech = engine.speak(request, voice)
        heard = listener.transcribe(speech.wave, language)
        failures = tuple(reason for sentence in speech.sentences for reason in sentence.failures)
        edits = edit_counts(units(text, language), units(heard, language))
        toneless = None
        if language == "zh":
            toneless = edit_counts(units(text, language, tones=False), units(heard, language, tones=False))
        found.append(Heard(text, voice.name, heard, edits, toneless, failures))
        report(f"{edits.rate:.2f} {voice.name}: {text} | {heard} {'; '.join(failures)}")
    return found


def row_of(base: str, kind: str, speakers: str, heard: Sequence[Heard]) -> Row:
    """The line of some texts."""
    toneless = [item.toneless for item in heard if item.toneless is not None]
    return Row(
        base,
        kind,
        speakers,
        len(heard),
        round(100 * total([item.edits for item in heard]).rate, 2),
        round(100 * total(toneless).rate, 2) if toneless else None,
        round(100 * float(np.mean([item.edits.rate == 0 for item in heard])), 1),
        round(100 * float(np.mean([bool(item.failures) for item in heard])), 1),
    )


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = ["| base | texts | speakers | count | errors % | toneless % | heard right % | called failed % |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for row in rows:
        cells = (row.base, row.kind, row.speakers, row.texts, row.error, row.toneless, row.right, row.failed)
        lines.append("| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def model_folder(option: Path | None) -> Path | str:
    """Folder of the Whisper model, or why there is none."""
    folder = option or (Path(os.environ["TIMBRE_WHISPER"]) if os.environ.get("TIMBRE_WHISPER") else None)
    if folder is None or not (folder / MODEL_FILE).is_file():
        return f"no Whisper model: give --whisper FOLDER or TIMBRE_WHISPER, a folder with a CTranslate2 {MODEL_FILE}"
    return folder if installed() else "faster-whisper is not installed: pip install 'timbre[whisper]'"


def texts_of(base: Base, count: int) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(kind, language, texts) that a base can speak."""
    for kind, language, texts in (
        ("English", "en", ENGLISH),
        ("Mandarin", "zh", MANDARIN),
        ("short English", "en", SHORT_ENGLISH),
        ("short Mandarin", "zh", SHORT_MANDARIN),
    ):
        if language in base.languages:
            yield kind, language, texts[:count]


@click.command(help=__doc__)
@click.option("--base", "names", multiple=True, default=("nano",), show_default=True, help="Name or folder; repeat.")
@click.option(
    "--voice", "folders", multiple=True, type=click.Path(path_type=Path), help="A package or stage 3's output."
)
@click.option("--language", default="en", show_default=True, help="Of the voices given by --voice.")
@click.option("--count", default=60, show_default=True, help="Most texts of a kind.")
@click.option("--seeds", default=1, show_default=True, help="How often each text is spoken.")
@click.option("--zero-shot", "strangers", default=4, show_default=True, help="Unseen speakers; 0: only known ones.")
@click.option("--teachers", default=0, show_default=True, help="Voices of the teacher; 0: none.")
@click.option("--speech", type=click.Path(path_type=Path), default=Path("../shared/speech"), envvar="TIMBRE_SPEECH")
@click.option("--whisper", type=click.Path(path_type=Path), help="Model folder (default: TIMBRE_WHISPER).")
@click.option("--json", "target", type=click.Path(path_type=Path), help="Write every text and row there.")
def main(
    names: tuple[str, ...],
    folders: tuple[Path, ...],
    language: str,
    count: int,
    seeds: int,
    strangers: int,
    teachers: int,
    speech: Path,
    whisper: Path | None,
    target: Path | None,
) -> None:
    """Print the table."""
    found = model_folder(whisper)
    if isinstance(found, str):
        click.echo(f"skipped: {found}")
        return
    listener = Whisper(found)
    workspace = Workspace.find(Path.cwd())
    rows: list[Row] = []
    details: dict[str, list[Any]] = {}

    def report(line: str) -> None:
        click.echo(line, err=True)

    def add(
        engine: Engine, base: Base, kind: str, group: str, voices: Sequence[Voice], texts: Sequence[str], code: str
    ) -> None:
        heard = judged(listener, engine, voices, texts, code, report, seeds)
        rows.append(row_of(base.name if base.folder.name == base.name else base.folder.name, kind, group, heard))
        details[f"{rows[-1].base}, {kind}, {group}"] = [asdict(item) for item in heard]

    for name in names:
        base = load_base(name, workspace.bases)
        progress = PlainProgress(report, every_s=60.0)
        exported = exported_base(
            base, workspace.root, RegistryAddress(str(workspace.default_registry), {}), progress=progress
        )
        with Engine(exported) as engine:
            if folders:
                for folder in folders:
                    voice = load_voice(folder, exported, name=folder.name)
                    for kind, code, texts in texts_of(base, count):
                        if code == language:
                            add(engine, base, kind, voice.name, [voice], texts, code)
                break
            for kind, code, texts in texts_of(base, count):
                voices: dict[str, list[Voice]] = {}
                for group, speaker, clip in recordings(speech, code, strangers, teachers):
                    voices.setdefault(group, []).append(zero_shot(exported, speaker, clip, code, engine=engine))
                for group, some in voices.items():
                    add(engine, base, kind, group, some, texts, code)
    click.echo(table(rows))
    if target is not None:
        whole = {"rows": [asdict(row) for row in rows], "texts": details}
        target.write_text(json.dumps(whole, ensure_ascii=False, indent=1, default=str))


if __name__ == "__main__":
    main()
