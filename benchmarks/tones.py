"""Who hears Mandarin tones? Recordings with their melody taken away, by Whisper and by evaluation/metrics/tones.py.

    python -m benchmarks.tones WHISPER_FOLDER [VOICE_FOLDER ...] [--clips 8]

Each recording is heard as it is, as Praat puts it together again (PSOLA), with one pitch throughout, and with its
melody turned upside down around its mean; every tone of the last two is wrong, every sound is right. Printed: errors of
Whisper over toned and toneless syllables, and the tone error rate of stage 4, which sees no text. What a rate rises by
is what a gate on it can see: a language model that chooses characters by context forgives the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click
import numpy as np

from timbre.audio.reader import read
from timbre.core.progress import SilentProgress
from timbre.core.table import Table
from timbre.evaluation.degradation import Heights, with_melody
from timbre.evaluation.metrics.tones import tone_errors
from timbre.evaluation.whisper import Whisper, units
from timbre.inference.recogniser import Recogniser
from timbre.pipeline.bases.exported import exported_base
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.voice.folder import open_voice
from timbre.registry.address import RegistryAddress
from timbre.text.edit_distance import EditCounts, edit_counts, total
from timbre.text.frontend import phonemize

MELODIES: Mapping[str, Callable[[Heights], Heights]] = {
    "put together again": lambda heights: heights,
    "one pitch": lambda heights: np.full_like(heights, heights.mean()),
    "upside down": lambda heights: 2 * heights.mean() - heights,
}
"""log F0 of the voiced points -> another one."""


def errors(text: str, heard: str) -> tuple[EditCounts, EditCounts]:
    """Over toned syllables, over toneless ones."""
    toned = edit_counts(units(text, "zh"), units(heard, "zh"))
    return toned, edit_counts(units(text, "zh", tones=False), units(heard, "zh", tones=False))


def nano_recogniser() -> Recogniser:
    """Of the repository's nano, exported once."""
    workspace = Workspace.find(Path.cwd())
    address = RegistryAddress(str(workspace.default_registry), {})
    return Recogniser(exported_base(workspace.load_base("nano"), workspace.root, address, progress=SilentProgress()))


@click.command(help=__doc__)
@click.argument("model", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--clips", default=8, show_default=True, help="Of each folder.")
def main(model: Path, folders: tuple[Path, ...], clips: int) -> None:
    """Print the table."""
    listener, recogniser = Whisper(model), nano_recogniser()
    found: dict[str, list[tuple[EditCounts, EditCounts, EditCounts]]] = {}
    for folder in folders or (Path("voices/aishell"),):
        for clip in open_voice(folder.resolve()).clips[:clips]:
            wave = read(clip.path)
            versions = {"recording": wave} | {name: with_melody(wave, how) for name, how in MELODIES.items()}
            for name, version in versions.items():
                heard = listener.transcribe(version, "zh")
                judged = tone_errors(version, recogniser.logits(version), phonemize(clip.text, "zh").phones)
                found.setdefault(name, []).append((*errors(clip.text, heard), judged))
                click.echo(f"{name}: {clip.text} | {heard}", err=True)
    rows = []
    for name, counts in found.items():
        rates = [total([item[index] for item in counts]) for index in range(3)]
        row = (str(len(counts)), str(rates[2].length), *(f"{100 * rate.rate:.1f}" for rate in rates))
        rows.append((name, *row))
    head = ("melody", "clips", "with a tone", "Whisper: toned %", "Whisper: toneless %", "tone error rate %")
    click.echo(Table(head, rows).markdown())


if __name__ == "__main__":
    main()
