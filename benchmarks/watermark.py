"""What the mark of synthetic speech survives, what it costs, and how often it is seen where there is none.

    python -m benchmarks.watermark --speech ../shared/speech/ljspeech --speech ../shared/speech/aishell

Marked are recordings of people, joined to the length given: real speech is the harder case, since nothing of it was
made by this program. Printed beside the limits of the project: found after MP3 at 64 kbit/s, resampling and noise at
20 dB; false alarms, of keys that were not used; loss of PESQ against the recording; processor time.
"""

from __future__ import annotations

import io
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import click
import numpy as np
import soundfile as sf
import soxr

from timbre.audio.watermark import ALIGNMENTS, SCORE, differences, find_mark, mark, scores_of
from timbre.audio.waveform import Samples, Waveform

RATE_HZ = 24_000
NAME = "ada@0123456789ab"
OTHERS = [f"voice{index}@0123456789ab" for index in range(1000)]
LIMIT_ALARMS, LIMIT_PESQ, LIMIT_COST = 1e-4, 0.05, 0.05
_NANO_CPU_S = 0.05
"""Processor seconds that nano takes for a second of speech (docs/serving-engine.md); larger bases take more."""
_PESQ_S, _PESQ_HZ = 8, 16_000


def sounds(folders: tuple[Path, ...], seconds: float, most: int) -> list[Samples]:
    """Recordings of each folder joined to pieces of the length."""
    found = []
    for folder in folders:
        waiting: list[Samples] = []
        own = 0
        for path in sorted(path for kind in ("flac", "ogg", "wav") for path in folder.rglob(f"*.{kind}")):
            samples, rate = sf.read(str(path), dtype="float32")
            waiting.append(np.asarray(soxr.resample(samples, rate, RATE_HZ), np.float32))
            if sum(map(len, waiting)) >= seconds * RATE_HZ:
                found.append(np.concatenate(waiting)[: round(seconds * RATE_HZ)])
                waiting, own = [], own + 1
            if own == max(1, most // len(folders)):
                break
    return found


def through_mp3(samples: Samples) -> Waveform:
    """64 kbit/s and back."""
    data = io.BytesIO()
    with av.open(data, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=RATE_HZ, layout="mono")
        stream.bit_rate = 64_000
        whole = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16p", layout="mono")
        frame.sample_rate, frame.pts = RATE_HZ, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data.seek(0)
    with av.open(data, "r") as reading:
        found = np.concatenate([frame.to_ndarray()[0] for frame in reading.decode(audio=0)])
    return Waveform(found.astype(np.float32), RATE_HZ)


def resampled(rate_hz: int) -> Callable[[Samples], Waveform]:
    """To a rate that the detector then has to deal with."""
    return lambda samples: Waveform(np.asarray(soxr.resample(samples, RATE_HZ, rate_hz), np.float32), rate_hz)


def noisy(samples: Samples) -> Waveform:
    """White noise 20 dB below the speech."""
    level = float(np.sqrt(np.mean(np.square(samples)))) / 10
    noise = np.random.default_rng(1).standard_normal(len(samples)).astype(np.float32) * np.float32(level)
    return Waveform(samples + noise, RATE_HZ)


CHANGES: dict[str, Callable[[Samples], Waveform]] = {
    "as it was": lambda samples: Waveform(samples, RATE_HZ),
    "MP3, 64 kbit/s": through_mp3,
    "resampled to 16 kHz": resampled(16_000),
    "resampled to 44.1 kHz": resampled(44_100),
    "noise at 20 dB": noisy,
    "cut at 1.234 s": lambda samples: Waveform(samples[round(1.234 * RATE_HZ) :], RATE_HZ),
    "half as loud": lambda samples: Waveform(samples * np.float32(0.5), RATE_HZ),
}


def alarms(clean: list[Samples], keys: int) -> tuple[float, float, int]:
    """Rate of sounds that another key would mark, as counted and as the normal tail of the scores says; trials."""
    drawn = np.random.default_rng(2)
    counted, spread, trials = 0, [], 0
    for samples in clean:
        difference = differences(Waveform(samples, RATE_HZ))
        assert difference is not None
        others = np.sign(drawn.standard_normal((keys, 32, 30))).astype(np.float32)
        highest = np.full(keys, -np.inf)
        for offset in range(ALIGNMENTS):
            found = scores_of(difference, others, offset, 0)
            highest = np.maximum(highest, found)
            spread.append(float(np.mean(np.square(found))))
        counted += int((highest >= SCORE).sum())
        trials += keys
    sigma = math.sqrt(float(np.mean(spread)))
    tail = ALIGNMENTS * 0.5 * math.erfc(SCORE / sigma / math.sqrt(2))
    return counted / trials, tail, trials


@click.command()
@click.option("--speech", "folders", multiple=True, type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--seconds", multiple=True, type=float, default=(6.0, 12.0, 24.0), show_default=True)
@click.option("--sounds", "most", default=20, show_default=True, help="Of each length.")
@click.option("--keys", default=1000, show_default=True, help="Keys that were not used, tried on each sound.")
def main(folders: tuple[Path, ...], seconds: tuple[float, ...], most: int, keys: int) -> None:
    """Prints every figure; exit code 1 when a limit is missed at the longest of the lengths."""
    from pesq import pesq

    fine = True
    for length in seconds:
        clean = sounds(folders, length, most)
        begun = time.process_time()
        marked = [mark(Waveform(samples, RATE_HZ), NAME).samples for samples in clean]
        cost = (time.process_time() - begun) / (length * len(clean))
        click.echo(f"{len(clean)} sounds of {length:g} s: found, and the voice named among {len(OTHERS) + 1}")
        for name, change in CHANGES.items():
            marks = [find_mark(change(samples), [*OTHERS, NAME]) for samples in marked]
            found, named = (sum(item.found for item in marks), sum(item.voice == NAME for item in marks))
            wrong = sum(item.voice not in ("", NAME) for item in marks)
            fine = fine and (length < max(seconds) or found == len(marks)) and not wrong
            scores = sorted(item.score for item in marks)
            click.echo(
                f"  {name:<24}{found:>4} {named:>4}  wrong names {wrong}  score {scores[0]:.1f} to {scores[-1]:.1f}"
            )
    counted, tail, trials = alarms(clean, keys)
    fine = _report("false alarms, counted", counted, LIMIT_ALARMS, f"of {trials} trials") and fine
    fine = _report("false alarms, normal tail", tail, LIMIT_ALARMS, f"score {SCORE} or more, any alignment") and fine
    loss = []
    for before, after in zip(clean, marked, strict=True):
        pair = [np.asarray(soxr.resample(item[: _PESQ_S * RATE_HZ], RATE_HZ, _PESQ_HZ)) for item in (before, after)]
        loss.append(pesq(_PESQ_HZ, pair[0], pair[0], "nb") - pesq(_PESQ_HZ, pair[0], pair[1], "nb"))
    fine = _report("loss of PESQ (nb), mean", float(np.mean(loss)), LIMIT_PESQ, f"most {max(loss):.3f}") and fine
    words = f"{cost * 1000:.2f} ms of processor time a second, of {_NANO_CPU_S * 1000:.0f} that nano takes"
    fine = _report("cost, share of synthesis", cost / _NANO_CPU_S, LIMIT_COST, words) and fine
    sys.exit(not fine)


def _report(what: str, value: float, limit: float, words: str) -> bool:
    fine = value < limit
    click.echo(f"{what:<28}{value:>10.2g}  limit {limit:<7g}{'ok' if fine else 'MISS':<6}{words}")
    return fine


if __name__ == "__main__":
    main()
