"""Measures one voice through the engine that will serve it: copies of held-out recordings, and sentences from text.

renditions of held-out recordings -> PESQ, STOI, ESTOI, ...
renditions of sentences           -> phone error rate, failures, similarity, DNSMOS, ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from timbre.audio.level import peak_dbfs
from timbre.audio.reader import write
from timbre.audio.resample import resample
from timbre.audio.waveform import Waveform, within_full_scale
from timbre.core.cancellation import Cancellation
from timbre.core.digests import digest_file
from timbre.core.errors import InputError
from timbre.core.progress import Progress, Task
from timbre.evaluation.measurements import Group, Measurements, Sample
from timbre.evaluation.metrics.alignment import align
from timbre.evaluation.metrics.distilled import distilled_mos
from timbre.evaluation.metrics.errors import UnmeasurableError
from timbre.evaluation.metrics.perceptual import RATE_HZ, dnsmos, dnsmos_digest, pesq, stoi
from timbre.evaluation.metrics.prosody import pauses_s, pitch_distance, semitones
from timbre.evaluation.metrics.signal import active_level_dbfs, bandwidth_hz, clipped_share
from timbre.evaluation.metrics.speaker import relative_similarity
from timbre.evaluation.metrics.tones import LANGUAGE as TONED
from timbre.evaluation.metrics.tones import tone_digest, tone_errors, tones_to_judge
from timbre.evaluation.metrics.words import HeardWord, words_heard
from timbre.evaluation.optional_judges import OptionalJudges
from timbre.evaluation.recorded import Recorded, Vectors, embed, facts
from timbre.evaluation.rendition import CopiedRecording, Recording, Renderer, Sentence, Spoken, sentences_for
from timbre.evaluation.texts import VERSION
from timbre.inference.engine import Engine
from timbre.inference.recogniser import Recogniser
from timbre.inference.speaker import SpeakerEncoder
from timbre.inference.t2s_slots import NO_LORA
from timbre.inference.voice import Voice
from timbre.text.edit_distance import edit_counts
from timbre.text.recognition import LANGUAGES, spoken_class_ids

Values = dict[str, float]
_WHOLE_S = 1.5
_HEARD = ("phone_error_rate", "word_error_rate")


@dataclass(frozen=True)
class Plan:
    """How much is spoken."""

    seeds: Sequence[int]
    """For the adapted voice; the base without adapter speaks once with the first of them. Predicted opinions and
    Whisper are asked about the first seed only: they take longer than everything else together."""
    fixed_sentences: int
    """How many of the texts of the voice's language, beside the held-out sentences; 0: none."""


@dataclass(frozen=True)
class TrainingOutcome:
    """What stage 3 says about a training (training/finetune/memorisation.py); None where it says nothing."""

    memorisation: float | None = None
    """Above 1 when slices of the training gained more than held-out ones did."""
    held_out_loss: float | None = None
    """With the adapter over without it: below 1 when held-out slices gained."""


