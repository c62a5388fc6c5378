"""The engine on nano: how fast a sentence is spoken and begins to be heard, and eight requests at once.

Wall seconds matter here (two cores share the work), so run it on a machine that is otherwise idle; CPU seconds stand
beside them.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from benchmarks.interleaved import take_turns
from timbre.audio.reader import read
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform
from timbre.core.base import load_base
from timbre.inference import phase_refinement
from timbre.inference.acoustic import DecoderCache
from timbre.inference.copy_synthesis import magnitude_spectrum
from timbre.inference.engine import Engine
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.exported_base import EDITION, EXPORT_FILE, ExportedBase, read_export
from timbre.inference.pace import Pace
from timbre.inference.phase_refinement import FrameTransform
from timbre.inference.pieces import pieces_of
from timbre.inference.profiles import INT8
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampler, Sampling
from timbre.inference.session import open_session
from timbre.inference.speaker import SpeakerEncoder
from timbre.inference.t2s_slots import Lora
from timbre.inference.voice import Delta, Prompt, Voice
from timbre.training.export.base_export import export_base

SENTENCE = "The morning train was late again, so we walked along the river and talked about what we would do next."
"""Twenty words."""
RTF_LIMIT, CPU_LIMIT, FIRST_SOUND_LIMIT_S, TOGETHER_LIMIT = 0.03, 0.025, 0.06, 1.5
"""On two cores that do nothing else, with what a server takes by itself: int8, one thread a graph."""
RANK, VOICES = 8, 8
COPIED = (
    "awb/wavs/0002.flac", "awb/wavs/0007.flac", "wren/wavs/0001.flac", "wren/wavs/0005.flac",
    "kathleen/wavs/0003.ogg", "kathleen/wavs/0006.ogg", "aishell/wavs/0001.flac", "lian/wavs/0001.flac",
)  # fmt: skip
"""Recordings of five readers, in voices/."""
_SECONDS_PER_PHONE = 0.085
_FLOATS = np.float32


def exported_nano(keep: Path) -> ExportedBase:
    """nano's graphs below `keep`, exported there when they are not of the present weights and exporter."""
    base = load_base("nano")
    folder = keep / f"{base.digest[:16]}-{EDITION}"
    if not (folder / EXPORT_FILE).is_file():
        click.echo(f"exporting nano to {folder} ...")
        export_base(base, folder)
    return read_export(folder)


