"""Rebuild the sample voices of this folder: python voices/make_samples.py [NAME ...] [--into DIR]

awb, wren and lian are synthetic: no person speaks in them. They need Debian's flite and espeak-ng; equal versions give
equal samples. kathleen and aishell are people's recordings under free licences, copied from the speech beside the
checkout (../shared/speech or --speech DIR): sentences that bases are not trained on first.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from pypinyin import Style, lazy_pinyin

from timbre.audio.reader import read, write
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.pipeline.voice.reading_script import SENTENCES

RATE_HZ = 16_000
_PEAK = 0.5
_EDGE_S = 0.25
# A faint, seeded hiss at -80 dBFS: recordings are never digitally silent, and tools that divide by noise need some.
_HISS_DBFS = -80.0
_RECIPE = """recipe:
  finetune:          # a demonstration of a few minutes on two cores: steps decide, not a clock
    min_steps: 60
    max_steps: 60
    validate_every_steps: 25
"""

_HARBOUR = (
    "The harbour was quiet when the fishing boats came home.",
    "Nobody noticed the small grey cat asleep on the warm engine.",
    "A narrow path leads from the lighthouse to the beach.",
    "Her uncle repaired clocks, watches, and musical boxes.",
    "In the evening they counted the coins and closed the shop.",
    "Fresh bread and smoked fish were laid out on a clean cloth.",
    "The captain asked for a chart, a ruler, and a sharp pencil.",
    "Seven children measured the shadow of the flagpole at noon.",
    "You should have seen how high the waves were this morning.",
    "Their voyage lasted nine weeks and three long days.",
    "He wore a thick jacket because the wind was blowing hard.",
    "Please put the oars under the bench and tie the rope twice.",
    "The museum owns a leather map of the southern islands.",
    "Why did the pilot refuse to leave before the fog had gone?",
    "Young gulls learn to fly by jumping from the edge of the roof.",
    "The judge bought five pounds of cherries for the choir.",
    "A wooden box with brass hinges stood beside the door.",
    "Usually the ferry leaves at eight, but today it is late.",
    "She thanked both of her cousins for the beautiful azure vase.",
    "We boiled water, peeled the potatoes, and lit the candles.",
    "The weather turned rough, though the sky was still blue.",
    "Could you hear the church bell through all that noise?",
    "Every spring the old bridge is painted green and white.",
    "An honest answer is worth more than a clever excuse.",
    "Good night, said the keeper, and he turned the great lamp on.",
    "Their father taught them how to read the stars and the tide.",
    "The doctor poured a cup of strong tea and listened closely.",
)


@dataclass(frozen=True)
class Sample:
    """A voice to make: its folder, language, sentences, the command of the synthesiser, where it is from, its licence.

    In the command, {text}, {pinyin} and {out} are replaced.
    """

    name: str
    language: str
    sentences: Sequence[str]
    command: tuple[str, ...]
    source: str
    rights: str


SAMPLES = (
    Sample(
        "awb",
        "en",
        _HARBOUR,
        ("flite", "-voice", "awb", "-t", "{text}", "-o", "{out}"),
        "flite 2.2, voice awb (CMU Arctic, recorded by Alan W Black), Debian package flite",
        "Synthetic speech. Flite and its awb voice: Copyright (c) 1999-2016 Carnegie Mellon University, free to use.",
    ),
    Sample(
        "wren",
        "en",
        SENTENCES["en"],
        ("espeak-ng", "-v", "en-us+f3", "-s", "150", "-w", "{out}", "{text}"),
        "espeak-ng, voice en-us with variant f3, Debian package espeak-ng",
        "Synthetic speech by a formant synthesiser; no person was recorded. Free to use.",
    ),
    Sample(
        "lian",
        "zh",
        SENTENCES["zh"],
        ("espeak-ng", "-v", "cmn-latn-pinyin+f2", "-s", "195", "-w", "{out}", "{pinyin}"),
        "espeak-ng, voice cmn-latn-pinyin with variant f2, Debian package espeak-ng; readings by pypinyin",
        "Synthetic speech by a formant synthesiser; no person was recorded. Free to use.",
    ),
)


@dataclass(frozen=True)
class Person:
    """A voice of a real person: corpus, a folder of the licensed speech; first, which of its files come first.

    seconds: clips are taken until there are so many. kind, source, rights: consent as voice.yaml has it.
    """

    name: str
    language: str
    corpus: str
    first: str
    seconds: float
    kind: str
    source: str
    rights: str


PEOPLE = (
    Person(
        "kathleen",
        "en",
        "kathleen",
        "arctic_b048",
        80.0,
        "public-domain",
        "github.com/rhasspy/dataset-voice-kathleen: one US speaker reading ARCTIC sentences",
        "CC0 1.0, dedicated to the public domain by its speaker.",
    ),
    Person(
        "aishell",
        "zh",
        "aishell",
        "eval/",
        85.0,
        "licensed",
        "AISHELL-1 (OpenSLR 33), speaker S0150, Beijing Shell Shell Technology",
        "Apache License 2.0. Credit: Hui Bu et al., AISHELL-1: An open-source Mandarin speech corpus, O-COCOSDA 2017.",
    ),
)


def make_person(person: Person, folder: Path, speech: Path) -> tuple[int, float]:
    """Writes voice.yaml and metadata.csv and copies wavs; returns the clips and their seconds."""
    wavs = folder / "wavs"
    if wavs.exists():
        shutil.rmtree(wavs)
    wavs.mkdir(parents=True)
    lines = (speech / person.corpus / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]
    listed = [line.split("|") for line in lines]
    ahead = next(index for index, row in enumerate(listed) if row[0].startswith(person.first))
    rows, total = ["file|text"], 0.0
    for file, _, _, text, seconds in listed[ahead:]:
        if total >= person.seconds:
            break
        # Shorter ones are no sentences.
        if float(seconds) < 2.5:
            continue
        target = f"wavs/{len(rows):04d}{Path(file).suffix}"
        shutil.copyfile(speech / person.corpus / file, folder / target)
        rows.append(f"{target}|{text}")
        total += float(seconds)
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "voice.yaml").write_text(
        f"language: {person.language}\nbase: nano\nconsent:\n  kind: {person.kind}\n"
        f'  source: "{person.source}"\n  rights: "{person.rights}"\n{_RECIPE}',
        encoding="utf-8",
    )
    return len(rows) - 1, total


def make_sample(sample: Sample, folder: Path) -> float:
    """Writes voice.yaml, metadata.csv and wavs/*.flac; returns the seconds of sound."""
    wavs = folder / "wavs"
    if wavs.exists():
        shutil.rmtree(wavs)
    wavs.mkdir(parents=True)
    hiss = np.random.default_rng(sum(map(ord, sample.name)))
    rows = ["file|text"]
    total = 0.0
    for number, sentence in enumerate(sample.sentences, 1):
        wave = _speak(sample, sentence)
        edge = np.zeros(round(_EDGE_S * RATE_HZ), dtype=np.float32)
        samples = np.concatenate((edge, wave.samples, edge))
        samples = samples * np.float32(_PEAK / np.abs(samples).max())
        samples += hiss.standard_normal(len(samples)).astype(np.float32) * np.float32(10 ** (_HISS_DBFS / 20))
        file = f"wavs/{number:04d}.flac"
        write(folder / file, Waveform(samples, RATE_HZ))
        rows.append(f"{file}|{sentence}")
        total += len(samples) / RATE_HZ
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "voice.yaml").write_text(
        f"language: {sample.language}\nbase: nano\nconsent:\n  kind: synthetic\n"
        f'  source: "{sample.source}"\n  rights: "{sample.rights}"\n{_RECIPE}',
        encoding="utf-8",
    )
    return total


def _speak(sample: Sample, sentence: str) -> Waveform:
    """One sentence without the silence around it."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "speech.wav"
        words = {"text": sentence, "pinyin": _pinyin(sentence), "out": out}
        command = [part.format(**words) for part in sample.command]
        subprocess.run(command, check=True, capture_output=True)
        wave = resample(read(out), RATE_HZ)
    loud = np.flatnonzero(np.abs(wave.samples) > 0.01 * np.abs(wave.samples).max())
    return Waveform(wave.samples[loud[0] : loud[-1] + 1], RATE_HZ)


def _pinyin(sentence: str) -> str:
    """Readings with tone digits; espeak-ng itself knows only some of the characters."""
    if not sentence.isascii():
        readings = lazy_pinyin(sentence, style=Style.TONE3, neutral_tone_with_five=True, v_to_u=True)
        return " ".join(readings).translate(str.maketrans("，。？！", ",.?!"))
    return sentence


@click.command()
@click.argument("names", nargs=-1)
@click.option("--into", type=click.Path(path_type=Path), default=Path(__file__).parent, help="Folder of voices.")
@click.option(
    "--speech",
    type=click.Path(path_type=Path),
    default=Path(__file__).parents[2] / "shared" / "speech",
    help="Folder of the licensed speech.",
)
def main(names: tuple[str, ...], into: Path, speech: Path) -> None:
    """Make the sample voices, or those NAMES."""
    for sample in SAMPLES:
        if not names or sample.name in names:
            total = make_sample(sample, into / sample.name)
            click.echo(f"{sample.name}: {len(sample.sentences)} sentences, {total:.1f} s")
    for person in PEOPLE:
        if not names or person.name in names:
            count, total = make_person(person, into / person.name, speech)
            click.echo(f"{person.name}: {count} sentences, {total:.1f} s")


if __name__ == "__main__":
    main()