class Judge:
    """Measures voices of one engine. recogniser: the phone recogniser that counts errors, for a base without one of its
    own. others: judges that not every machine has.
    """

    def __init__(
        self, engine: Engine, recogniser: Recogniser | None = None, others: OptionalJudges | None = None
    ) -> None:
        self._engine = engine
        self._recogniser = recogniser or engine.recogniser
        self._others = others or OptionalJudges()
        self._speaker = SpeakerEncoder(engine.base, threads=engine.settings.threads)
        self._renderer = Renderer(engine)

    @property
    def recogniser(self) -> Recogniser | None:
        """The one that counts errors, None without."""
        return self._recogniser

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
        recorded = self.recorded(held_out)
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
                        sentence, seed, speaker, recorded, samples / f"tts-{name}-{sentence.id}-{seed}.wav", task,
                        stop, plan.seeds[:1],
                    )
                    for sentence in sentences
                    for seed in seeds
                ]  # fmt: skip
                groups.append(Group(tuple(copies), tuple(spoken)))
        for item in held_out:
            write(samples / f"real-{item.id}.wav", item.wave)
        about = facts(held_out, recorded, self._recogniser, voice.lexicon, self._others)
        return self.measurements(
            voice.name, groups[0], groups[1], about, outcome, languages={item.language for item in sentences}
        )

    def measurements(
        self,
        name: str,
        adapted: Group,
        plain: Group,
        about: Mapping[str, float],
        outcome: TrainingOutcome | None = None,
        *,
        languages: Collection[str],
    ) -> Measurements:
        """Measured groups with all that is said beside them. about: the recordings; languages: of the texts."""
        found = outcome or TrainingOutcome()
        return Measurements(
            voice=name, base=self._engine.base.name, base_digest=self._engine.base.digest,
            profile=self._engine.settings.profile, texts_version=VERSION, adapted=adapted, plain=plain,
            real=about, models=self._models(),
            memorisation=found.memorisation, held_out_loss=found.held_out_loss, unasked=self._unasked(languages),
        )  # fmt: skip

    def beside(
        self,
        voice: Voice,
        held_out: Sequence[Recording],
        plan: Plan,
        count: int,
        output: Path,
        progress: Progress,
        *,
        cancel: Cancellation | None = None,
    ) -> tuple[Sample, ...]:
        """The first `count` sentences of `measure` from its first seed with this engine's graphs, for a judge of the
        other profile to be compared with: words, likeness and DistillMOS. Samples are written below output/samples.

        Raises as `measure` does.
        """
        stop = cancel or Cancellation()
        recorded, seed, profile = self.recorded(held_out), plan.seeds[0], self._engine.settings.profile
        sentences = sentences_for(held_out, plan.fixed_sentences)[:count]
        found = []
        (output / "samples").mkdir(parents=True, exist_ok=True)
        with progress.task(f"evaluate {profile}", total=len(sentences), unit="samples") as task:
            for sentence in sentences:
                path = output / "samples" / f"tts-{profile}-{sentence.id}-{seed}.wav"
                found.append(self._speak(sentence, seed, voice, recorded, path, task, stop, (), (seed,)))
        return tuple(found)

    def recorded(self, held_out: Sequence[Recording]) -> Recorded:
        """What speech is compared with. Raises InputError when there are fewer than two recordings."""
        return embed(held_out, self._speaker)

    # -- one rendition ---------------------------------------------------------------------------------------------

    def judge_copy(self, copied: CopiedRecording, file: str = "") -> Sample:
        """Everything about a copy. file: where it can be heard, below the stage's output."""
        item = copied.recording
        values, missing = self._sound(copied.copy, opinions=True, mos=True)
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

    def judge_speech(
        self, spoken: Spoken, real: Recorded, file: str = "", *, opinions: bool = True, mos: bool | None = None
    ) -> Sample:
        """Everything about a spoken sentence. opinions: with what takes long, DNSMOS, DistillMOS and Whisper; mos: the
        same for DistillMOS, None: as the others.
        """
        sentence, wave = spoken.sentence, spoken.wave
        about = (sentence.id, sentence.text, sentence.source, spoken.seed)
        if wave is None:
            return Sample(*about, "", {"failed_sentences": 1.0}, {"speech": spoken.refusal}, (spoken.refusal,))
        # One word is too short for a speaker's likeness and for an opinion of quality: they are not asked about it.
        whole = spoken.expected_s >= _WHOLE_S
        values, missing = self._sound(
            wave, opinions=opinions and whole, mos=(opinions if mos is None else mos) and whole
        )
        if "peak_dbfs" in values:
            values["peak_dbfs"] -= 20 * math.log10(spoken.gain)  # as the voice speaks, before its peaks are turned down
        detail = {"seconds": wave.duration_s}
        failures = [*spoken.failures, *self._pace(spoken, wave)]
        measures: dict[str, Callable[[], float]] = {}
        if whole:
            measures["speaker_similarity"] = lambda: float(
                relative_similarity(self._speaker_of(wave)[None], real.vectors)[0]
            )
            measures["pitch_distance"] = lambda: pitch_distance(semitones(wave), real.semitones)
            measures["pause_deviation"] = lambda: abs(pauses_s(wave) - spoken.pausing_s) / spoken.expected_s
        if spoken.expected_s > 0 and wave.duration_s > 0:
            measures["pace_deviation"] = lambda: abs(math.log(wave.duration_s / spoken.expected_s))
        if opinions and sentence.language in self._others.whisper_languages:
            measures["listener_error_rate"] = lambda: self._others.word_errors(wave, sentence.text, sentence.language)
        words: tuple[HeardWord, ...] = ()
        if self._recogniser is not None and sentence.language in LANGUAGES:
            heard = self._recogniser.hear(wave, spoken.phones)
            counts = edit_counts(spoken_class_ids(spoken.phones), heard)
            words = words_heard(spoken.words, heard)
            if words:
                measures["word_error_rate"] = lambda: sum(word.missed for word in words) / len(words)
            detail |= {"phones": counts.length, "phone_errors": counts.errors}
            measures["phone_error_rate"] = lambda: counts.rate
            if whole and tones_to_judge(sentence.language, spoken.phones):
                hears = self._recogniser
                measures["tone_error_rate"] = lambda: tone_errors(wave, hears.logits(wave), spoken.phones).rate
            limit = self._engine.settings.limits.error_rate_of(counts.length)
            doubt_max = self._engine.settings.limits.doubt_max
            if counts.rate > limit and self._recogniser.doubt(wave, spoken.phones) > doubt_max:
                failures.append(f"words missing: phoneme error rate {counts.rate:.0%} is above {limit:.0%}")
        _collect(measures, values, missing)
        values["failed_sentences"] = float(bool(failures))
        return Sample(*about, file, values, missing, tuple(failures), detail, words)

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
        real: Recorded,
        path: Path,
        task: Task,
        cancel: Cancellation,
        rated: Sequence[int],
        predicted: Sequence[int] | None = None,
    ) -> Sample:
        """rated: seeds that predicted opinions and Whisper are asked about; predicted: those of DistillMOS alone."""
        cancel.check()
        spoken = self._renderer.speak(sentence, seed, voice)
        if spoken.wave is not None:
            write(path, _writable(spoken.wave))
        task.advance()
        mos = seed in (rated if predicted is None else predicted)
        return self.judge_speech(spoken, real, f"samples/{path.name}", opinions=seed in rated, mos=mos)

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

    def _sound(self, wave: Waveform, *, opinions: bool, mos: bool) -> tuple[Values, dict[str, str]]:
        """Values that need nothing but the sound."""
        values: Values = {}
        missing: dict[str, str] = {}
        measures: dict[str, Callable[[], float]] = {
            "level_dbfs": lambda: active_level_dbfs(wave.samples, wave.rate_hz),
            "peak_dbfs": lambda: peak_dbfs(wave),
            "clipped_share": lambda: clipped_share(wave.samples),
            "bandwidth_hz": lambda: bandwidth_hz(wave.samples, wave.rate_hz),
        }
        if opinions:
            measures["dnsmos"] = lambda: dnsmos(resample(wave, RATE_HZ).samples).overall
        if mos and self._others.mos:
            measures["distilled_mos"] = lambda: distilled_mos(resample(wave, RATE_HZ).samples)
        _collect(measures, values, missing)
        return values, missing

    def _speaker_of(self, wave: Waveform) -> Vectors:
        try:
            return self._speaker.embed(wave)
        except InputError as error:
            raise UnmeasurableError(error.message) from error

    # -- the rest --------------------------------------------------------------------------------------------------

    def _unasked(self, languages: Collection[str]) -> dict[str, str]:
        """Metric -> why no sample was asked about it."""
        found = self._others.unasked(languages)
        unheard = sorted(set(languages) - set(LANGUAGES))
        if unheard:
            found |= dict.fromkeys(_HEARD, f"no recogniser hears {', '.join(unheard)}")
        elif self._recogniser is None:
            found |= dict.fromkeys(_HEARD, "neither the base nor nano beside it has a recogniser")
        if TONED not in languages:
            found["tone_error_rate"] = "no text is Mandarin"
        elif self._recogniser is None:
            found["tone_error_rate"] = "neither the base nor nano beside it has a recogniser"
        return found

    def _models(self) -> dict[str, str]:
        base = self._engine.base
        models = {"dnsmos": dnsmos_digest(), "speaker_similarity": digest_file(base.graph("speaker"))}
        if self._recogniser is not None:
            models |= dict.fromkeys(_HEARD, self._recogniser.digest) | {"tone_error_rate": tone_digest()}
        models |= self._others.digests()
        return {name: f"sha256:{digest[:12]}" for name, digest in models.items()}


def without_adapter(voice: Voice) -> Voice:
    """The base with the voice's prompt, at its own pace and level, and nothing else."""
    prompt = replace(voice.prompt, pace=voice.prompt.pace.undrawn, gain=1.0)
    return replace(voice, name=f"{voice.name}-base", prompt=prompt, t2s=NO_LORA, acoustic={})


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
