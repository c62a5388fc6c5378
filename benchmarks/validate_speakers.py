"""Stage 1 on real speakers, clean and degraded: python -m benchmarks.validate_speakers [--speakers N] [--spoil]

Needs the shared speech data (TIMBRE_SHARED, or ../shared). Prints a Markdown table.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import click
import numpy as np
from scipy.signal import butter, sosfilt

from benchmarks.stage_one import run_stage_one, write_voice
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Samples, Waveform
from timbre.core.atomic import write_json

_CLIPS = 20
_SNRS_DB = (20, 10, 5, 0)
_LOWEST_HEARD_HZ = 80.0
Spoken = list[tuple[Waveform, str]]


def shared_speech() -> Path:
    """Folder of the shared speech data."""
    return Path(os.environ.get("TIMBRE_SHARED", "../shared")) / "speech"


def corpus_rows(folder: Path) -> list[tuple[Path, str, str, str]]:
    """(file, speaker, language, text) of every clip of a corpus."""
    lines = (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]
    parts = [line.split("|") for line in lines]
    return [(folder / p[0], p[1], p[2], p[3]) for p in parts]


def speakers(speech: Path, most: int, seconds: float) -> Iterator[tuple[str, str, Callable[[], Spoken]]]:
    """(name, language, clips): LJSpeech, VCTK, AISHELL, then speakers of speechocean762 evenly spread.

    Clips are read when they are asked for, once.
    """
    for corpus in ("ljspeech", "vctk", "aishell"):
        rows = corpus_rows(speech / corpus)
        yield corpus, rows[0][2], cache(partial(_pick, rows, seconds))
    learners = speech / "speechocean762"
    tables = sorted(learners.glob("**/metadata.csv"))
    rows = [row for table in tables for row in corpus_rows(table.parent)]
    names = sorted({row[1] for row in rows})
    for name in names[:: max(1, len(names) // max(1, most - 3))][: most - 3]:
        yield name, "en", cache(partial(_pick, [row for row in rows if row[1] == name], seconds))


def _pick(rows: list[tuple[Path, str, str, str]], seconds: float) -> Spoken:
    random.Random(1).shuffle(rows)
    clips: Spoken = []
    for file, _, _, text in rows:
        if sum(wave.duration_s for wave, _ in clips) > seconds or len(clips) >= 3 * _CLIPS:
            break
        if file.is_file():
            wave = read(file)
            # Lossy files may decode to a little more than full scale, which 16 bit cannot hold.
            loud = float(np.abs(wave.samples).max()) > 1.0
            clips.append((_in_range(wave.samples, wave.rate_hz) if loud else wave, text))
    return clips


def with_noise(clips: Spoken, noise: Waveform, snr_db: float) -> Spoken:
    """Every clip with the noise at that ratio of mean powers above 80 Hz: what is lower nobody hears beside a voice."""
    spoilt = []
    for wave, text in clips:
        # A recording of noise may begin with digital silence, longer than a sentence.
        other = np.resize(np.trim_zeros(resample(noise, wave.rate_hz).samples, "f"), len(wave.samples))
        power = _heard_power(wave.samples, wave.rate_hz) / (_heard_power(other, wave.rate_hz) * 10 ** (snr_db / 10))
        spoilt.append((_in_range(wave.samples + np.float32(np.sqrt(power)) * other, wave.rate_hz), text))
    return spoilt


def _heard_power(samples: Samples, rate_hz: int) -> float:
    high = sosfilt(butter(4, _LOWEST_HEARD_HZ, "highpass", fs=rate_hz, output="sos"), samples)
    return float(np.mean(np.square(high)))


def in_room(clips: Spoken, response: Waveform) -> Spoken:
    """Every clip through a room."""
    spoilt = []
    for wave, text in clips:
        room = resample(response, wave.rate_hz).samples
        spoilt.append((_in_range(np.convolve(wave.samples, room).astype(np.float32), wave.rate_hz), text))
    return spoilt


def _in_range(samples: Samples, rate_hz: int) -> Waveform:
    return Waveform((samples * np.float32(0.5 / np.abs(samples).max())).astype(np.float32), rate_hz)


def conditions(
    speech: Path,
    clips: Callable[[], Spoken],
    kinds: Sequence[str],
    rooms: int,
    snrs_db: Sequence[int] = _SNRS_DB,
    files: int = 1,
) -> Iterator[tuple[str, Callable[[], Spoken]]]:
    """The clips clean, with noises at those levels, and in rooms evenly picked from dry to wet; none below 0.

    files: recordings of each kind of noise, 0 for all.
    """
    yield "clean", clips
    for kind in kinds or sorted(path.name for path in (speech / "noise").iterdir() if path.is_dir()):
        recordings = sorted(path for path in (speech / "noise" / kind).iterdir() if path.suffix in (".ogg", ".flac"))
        for file in recordings[: files or None]:
            for snr_db in snrs_db:
                yield f"{kind} {file.stem} {snr_db} dB", partial(_noisy, clips, file, snr_db)
    responses = sorted((speech / "rir").glob("*.flac")) if rooms >= 0 else []
    for response in responses if rooms <= 0 else responses[-1 :: -max(1, len(responses) // rooms)][:rooms]:
        yield response.stem, partial(_roomy, clips, response)


def _noisy(clips: Callable[[], Spoken], noise: Path, snr_db: float) -> Spoken:
    return with_noise(clips(), read(noise), snr_db)


def _roomy(clips: Callable[[], Spoken], response: Path) -> Spoken:
    return in_room(clips(), read(response))


def table_row(
    speaker: str, condition: str, language: str, spoken: Callable[[], Spoken], work: Path, kept: Path | None = None
) -> tuple[str, bool]:
    """One line of the table, and whether it passes. Amounts are not looked at, so the limits on them are lowered.

    kept: where the row and the report are written, and read from if they are there.
    """
    if kept is not None and kept.is_file():
        known = json.loads(kept.read_text(encoding="utf-8"))
        return known["row"], known["passed"]
    with tempfile.TemporaryDirectory(dir=work) as place:
        folder = write_voice(Path(place) / "voice", language, spoken())
        outcome = run_stage_one(folder, Path(place), recipe={"min_effective_s": 5.0, "held_out_min": 1})
        report = json.loads((outcome.report / "validation.json").read_text(encoding="utf-8"))
    heard = [clip for clip in report["clips"] if "snr_db" in clip]
    before = [clip["denoise"]["before"]["overall"] for clip in heard if (clip.get("denoise") or {}).get("before")]
    after = [clip["denoise"]["after"]["overall"] for clip in heard if (clip.get("denoise") or {}).get("after")]
    mos = f"{np.mean(before):.2f} -> {np.mean(after):.2f}" if before else "-"
    reasons = [problem.value for problem in outcome.problems]
    shown = f"refused, {len(reasons)}: {reasons[0][:70]}" if reasons else "passes"
    rings = report["reverberation_s"]
    cells = (
        speaker,
        condition,
        f"{report['effective_s']:.0f}",
        f"{np.median([c['snr_db'] for c in heard]):.0f}",
        f"{rings:.2f}" if rings is not None else "-",
        f"{report['denoised_clips']}/{len(heard)}",
        mos,
        shown,
    )
    row = "| " + " | ".join(cells) + " |"
    if kept is not None:
        write_json(kept, {"row": row, "passed": not reasons, "report": report})
    return row, not reasons


@click.command()
@click.option("--speakers", "most", default=8, show_default=True, help="Speakers, three of them of the large corpora.")
@click.option("--spoil", is_flag=True, help="Each also with noises at 20, 10, 5, 0 dB and in rooms.")
@click.option("--noise", "kinds", multiple=True, help="With --spoil: only these noises.")
@click.option("--rooms", default=0, help="With --spoil: only so many rooms; 0 for all, -1 for none.")
@click.option("--snr", "snrs_db", multiple=True, type=int, default=_SNRS_DB, help="With --spoil: only these, in dB.")
@click.option("--seconds", default=110.0, show_default=True, help="Recordings of each, in seconds.")
@click.option("--files", default=1, show_default=True, help="With --spoil: recordings of each noise; 0 for all.")
@click.option("--speaker", "names", multiple=True, help="Of the speakers only these.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder of results, to go on from.")
def main(
    most: int,
    spoil: bool,
    kinds: tuple[str, ...],
    rooms: int,
    snrs_db: tuple[int, ...],
    seconds: float,
    files: int,
    names: tuple[str, ...],
    keep: Path | None,
) -> None:
    """Validate speakers and print what was said to each."""
    speech = shared_speech()
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    sums: dict[str, list[bool]] = {}
    click.echo("| speaker | condition | speech s | SNR dB | room s | denoised | DNSMOS tried | verdict |")
    click.echo("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as work:
        for name, language, clips in speakers(speech, most, seconds):
            if names and name not in names:
                continue
            every = conditions(speech, clips, kinds, rooms, snrs_db, files)
            for condition, spoken in every if spoil else itertools.islice(every, 1):
                kept = keep / f"{name} {condition}.json" if keep is not None else None
                line, passed = table_row(name, condition, language, spoken, Path(work), kept)
                click.echo(line)
                sums.setdefault(condition.split()[-2] + " dB" if condition.endswith("dB") else "no noise", []).append(
                    passed
                )
    for level, passes in sums.items():
        click.echo(f"{level}: {sum(passes)} of {len(passes)} pass")


if __name__ == "__main__":
    main()
