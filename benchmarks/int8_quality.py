"""What int8 costs: every text spoken with the fp32 and the int8 graphs, by the same voices from the same seeds.

    TIMBRE_WHISPER=FOLDER python -m benchmarks.int8_quality [--count 48] [--language en]

A text is spoken with both profiles before the next one. Printed beside each other: word errors as Whisper hears them
(in Mandarin over toned syllables), likeness to the recording that a voice was made of (cosine of GE2E vectors) and
DistillMOS where it is installed, and the difference with its limit. Exit code 1 when int8 misses a limit. The stage
`evaluate` with `evaluate.profile: int8` holds int8 graphs to the gates of a base; this measures what they lose.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.listener import model_folder, recordings, texts_of
from benchmarks.nano_engine import exported_nano
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.base import load_base
from timbre.evaluation.metrics import distilled
from timbre.evaluation.whisper import Whisper
from timbre.inference.engine import Engine
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.speaker import SpeakerEncoder
from timbre.inference.voice import Voice
from timbre.pipeline.release.zero_shot import zero_shot
from timbre.text.edit_distance import EditCounts, total

PROFILES = ("fp32", "int8")
WORD_LIMIT, LIKENESS_LIMIT, MOS_LIMIT = 0.5, 0.01, 0.01
"""Most that int8 may lose: points of word errors, likeness, DistillMOS."""
_RATE_HZ = 16_000


@dataclass(frozen=True)
class Spoken:
    """One text with one profile."""

    edits: EditCounts
    """Of the words that were heard."""
    likeness: float
    """Cosine with the voice's recording."""
    mos: float | None
    """DistillMOS, None where it is not installed."""
    codes: tuple[int, ...]
    """Of all its sentences."""


class Judge:
    """Measures speech as the gates do."""

    def __init__(self, listener: Whisper, encoder: SpeakerEncoder) -> None:
        self._listener, self._encoder = listener, encoder
        self._mos = distilled.available()

    def spoken(self, engine: Engine, voice: Voice, text: str, language: str, seed: int) -> Spoken:
        """Speaks a text and measures it."""
        speech = engine.speak(SpeechRequest(text, language=language, sampling=Sampling(seed=seed)), voice)
        wave: Waveform = speech.wave
        likeness = float(np.dot(self._encoder.embed(wave), voice.prompt.speaker))
        mos = distilled.distilled_mos(resample(wave, _RATE_HZ).samples) if self._mos else None
        codes = tuple(code for sentence in speech.sentences for code in sentence.codes)
        return Spoken(self._listener.errors(wave, text, language), likeness, mos, codes)


def table(found: dict[str, list[Spoken]]) -> tuple[list[str], bool]:
    """Lines of all measures, and whether int8 keeps every limit."""
    fp32, int8 = (found[profile] for profile in PROFILES)
    same = np.mean([one.codes == two.codes for one, two in zip(fp32, int8, strict=True)])
    lines = [
        f"{len(fp32)} texts, {100 * same:.0f} % with the same codes",
        f"{'measure':<22}{'fp32':>9}{'int8':>9}{'int8 loses':>12}{'limit':>8}",
    ]
    words = [100 * total([item.edits for item in side]).rate for side in (fp32, int8)]
    likeness = [float(np.mean([item.likeness for item in side])) for side in (fp32, int8)]
    rows: list[tuple[str, float, float, float, float]] = [
        ("word errors, %", words[0], words[1], words[1] - words[0], WORD_LIMIT),
        ("likeness, GE2E", likeness[0], likeness[1], likeness[0] - likeness[1], LIKENESS_LIMIT),
    ]
    mos = [[item.mos for item in side if item.mos is not None] for side in (fp32, int8)]
    if all(mos):
        means = [float(np.mean(side)) for side in mos]
        rows.append(("DistillMOS", means[0], means[1], means[0] - means[1], MOS_LIMIT))
    kept = True
    for name, one, two, lost, limit in rows:
        kept = kept and lost <= limit
        lines.append(f"{name:<22}{one:>9.3f}{two:>9.3f}{lost:>12.4f}{limit:>8g}  {'ok' if lost <= limit else 'MISS'}")
    if not all(mos):
        lines.append("DistillMOS            not installed")
    return lines, kept


def voices_of(speech: Path, language: str, keep: Path) -> tuple[Path, list[Voice]]:
    """Folder of the base's graphs, and voices of known readers and strangers, each from one clip."""
    exported = exported_nano(keep)
    voices = [zero_shot(exported, speaker, clip, language) for _, speaker, clip in recordings(speech, language, 2)]
    return exported.folder, voices


@click.command(help=__doc__)
@click.option("--count", default=48, show_default=True, help="Most texts.")
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", show_default=True)
@click.option("--speech", type=click.Path(path_type=Path), default=Path("../shared/speech"), envvar="TIMBRE_SPEECH")
@click.option("--whisper", type=click.Path(path_type=Path), help="Model folder (default: TIMBRE_WHISPER).")
@click.option("--keep", type=click.Path(path_type=Path), default=Path(".timbre/benchmarks"), show_default=True,
              help="Where nano's exported graphs are kept between runs.")  # fmt: skip
def main(count: int, language: str, speech: Path, whisper: Path | None, keep: Path) -> None:
    """Print both profiles and their difference."""
    model = model_folder(whisper)
    if isinstance(model, str):
        click.echo(f"skipped: {model}")
        return
    folder, voices = voices_of(speech, language, keep)
    texts: Sequence[str] = next(texts for _, code, texts in texts_of(load_base("nano"), count) if code == language)
    found: dict[str, list[Spoken]] = {profile: [] for profile in PROFILES}
    engines = {profile: Engine(folder, EngineSettings(profile=profile)) for profile in PROFILES}
    try:
        judge = Judge(Whisper(model), SpeakerEncoder(engines["fp32"].base))
        for index, text in enumerate(texts):
            for profile, engine in engines.items():
                found[profile].append(judge.spoken(engine, voices[index % len(voices)], text, language, index))
            if index % 12 == 11:
                click.echo("\n".join(table(found)[0]), err=True)
    finally:
        for engine in engines.values():
            engine.close()
    lines, kept = table(found)
    click.echo("\n".join(lines))
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