def spoken_condition(base: ExportedBase, recording: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Condition [1, G, 1] and GE2E vector [W] of a recording."""
    wave = read(recording)
    samples = resample(wave, base.rate_hz).samples
    spectrum = magnitude_spectrum(samples, base.fft_size, base.hop)[None]
    speaker = SpeakerEncoder(base).embed(wave)
    condition = open_session(base.graph("style")).run(None, {"spectrum": spectrum, "speaker": speaker[None]})[0]
    return np.asarray(condition, _FLOATS), speaker


def benchmark_voices(base: ExportedBase, count: int, recording: Path) -> list[Voice]:
    """Voices with rank 8 adapters everywhere, too small to change the speech, conditioned on a real recording."""
    condition, speaker = spoken_condition(base, recording)
    weights = load_file(base.graph("weights"))
    voices = []
    for number in range(count):
        rng = np.random.default_rng(number)

        def small(*size: int, rng: np.random.Generator = rng) -> NDArray[np.float32]:
            return (1e-3 * rng.standard_normal(size)).astype(_FLOATS)

        lora = Lora({name: (small(low, RANK), small(RANK, high)) for name, (low, high) in base.t2s.projections.items()})
        acoustic = {}
        for name, weight in weights.items():
            if name.endswith((".weight", ".weight.T")) and weight.ndim >= 2:
                shape = (weight.T if name.endswith(".T") else weight).shape
                down, up = small(RANK, *shape[1:]), small(shape[0], RANK, *(1 for _ in shape[2:]))
                acoustic[name.removesuffix(".T")] = Delta(down, up, 1.0)
        prompt = Prompt(np.arange(50), np.arange(30), "en", condition, speaker, Pace(_SECONDS_PER_PHONE))
        voices.append(Voice(f"voice{number}", "1", base.digest, prompt, lora, acoustic))
    return voices


@dataclass(frozen=True)
class _Timed:
    wall_s: float
    cpu_s: float


def _timed(run: Callable[[], object]) -> _Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return _Timed(time.perf_counter() - wall, time.process_time() - cpu)


def speaking(base: ExportedBase, voice: Voice, rounds: int) -> None:
    """Real-time factor and time to the first sound of the 20-word sentence, each profile and number of threads."""
    click.echo(f"nano, {len(SENTENCE.split())} words; medians of {rounds} rounds")
    heads = f"{'audio s':>9}{'RTF':>8}{'checked':>9}{'CPU s/s':>9}{'first ms':>10}{'CPU ms':>8}"
    click.echo(f"{'profile':<9}{'threads':>8}{heads}  limits")
    for profile in ("fp32", "int8"):
        for threads in (1, 2):
            with Engine(base, EngineSettings(profile=profile, threads=threads)) as engine:
                _speaking_row(engine, voice, rounds)


def _speaking_row(engine: Engine, voice: Voice, rounds: int) -> None:
    factors, checked, cpu, first, first_cpu, seconds = [], [], [], [], [], []
    engine.speak(SpeechRequest(SENTENCE, sampling=Sampling(seed=99)), voice)
    for number in range(rounds):
        plain = SpeechRequest(SENTENCE, sampling=Sampling(seed=number), check=False)
        timed, length = _spoken(engine, plain, voice)
        factors.append(timed.wall_s / length)
        cpu.append(timed.cpu_s / length)
        seconds.append(length)
        timed, length = _spoken(engine, SpeechRequest(SENTENCE, sampling=Sampling(seed=number)), voice)
        checked.append(timed.wall_s / length)
        with closing(engine.stream(plain, voice)) as stream:
            begun = _timed(lambda stream=stream: next(stream))  # type: ignore[misc]
        first.append(begun.wall_s)
        first_cpu.append(begun.cpu_s)
        _wait_until_idle(engine)
    middle = statistics.median
    ok = middle(factors) <= RTF_LIMIT and middle(cpu) <= CPU_LIMIT and middle(first) <= FIRST_SOUND_LIMIT_S
    served = engine.settings.profile == INT8 and engine.settings.threads == EngineSettings().threads
    click.echo(
        f"{engine.settings.profile:<9}{engine.settings.threads:>8}{middle(seconds):>9.2f}{middle(factors):>8.3f}"
        f"{middle(checked):>9.3f}{middle(cpu):>9.3f}{1e3 * middle(first):>10.0f}{1e3 * middle(first_cpu):>8.0f}"
        f"  RTF <= {RTF_LIMIT:g}, CPU <= {CPU_LIMIT:g}, first <= {1e3 * FIRST_SOUND_LIMIT_S:.0f} ms"
        f"  {'ok' if ok else 'MISS'}{'' if served else ' (not the default)'}"
    )


def _spoken(engine: Engine, request: SpeechRequest, voice: Voice) -> tuple[_Timed, float]:
    lengths = []
    timed = _timed(lambda: lengths.append(engine.speak(request, voice).wave.duration_s))
    return timed, lengths[0]


def _wait_until_idle(engine: Engine) -> None:
    while engine.scheduler.depth != (0, 0):
        time.sleep(0.01)


def together(base: ExportedBase, voices: list[Voice], rounds: int, threads: int = 1) -> None:
    """As many requests as voices, one after the other and at once, in turns; equal audio is required."""
    requests = [SpeechRequest(SENTENCE, sampling=Sampling(seed=number), check=False) for number in range(len(voices))]
    rows: dict[str, list[_Timed]] = {"one by one": [], "at once": []}
    with Engine(base, EngineSettings(slots=len(voices), voices=len(voices), threads=threads)) as engine:
        found: dict[str, list[NDArray[np.float32]]] = {}
        for turn in range(rounds + 1):
            for name, run in (("one by one", _one_by_one), ("at once", _at_once)):
                waves: list[NDArray[np.float32]] = [np.zeros(0, _FLOATS)] * len(voices)
                timed = _timed(lambda run=run, waves=waves: run(engine, requests, voices, waves))  # type: ignore[misc]
                found[name] = waves
                if turn:
                    rows[name].append(timed)
    alone, at_once = found["one by one"], found["at once"]
    audio_s = sum(len(wave) for wave in alone) / base.rate_hz
    same = all(one.shape == two.shape and np.array_equal(one, two) for one, two in zip(alone, at_once, strict=True))
    click.echo(f"{len(voices)} requests with {len(voices)} voices, {audio_s:.1f} s of audio, {threads} thread a graph")
    click.echo(f"{'variant':<14}{'wall s':>9}{'CPU s':>9}{'audio s/s':>11}")
    for name, timings in rows.items():
        wall, cpu = (statistics.median(getattr(item, key) for item in timings) for key in ("wall_s", "cpu_s"))
        click.echo(f"{name:<14}{wall:>9.3f}{cpu:>9.3f}{audio_s / wall:>11.1f}")
    one, all_s = (statistics.median(item.wall_s for item in rows[name]) for name in ("one by one", "at once"))
    ok = one / all_s >= TOGETHER_LIMIT and same
    click.echo(
        f"throughput {one / all_s:.2f} times (limit {TOGETHER_LIMIT:g}), audio {'equal' if same else 'DIFFERS'}"
        f"  {'ok' if ok else 'MISS'}"
    )


def _one_by_one(
    engine: Engine, requests: list[SpeechRequest], voices: list[Voice], waves: list[NDArray[np.float32]]
) -> None:
    for index, (request, voice) in enumerate(zip(requests, voices, strict=True)):
        waves[index] = engine.speak(request, voice).wave.samples


def _at_once(
    engine: Engine, requests: list[SpeechRequest], voices: list[Voice], waves: list[NDArray[np.float32]]
) -> None:
    def speak(index: int) -> None:
        waves[index] = engine.speak(requests[index], voices[index]).wave.samples

    workers = [threading.Thread(target=speak, args=(index,)) for index in range(len(voices))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def pieces_against_whole(base: ExportedBase, voices: list[Voice]) -> None:
    """What streaming changes: pieces that go on from the last one beside a decode of the sentence at once."""
    from timbre.evaluation.metrics.perceptual import pesq

    scores, lengths = [], []
    with Engine(base, EngineSettings()) as engine:
        for number, voice in enumerate(voices):
            request = SpeechRequest(SENTENCE, sampling=Sampling(seed=number), check=False)
            whole = engine.speak(request, voice).wave
            joined = np.concatenate([piece.samples for piece in engine.stream(request, voice)])
            lengths.append(len(joined) == len(whole.samples))
            narrow = [resample(type(whole)(item, base.rate_hz), 16_000).samples for item in (whole.samples, joined)]
            scores.append(pesq(narrow[0], narrow[1], band="nb"))
    click.echo(f"streamed beside whole: PESQ nb median {statistics.median(scores):.2f}, worst {min(scores):.2f}; "
               f"lengths {'equal' if all(lengths) else 'DIFFER'}")  # fmt: skip


def copies(base: ExportedBase, rounds: int) -> None:
    """Recordings through posterior encoder and generator, whole and in pieces of two seconds: what rounds of phase
    refinement are worth, by PESQ and STOI, and what they cost; variants take turns.
    """
    from timbre.evaluation.metrics.alignment import align
    from timbre.evaluation.metrics.perceptual import RATE_HZ, pesq, stoi

    variants = {
        "24 below 1.5 kHz, 12 below 3 kHz, 4 in all": ((8, 24), (4, 12), (1, 4)),
        "as the engine has it": phase_refinement._BANDS,
        "32 in the whole band": ((1, 32),),
    }
    posterior = open_session(base.graph("posterior"))
    decoders = DecoderCache(base)
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in variants}
    kept = phase_refinement._BANDS
    for path in COPIED:
        samples = resample(read(Path("voices") / path), base.rate_hz).samples
        condition, _ = spoken_condition(base, Path("voices") / path)
        spectrum = magnitude_spectrum(samples, base.fft_size, base.hop)[None]
        latent = np.asarray(posterior.run(None, {"spectrum": spectrum, "condition": condition})[0], _FLOATS)
        waves: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

        def copied(name: str, latent: Any = latent, condition: Any = condition, waves: Any = waves) -> None:
            phase_refinement._BANDS = variants[name]
            both = []
            for step in (latent.shape[2], 2 * base.rate_hz // base.hop):
                pieces = pieces_of(base, decoders._plain.generator, condition)
                ends = [*range(step, latent.shape[2], step), latent.shape[2]]
                both.append(np.concatenate([pieces.next(latent, end) for end in ends]))
            waves[name] = both[0], both[1]

        timings = take_turns({name: partial(copied, name) for name in variants}, rounds)
        for name, timing in timings.items():
            scores = []
            for wave in waves[name]:
                sides = [
                    resample(Waveform(item[: len(wave)], base.rate_hz), RATE_HZ).samples for item in (samples, wave)
                ]
                aligned = align(sides[0], sides[1], RATE_HZ)
                pair = aligned.reference, aligned.degraded
                scores += [pesq(*pair, band="nb"), pesq(*pair, band="wb"), stoi(*pair)]
            found[name].append((*scores, 1e3 * timing.best_s / 2 / (len(samples) / base.rate_hz)))
    phase_refinement._BANDS = kept
    click.echo(
        f"{len(COPIED)} recordings copied through nano, means: whole / in pieces; CPU ms for a second, best of {rounds}"
    )
    click.echo(f"{'rounds':<44}{'PESQ nb':>15}{'PESQ wb':>15}{'STOI':>17}{'CPU ms':>8}")
    for name, rows in found.items():
        nb, wb, st, nb2, wb2, st2, ms = np.mean(rows, axis=0)
        texts = f"{nb:.3f} / {nb2:.3f}", f"{wb:.3f} / {wb2:.3f}", f"{st:.4f} / {st2:.4f}"
        click.echo(f"{name:<44}{texts[0]:>15}{texts[1]:>15}{texts[2]:>17}{ms:>8.1f}")


def _in_the_whole_band(
    _transform: FrameTransform, _magnitudes: Any, phasors: Any, rounds: int, _known: Any = None
) -> tuple[Any, int]:
    """In place of ``FrameTransform.led``: no round is spent on the lowest bands first."""
    return phasors, rounds


def savings(base: ExportedBase, voice: Voice, rounds: int) -> None:
    """What reading ahead, guessing from what was read and refining low bands first save: CPU seconds for a second of
    speech, variants taking turns.
    """
    requests = [SpeechRequest(SENTENCE, sampling=Sampling(seed=number), check=False) for number in range(2)]
    led, expected = FrameTransform.led, Sampler._expected
    click.echo(f"{'profile':<9}{'variant':<48}{'CPU s/s':>9}{'share':>8}{'runs a code':>13}")
    for profile in ("fp32", "int8"):
        with Engine(base, EngineSettings(profile=profile)) as engine:
            found: dict[str, tuple[float, float]] = {}

            def speak(
                name: str, ahead: bool, taught: bool, bands: bool, engine: Engine = engine, found: Any = found
            ) -> None:
                engine.scheduler.reads_ahead = ahead
                Sampler._expected = expected if taught else lambda *_: None  # type: ignore[method-assign]
                FrameTransform.led = led if bands else _in_the_whole_band  # type: ignore[method-assign, assignment]
                before = engine.scheduler.steps
                spoken = [engine.speak(request, voice) for request in requests]
                codes = sum(len(item.codes) for speech in spoken for item in speech.sentences)
                seconds = sum(speech.wave.duration_s for speech in spoken)
                found[name] = seconds, (engine.scheduler.steps - before) / codes

            variants = {
                "code by code, all rounds in the whole band": (False, False, False),
                "several at once, as long as sounds usually are": (True, False, False),
                "as long as the network said before": (True, True, False),
                "and most rounds in the lowest bands": (True, True, True),
            }
            runs = {name: (lambda name=name, sides=sides: speak(name, *sides)) for name, sides in variants.items()}
            timings = take_turns(runs, rounds)
            first = next(iter(timings.values())).median_s
            for name, timing in timings.items():
                click.echo(
                    f"{profile:<9}{name:<48}{timing.median_s / found[name][0]:>9.4f}{timing.median_s / first:>8.2f}"
                    f"{found[name][1]:>13.2f}"
                )
    FrameTransform.led, Sampler._expected = led, expected  # type: ignore[method-assign]


def run(parts: tuple[str, ...], rounds: int, keep: Path | None, recording: Path) -> None:
    """Prints the chosen parts: "nano", "savings", "copies", "together", "pieces"."""
    if not set(parts) & {"nano", "savings", "copies", "together", "pieces"}:
        return
    with tempfile.TemporaryDirectory() as temporary:
        base = exported_nano(keep or Path(temporary))
        voices = benchmark_voices(base, VOICES, recording)
        if "nano" in parts:
            speaking(base, voices[0], rounds)
        if "savings" in parts:
            savings(base, voices[0], rounds)
        if "copies" in parts:
            copies(base, rounds)
        if "together" in parts:
            together(base, voices, rounds)
        if "pieces" in parts:
            pieces_against_whole(base, voices[:4])
