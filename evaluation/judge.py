"""Measures one voice through the engine that will serve it: copies of held-out recordings, and sentences from text.

renditions of held-out recordings -> PESQ, STOI, ESTOI, ...
renditions of sentences           -> phone error rate, failures, similarity, DNSMOS, ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timbre.audio.reader import write
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform, within_full_scale
from timbre.core.cancellation import Cancellation
from timbre.core.digests import digest_file
from timbre.core.errors import InputError
from timbre.core.progress import Progress, Task
from timbre.evaluation.measurements import Group, Measurements, Sample
from timbre.evaluation.metrics.alignment import align
from timbre.evaluation.metrics.errors import UnmeasurableError
from timbre.evaluation.metrics.perceptual import RATE_HZ, dnsmos, dnsmos_digest, pesq, stoi
from timbre.evaluation.metrics.signal import active_level_dbfs, bandwidth_hz, clipped_share, peak_dbfs
from timbre.evaluation.metrics.speaker import real_to_real, relative_similarity
from timbre.evaluation.metrics.words import words_wrong
from timbre.evaluation.rendition import Copied, Recording, Renderer, Sentence, Spoken, sentences_for
from timbre.evaluation.texts import VERSION
from timbre.inference.engine import Engine
from timbre.inference.recogniser import Recogniser
from timbre.inference.speaker import SpeakerEncoder
from timbre.inference.t2s_slots import NO_LORA
from timbre.inference.voice import Voice
from timbre.text.edit_distance import edit_counts
from timbre.text.frontend import phonemize
from timbre.text.lexicon import Lexicon
from timbre.text.recognition import spoken_class_ids

Values = dict[str, float]
Vectors = NDArray[np.float32]
MIN_RECORDINGS = 2
_WHOLE_S = 1.5


@dataclass(frozen=True)
class Plan:
    """How much is spoken. seeds: for the adapted voice; the base without adapter speaks once with the first of them.
    DNSMOS is asked about the first seed only: it takes longer than all other metrics together.
    """

    seeds: Sequence[int]
    fixed_sentences: int


@dataclass(frozen=True)
class TrainingOutcome:
    """What stage 3 says about a training, see training/finetune/memorisation.py; None where it does not."""

    memorisation: float | None = None
    held_out_loss: float | None = None


class Judge:
    """Measures voices of one engine. recogniser: the phone recogniser that counts errors (the base's own, or None)."""

    def __init__(self, engine: Engine, recogniser: Recogniser | None = None) -> None:
        self._engine = engine
        self._recogniser = recogniser or engine.recogniser
        self._speaker = SpeakerEncoder(engine.base, threads=engine.settings.threads)
        self._renderer = Renderer(engine)

    def measure(
        self,
        voice: Voice,
        held_out: Sequence[Recording],
        plan: Plan,
        output: Path,
        progress: Progress,
        *,
        outcome: TrainingOutcome | None = None,
        cancel: Cancellation | None = None,
    ) -> Measurements:
        """All measurements of a voice; samples are written below output/samples.

        Raises InputError when fewer than two held-out recordings exist: similarity would have nothing to compare with;
        Interrupted between two samples when asked to stop.
        """
        stop = cancel or Cancellation()
        embeddings = self.embed(held_out)
        samples = output / "samples"
        samples.mkdir(parents=True, exist_ok=True)
        sentences = sentences_for(held_out, plan.fixed_sentences)
        groups = []
        total = 2 * len(held_out) + len(sentences) * (len(plan.seeds) + 1)
        with progress.task("evaluate", total=total, unit="samples") as task:
            for name, speaker, seeds in (
                ("voice", voice, plan.seeds), ("base", without_adapter(voice), plan.seeds[:1]),
            ):  # fmt: skip
                copies = [
                    self._copy(item, speaker, samples / f"copy-{name}-{item.id}.wav", task, stop) for item in held_out
                ]
                spoken = [
                    self._speak(
                        sentence, seed, speaker, embeddings, samples / f"tts-{name}-{sentence.id}-{seed}.wav", task,
                        stop, plan.seeds[:1],
                    )
                    for sentence in sentences
                    for seed in seeds
                ]  # fmt: skip
                groups.append(Group(tuple(copies), tuple(spoken)))
        for item in held_out:
            write(samples / f"real-{item.id}.wav", item.wave)
        facts = self._real(held_out, embeddings, voice.lexicon)
        return self.measurements(voice.name, groups[0], groups[1], facts, outcome)

    def measurements(
        self,
        name: str,
        adapted: Group,
        plain: Group,
        facts: Mapping[str, float],
        outcome: TrainingOutcome | None = None,
    ) -> Measurements:
        """Measured groups with all that is said beside them. facts: about the recordings themselves."""
        found = outcome or TrainingOutcome()
        return Measurements(
            voice=name, base=self._engine.base.name, base_digest=self._engine.base.digest,
            profile=self._engine.settings.profile, texts_version=VERSION, adapted=adapted, plain=plain,
            real=facts, models=self._models(),
            memorisation=found.memorisation, held_out_loss=found.held_out_loss,
        )  # fmt: skip

    def embed(self, held_out: Sequence[Recording]) -> Vectors:
        """Speaker vectors [N, 256] of the recordings. Raises InputError when there are fewer than two."""
        if len(held_out) < MIN_RECORDINGS:
            raise InputError(
                f"evaluate: {len(held_out)} held-out recordings, at least {MIN_RECORDINGS} are needed",
                f"add recordings to the voice, or lower validate.held_out_min no further than {MIN_RECORDINGS}",
            )
        return self._speaker.embed_many([item.wave for item in held_out])

    # -- one rendition ---------------------------------------------------------------------------------------------

    def judge_copy(self, copied: Copied, file: str = "") -> Sample:
        """Everything about a copy. file: where it can be heard, below the stage's output."""
        item = copied.recording
        values, missing = self._sound(copied.copy, mos=True)
        detail: Values = {}
        try:
            aligned = align(resample(copied.original, RATE_HZ).samples, resample(copied.copy, RATE_HZ).samples, RATE_HZ)
            detail = {"delay_s": aligned.delay_s, "gain_db": aligned.gain_db}
            left, right = aligned.reference, aligned.degraded
            measures: Mapping[str, Callable[[], float]] = {
                "pesq_nb": lambda: pesq(left, right, band="nb"),
                "pesq_wb": lambda: pesq(left, right, band="wb"),
                "stoi": lambda: stoi(left, right),
                "estoi": lambda: stoi(left, right, extended=True),
            }
            _collect(measures, values, missing)
        except UnmeasurableError as error:
            missing |= dict.fromkeys(("pesq_nb", "pesq_wb", "stoi", "estoi"), str(error))
        return Sample(item.id, item.text, "held-out", None, file, values, missing, (), detail)

    def judge_speech(self, spoken: Spoken, real: Vectors, file: str = "", *, mos: bool = True) -> Sample:
        """Everything about a spoken sentence. real: speaker vectors of the recordings; mos: with DNSMOS."""
        sentence, wave = spoken.sentence, spoken.wave
        about = (sentence.id, sentence.text, sentence.source, spoken.seed)
        if wave is None:
            return Sample(*about, "", {"failed_sentences": 1.0}, {"speech": spoken.refusal}, (spoken.refusal,))
        # One word is too short for a speaker's likeness and for an opinion of quality: they are not asked about it.
        whole = spoken.expected_s >= _WHOLE_S
        values, missing = self._sound(wave, mos=mos and whole)
        if "peak_dbfs" in values:
            values["peak_dbfs"] -= 20 * math.log10(spoken.gain)  # as the voice speaks: a stream cannot be turned down
        detail = {"seconds": wave.duration_s}
        failures = [*spoken.failures, *self._pace(spoken, wave)]
        measures: dict[str, Callable[[], float]] = {}
        if whole:
            measures["speaker_similarity"] = lambda: float(relative_similarity(self._embedding(wave)[None], real)[0])
        if spoken.expected_s > 0 and wave.duration_s > 0:
            measures["pace_deviation"] = lambda: abs(math.log(wave.duration_s / spoken.expected_s))
        if self._recogniser is not None:
            heard = self._recogniser.hear(wave)
            counts = edit_counts(spoken_class_ids(spoken.phones), heard)
            if spoken.words:
                measures["word_error_rate"] = lambda: words_wrong(spoken.words, heard) / len(spoken.words)
            detail |= {"phones": counts.length, "phone_errors": counts.errors}
            measures["phone_error_rate"] = lambda: counts.rate
            limit = self._engine.settings.limits.error_rate_of(counts.length)
            if counts.rate > limit:
                failures.append(f"words missing: phoneme error rate {counts.rate:.0%} is above {limit:.0%}")
        _collect(measures, values, missing)
        values["failed_sentences"] = float(bool(failures))
        return Sample(*about, file, values, missing, tuple(failures), detail)

    def _copy(self, item: Recording, voice: Voice, path: Path, task: Task, cancel: Cancellation) -> Sample:
        cancel.check()
        copied = self._renderer.copy(item, voice)
        write(path, _writable(copied.copy))
        task.advance()
        return self.judge_copy(copied, f"samples/{path.name}")

    def _speak(
        self,
        sentence: Sentence,
        seed: int,
        voice: Voice,
        real: Vectors,
        path: Path,
        task: Task,
        cancel: Cancellation,
        rated: Sequence[int],
    ) -> Sample:
        cancel.check()
        spoken = self._renderer.speak(sentence, seed, voice)
        if spoken.wave is not None:
            write(path, _writable(spoken.wave))
        task.advance()
        return self.judge_speech(spoken, real, f"samples/{path.name}", mos=seed in rated)

    def _pace(self, spoken: Spoken, wave: Waveform) -> list[str]:
        """Whether what is heard lasts as its phones do; the engine has looked at the codes, not at the sound."""
        limits = self._engine.settings.limits
        if any(reason.startswith("duration") for reason in spoken.failures) or spoken.expected_s <= 0:
            return []
        least, most = limits.duration_ratio_min * spoken.sounding_s, limits.longest_s(spoken.expected_s)
        if least <= wave.duration_s <= most:
            return []
        return [
            f"duration {wave.duration_s:.2f} s is outside {least:.2f} to {most:.2f} s "
            f"({spoken.expected_s:.2f} s are expected)"
        ]

    def _sound(self, wave: Waveform, *, mos: bool) -> tuple[Values, dict[str, str]]:
        """Values that need nothing but the sound."""
        values: Values = {}
        missing: dict[str, str] = {}
        measures: dict[str, Callable[[], float]] = {
            "level_dbfs": lambda: active_level_dbfs(wave.samples, wave.rate_hz),
            "peak_dbfs": lambda: peak_dbfs(wave.samples),
            "clipped_share": lambda: clipped_share(wave.samples),
            "bandwidth_hz": lambda: bandwidth_hz(wave.samples, wave.rate_hz),
        }
        if mos:
            measures["dnsmos"] = lambda: dnsmos(resample(wave, RATE_HZ).samples).overall
        _collect(measures, values, missing)
        return values, missing

    def _embedding(self, wave: Waveform) -> Vectors:
        try:
            return self._speaker.embed(wave)
        except InputError as error:
            raise UnmeasurableError(error.message) from error

    # -- the rest --------------------------------------------------------------------------------------------------

    def _real(self, held_out: Sequence[Recording], embeddings: Vectors, lexicon: Lexicon) -> Values:
        """The same measures of the recordings, read as the voice reads their texts."""
        real: Values = {"speaker_similarity": real_to_real(embeddings)}
        bands: list[float] = []
        for item in held_out:
            try:
                bands.append(bandwidth_hz(item.wave.samples, item.wave.rate_hz))
            except UnmeasurableError:
                continue
        if bands:
            real["bandwidth_hz"] = float(np.mean(bands))
        scores = []
        for item in held_out:
            try:
                scores.append(dnsmos(resample(item.wave, RATE_HZ).samples).overall)
            except UnmeasurableError:
                continue
        if scores:
            real["dnsmos"] = float(np.mean(scores))
        if self._recogniser is not None:
            counts = [
                self._recogniser.errors(item.wave, phonemize(item.text, item.language, lexicon)) for item in held_out
            ]
            real["phone_error_rate"] = sum(c.errors for c in counts) / max(1, sum(c.length for c in counts))
        return real

    def _models(self) -> dict[str, str]:
        base = self._engine.base
        models = {"dnsmos": dnsmos_digest(), "speaker_similarity": digest_file(base.graph("speaker"))}
        if self._recogniser is not None:
            models["phone_error_rate"] = digest_file(base.graph("content"))
        return {name: f"sha256:{digest[:12]}" for name, digest in models.items()}


def without_adapter(voice: Voice) -> Voice:
    """The base with the voice's prompt and nothing else."""
    return replace(voice, name=f"{voice.name}-base", t2s=NO_LORA, acoustic={})


def _collect(measures: Mapping[str, Callable[[], float]], values: Values, missing: dict[str, str]) -> None:
    for name, measure in measures.items():
        try:
            value = float(measure())
            if not np.isfinite(value):
                raise UnmeasurableError(f"value {value}")
            values[name] = value
        except UnmeasurableError as error:
            missing[name] = str(error)


def _writable(wave: Waveform) -> Waveform:
    """So that a 16-bit file holds what was measured as nearly as it can."""
    return Waveform(within_full_scale(wave.samples), wave.rate_hz)
