"""From the end of a take to its judgement: python -m benchmarks.studio_latency [--takes 20] [--seconds 8]

Takes of a sample voice, joined and cut to one length, as 48 kHz WAV files: stored, judged, and the page's view of the
voice made, as for one request of the page; networks are loaded before. Prints the clock's seconds with the parts,
and the processor's seconds, which other programs on the machine disturb less.
"""

from __future__ import annotations

import io
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import soundfile as sf

from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.recipe import Recipe
from timbre.pipeline.engine.workspace import Workspace
from timbre.studio.desk import Desk, NewVoiceForm
from timbre.studio.sound import as_file

_ROOT = Path(__file__).resolve().parents[1]
_RATE_HZ = 48_000
_VOICE = "awb"


def takes(count: int, seconds: float) -> list[bytes]:
    """WAV files of one length, each with other words."""
    waves = [read(path) for path in sorted((_ROOT / "voices" / _VOICE / "wavs").iterdir()) if path.suffix != ".gitkeep"]
    joined = np.concatenate([wave.samples for wave in waves])
    length = int(seconds * waves[0].rate_hz)
    found = []
    for number in range(count):
        part = np.roll(joined, -number * length)[:length]
        out = io.BytesIO()
        high = resample(Waveform(part, waves[0].rate_hz), _RATE_HZ)
        sf.write(out, high.samples, _RATE_HZ, format="WAV", subtype="PCM_16")
        found.append(out.getvalue())
    return found


@click.command()
@click.option("--takes", "count", type=int, default=20, show_default=True)
@click.option("--seconds", type=float, default=8.0, show_default=True)
def main(count: int, seconds: float) -> None:
    """Prints median and longest."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "voices").mkdir()
        desk = Desk(Workspace(root), Recipe())
        desk.warm()
        book = desk.make(NewVoiceForm("ada", "en", "nano", "Ada Example", "announcements"))
        lines = [line.id for line in book.lines()][:count]
        for key, data in zip(lines, takes(len(lines), seconds), strict=True):
            began, processor = time.perf_counter(), time.process_time()
            book.take(key, as_file(data))
            stored = time.perf_counter()
            desk.judges.judge(book, book.line(key))
            judged = time.perf_counter()
            desk.view("ada")
            ended = time.perf_counter()
            rows.append(
                (ended - began, stored - began, judged - stored, ended - judged, time.process_time() - processor)
            )
    print("| seconds | all | stored | judged | shown | processor |\n|---|---|---|---|---|---|")
    for name, of in (("median", np.median), ("longest", np.max)):
        print(
            f"| {name} of {len(rows)} takes | "
            + " | ".join(f"{of(column):.2f}" for column in zip(*rows, strict=True))
            + " |"
        )


if __name__ == "__main__":
    main()
