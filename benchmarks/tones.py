"""Does the listener hear Mandarin tones, or guess them? Recordings with their melody taken away, heard by Whisper.

    python -m benchmarks.tones WHISPER_FOLDER [VOICE_FOLDER ...] [--clips 8]

Each recording is heard as it is, as Praat puts it together again (PSOLA), with one pitch throughout, and with its
melody turned upside down around its mean. Every tone of the last two is wrong, every sound is right. Printed: errors
over toned and toneless syllables. What the toned rate rises by is what a gate on it can see: a language model that
chooses characters by context forgives the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from timbre.audio.reader import read
from timbre.audio.waveform import Waveform
from timbre.core.table import Table
from timbre.evaluation.whisper import Whisper, units
from timbre.pipeline.voice.folder import open_voice
from timbre.text.edit_distance import EditCounts, edit_counts, total

FLOOR_HZ, CEILING_HZ, STEP_S = 75.0, 500.0, 0.01
Heights = np.ndarray[tuple[int], np.dtype[np.float64]]
MELODIES: Mapping[str, Callable[[Heights], Heights]] = {
    "put together again": lambda heights: heights,
    "one pitch": lambda heights: np.full_like(heights, heights.mean()),
    "upside down": lambda heights: 2 * heights.mean() - heights,
}
"""log F0 of the voiced points -> another one."""


def with_melody(wave: Waveform, melody: Callable[[Heights], Heights]) -> Waveform:
    """The recording with other pitches at the same times. A recording without voice stays as it is."""
    import parselmouth
    from parselmouth.praat import call

    sound = parselmouth.Sound(wave.samples.astype(np.float64), wave.rate_hz)
    manipulation: Any = call(sound, "To Manipulation", STEP_S, FLOOR_HZ, CEILING_HZ)
    tier: Any = call(manipulation, "Extract pitch tier")
    count = int(call(tier, "Get number of points"))
    if not count:
        return wave
    times = [float(call(tier, "Get time from index", index + 1)) for index in range(count)]
    heights = np.log([float(call(tier, "Get value at index", index + 1)) for index in range(count)])
    call(tier, "Remove points between", 0.0, sound.duration)
    for time_s, pitch_hz in zip(times, np.exp(melody(heights)), strict=True):
        call(tier, "Add point", time_s, float(np.clip(pitch_hz, FLOOR_HZ, CEILING_HZ)))
    call([tier, manipulation], "Replace pitch tier")
    changed: Any = call(manipulation, "Get resynthesis (overlap-add)")
    return Waveform(changed.values[0].astype(np.float32), wave.rate_hz)


def errors(text: str, heard: str) -> tuple[EditCounts, EditCounts]:
    """Over toned syllables, over toneless ones."""
    toned = edit_counts(units(text, "zh"), units(heard, "zh"))
    return toned, edit_counts(units(text, "zh", tones=False), units(heard, "zh", tones=False))


@click.command(help=__doc__)
@click.argument("model", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--clips", default=8, show_default=True, help="Of each folder.")
def main(model: Path, folders: tuple[Path, ...], clips: int) -> None:
    """Print the table."""
    listener = Whisper(model)
    found: dict[str, list[tuple[EditCounts, EditCounts]]] = {}
    for folder in folders or (Path("voices/aishell"),):
        for clip in open_voice(folder.resolve()).clips[:clips]:
            wave = read(clip.path)
            versions = {"recording": wave} | {name: with_melody(wave, how) for name, how in MELODIES.items()}
            for name, version in versions.items():
                heard = listener.transcribe(version, "zh")
                found.setdefault(name, []).append(errors(clip.text, heard))
                click.echo(f"{name}: {clip.text} | {heard}", err=True)
    rows = []
    for name, counts in found.items():
        toned, toneless = (total([pair[index] for pair in counts]).rate for index in (0, 1))
        rows.append((name, str(len(counts)), f"{100 * toned:.1f}", f"{100 * toneless:.1f}"))
    click.echo(Table(("melody", "clips", "toned syllables wrong %", "toneless %"), rows).markdown())


if __name__ == "__main__":
    main()
