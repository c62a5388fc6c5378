"""Voice folders of speakers that no base was trained on: python -m benchmarks.speakers FOLDER [--count N] [--seconds S]

They stand for new users: read English by speakers of speechocean762 (CC BY 4.0), named in unseen-speakers.txt of the
shared speech data (TIMBRE_SHARED, or ../shared). Nothing of them may be published.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from benchmarks.stage_one import write_voice
from benchmarks.validate_speakers import corpus_rows, shared_speech
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.vad import detect
from timbre.audio.waveform import Waveform
from timbre.core.atomic import write_text

CORPUS = "speechocean762"
ANALYSIS_RATE_HZ = 16_000
RECIPE = "recipe.yaml"
RECIPE_TEXT = "validate:\n  max_music_share: 0.6\n"
"""Stage 1 is not what is looked at: a clip that it takes for music does not end the measurement."""
_PEAK = 0.7


def unseen_speakers(speech: Path) -> list[str]:
    """Names in the order of the file, women and men in turn as far as they go: the first few are of both."""
    lines = (speech / "unseen-speakers.txt").read_text(encoding="utf-8").splitlines()
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    table = (speech / CORPUS / "speakers.csv").read_text(encoding="utf-8").splitlines()[1:]
    sex = {row.split("|")[0]: row.split("|")[1] for row in table}
    groups = [[name for name in names if sex.get(name) == kind] for kind in ("f", "m")]
    turns = [name for pair in zip(*groups, strict=False) for name in pair]
    return turns + [name for name in names if name not in turns]


def write_speaker(speech: Path, speaker: str, folder: Path, seconds: float) -> Path:
    """A voice folder with clips of a speaker until they hold `seconds` of speech; one that is there is kept.

    Slow readers pause for half of their recordings, so that speech is counted.
    """
    if (folder / "voice.yaml").is_file():
        return folder
    rows = [row for row in corpus_rows(speech / CORPUS) if row[1] == speaker]
    clips, total = [], 0.0
    for file, _, _, text in rows:
        if total >= seconds:
            break
        wave = read(file)
        peak = float(np.abs(wave.samples).max())
        # Lossy files may decode to a little more than full scale, which 16 bit cannot hold.
        loud = peak > 1.0
        clips.append((Waveform(wave.samples * np.float32(_PEAK / peak), wave.rate_hz) if loud else wave, text))
        total += detect(resample(wave, ANALYSIS_RATE_HZ).samples).speech_s
    shutil.rmtree(folder, ignore_errors=True)
    write_voice(folder, "en", clips)
    return folder


def write_speakers(folder: Path, count: int, seconds: float, names: Sequence[str] = ()) -> list[Path]:
    """Folders of the first `count` speakers, or of those named; lower case, as voices are named."""
    speech = shared_speech()
    chosen = list(names) or unseen_speakers(speech)[:count]
    return [write_speaker(speech, name.upper(), folder / name.lower(), seconds) for name in chosen]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--count", default=12, show_default=True)
@click.option("--seconds", default=90.0, show_default=True, help="Of speech, held-out sentences included.")
def main(folder: Path, count: int, seconds: float) -> None:
    """Write the folders and print their names; beside them RECIPE, to be given to `timbre gates calibrate --recipe`."""
    write_text(folder / RECIPE, RECIPE_TEXT)
    for path in write_speakers(folder, count, seconds):
        click.echo(path)


if __name__ == "__main__":
    main()
