"""Measures one voice through the engine that will serve it: copies of held-out recordings, and sentences from text.

held-out recordings, voice -> copy synthesis -> PESQ, STOI, ESTOI, ...
sentences, voice, seeds -> engine -> phone error rate, failures, similarity, DNSMOS, ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio.reader import write
from audio.resample import resample
from audio.waveform import Waveform
from core.digests import digest_file
from core.errors import InputError, TimbreError
from core.progress import Progress
from evaluation.measurements import Group, Measurements, Sample
from evaluation.metrics.alignment import align
from evaluation.metrics.errors import UnmeasurableError
from evaluation.metrics.perceptual import RATE_HZ, dnsmos, dnsmos_digest, pesq, stoi
from evaluation.metrics.signal import active_level_dbfs, bandwidth_hz, peak_dbfs
from evaluation.metrics.speaker import real_to_real, relative_similarity
from evaluation.texts import VERSION, fixed_sentences
from inference.copy_synthesis import CopySynthesis
from inference.engine import Engine
from inference.recogniser import Recogniser
from inference.request import SpeechRequest
from inference.sampling import Sampling
from inference.speaker import SpeakerEncoder
from inference.t2s_slots import NO_LORA
from inference.voice import Voice
from text.frontend import phonemize

Values = dict[str, float]
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """A held-out slice: its id, text, language and sound at the base's rate."""

    id: str
    text: str
    language: str
    wave: Waveform


@dataclass(frozen=True)
class Plan:
    """How much is spoken. seeds: for the adapted voice; the base without adapter speaks once with the first of them."""

    seeds: Sequence[int]
    fixed_sentences: int


class Judge:
    """Measures voices of one engine. judge_recogniser: the phone recogniser that counts errors (the base's own, or
    None).
    """

    def __init__(self, engine: Engine, recogniser: Recogniser | None = None) -> None:
        self._engine = engine
        self._recogniser = recogniser or engine.recogniser
        self._speaker = SpeakerEncoder(engine.base, threads=engine.settings.threads)
        self._copies = CopySynthesis(engine.base, engine.decoders, threads=engine.settings.threads)

    def measure(
        self,
        voice: Voice,
        held_out: Sequence[Recording],
        plan: Plan,
        output: Path,
        progress: Progress,
        *,
        memorisation: float | None = None,
    ) -> Measurements:
        """All measurements of a voice; kept samples are written below output/samples.

        Raises InputError when fewer than two held-out recordings exist: similarity would have nothing to compare with.
        """
        if len(held_out) < 2:
            raise InputError(
                f"evaluate: {len(held_out)} held-out recordings, at least 2 are needed",
                "add recordings to the voice, or lower validate.held_out_min no further than 2",
            )
        samples = output / "samples"
        samples.mkdir(parents=True, exist_ok=True)
        plain = replace(voice, name=f"{voice.name}-base", t2s=NO_LORA, acoustic={})
        embeddings = self._speaker.embed_many([item.wave for item in held_out])
        sentences = self._sentences(held_out, plan.fixed_sentences)
        total = 2 * len(held_out) + len(sentences) * (len(plan.seeds) + 1)
        with progress.task("evaluate", total=total, unit="samples") as task:
            groups = []
            for speaker, seeds, keep in ((voice, plan.seeds, True), (plain, plan.seeds[:1], False)):
                name = "voice" if keep else "base"
                copies = []
                for item in held_out:
                    copies.append(self._copy(item, speaker, samples / f"copy-{name}-{item.id}.wav"))
                    task.advance()
                spoken = []
                for sentence in sentences:
                    for seed in seeds:
                        path = samples / f"tts-{name}-{sentence[0]}-{seed}.wav"
                        spoken.append(self._speak(sentence, seed, speaker, embeddings, path))
                        task.advance()
                groups.append(Group(tuple(copies), tuple(spoken)))
        real = self._real(held_out, embeddings)
        for item in held_out:
            write(samples / f"real-{item.id}.wav", item.wave)
        return Measurements(
            voice=voice.name, base=self._engine.base.name, base_digest=self._engine.base.digest,
            profile=self._engine.settings.profile, texts_version=VERSION, adapted=groups[0], plain=groups[1],
            real=real, models=self._models(), memorisation=memorisation,
        )  # fmt: skip

    # -- one sample ------------------------------------------------------------------------------------------------

    def _copy(self, item: Recording, voice: Voice, path: Path) -> Sample:
        original, copied = self._copies.copy(item.wave, voice)
        write(path, _limited(copied))
        reference, degraded = resample(original, RATE_HZ).samples, resample(copied, RATE_HZ).samples
        values, missing, detail = self._sound(copied)
        try:
            aligned = align(reference, degraded, RATE_HZ)
            detail |= {"delay_s": aligned.delay_s, "gain_db": aligned.gain_db}
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
        return Sample(item.id, item.text, "held-out", None, f"samples/{path.name}", values, missing, (), detail)

    def _speak(self, sentence: tuple[str, str, str, str], seed: int, voice: Voice, real: Vectors, path: Path) -> Sample:
        identity, text, source, language = sentence
        request = SpeechRequest(text, language=language, sampling=Sampling(seed=seed), check=False)
        try:
            speech = self._engine.speak(request, voice)
        except TimbreError as error:
            reason = f"not spoken: {error.message}"
            return Sample(identity, text, source, seed, "", {"failed_sentences": 1.0}, {"speech": reason}, (reason,))
        write(path, _limited(speech.wave))
        values, missing, detail = self._sound(speech.wave)
        detail["seconds"] = speech.wave.duration_s
        failures = [reason for spoken in speech.sentences for reason in spoken.failures]
        measures: dict[str, Callable[[], float]] = {
            "speaker_similarity": lambda: float(relative_similarity(self._embedding(speech.wave)[None], real)[0])
        }
        if self._recogniser is not None:
            counts = self._recogniser.errors(speech.wave, phonemize(text, language))
            detail |= {"phones": counts.length, "phone_errors": counts.errors}
            values["phone_error_rate"] = counts.rate
            limit = self._engine.settings.limits.error_rate_max
            if counts.rate > limit:
                failures.append(f"words missing: phoneme error rate {counts.rate:.0%} is above {limit:.0%}")
        _collect(measures, values, missing)
        values["failed_sentences"] = float(bool(failures))
        return Sample(identity, text, source, seed, f"samples/{path.name}", values, missing, tuple(failures), detail)

    def _sound(self, wave: Waveform) -> tuple[Values, dict[str, str], Values]:
        """Values that need nothing but the sound."""
        values: Values = {}
        missing: dict[str, str] = {}
        narrow = resample(wave, RATE_HZ).samples
        measures: Mapping[str, Callable[[], float]] = {
            "dnsmos": lambda: dnsmos(narrow).overall,
            "level_dbfs": lambda: active_level_dbfs(wave.samples, wave.rate_hz),
            "peak_dbfs": lambda: peak_dbfs(wave.samples),
            "bandwidth_hz": lambda: bandwidth_hz(wave.samples, wave.rate_hz),
        }
        _collect(measures, values, missing)
        return values, missing, {}

    def _embedding(self, wave: Waveform) -> Vectors:
        try:
            return self._speaker.embed(wave)
        except InputError as error:
            raise UnmeasurableError(error.message) from error

    # -- the rest --------------------------------------------------------------------------------------------------

    def _sentences(self, held_out: Sequence[Recording], fixed: int) -> list[tuple[str, str, str, str]]:
        own = [(item.id, item.text, "held-out", item.language) for item in held_out]
        language = held_out[0].language
        texts = fixed_sentences(language)[:fixed]
        return own + [(f"fixed-{index:03d}", text, "fixed", language) for index, text in enumerate(texts, 1)]

    def _real(self, held_out: Sequence[Recording], embeddings: Vectors) -> Values:
        real: Values = {"speaker_similarity": real_to_real(embeddings)}
        scores = []
        for item in held_out:
            try:
                scores.append(dnsmos(resample(item.wave, RATE_HZ).samples).overall)
            except UnmeasurableError:
                continue
        if scores:
            real["dnsmos"] = float(np.mean(scores))
        if self._recogniser is not None:
            counts = [self._recogniser.errors(item.wave, phonemize(item.text, item.language)) for item in held_out]
            real["phone_error_rate"] = sum(c.errors for c in counts) / max(1, sum(c.length for c in counts))
        return real

    def _models(self) -> dict[str, str]:
        base = self._engine.base
        models = {"dnsmos": dnsmos_digest(), "speaker_similarity": digest_file(base.graph("speaker"))}
        if self._recogniser is not None:
            models["phone_error_rate"] = digest_file(base.graph("content"))
        return {name: f"sha256:{digest[:12]}" for name, digest in models.items()}


def _collect(measures: Mapping[str, Callable[[], float]], values: Values, missing: dict[str, str]) -> None:
    for name, measure in measures.items():
        try:
            value = float(measure())
            if not np.isfinite(value):
                raise UnmeasurableError(f"value {value}")
            values[name] = value
        except UnmeasurableError as error:
            missing[name] = str(error)


def _limited(wave: Waveform) -> Waveform:
    """Full scale at most, so that a 16-bit file holds what was measured as nearly as it can; NaN becomes silence."""
    return Waveform(np.clip(np.nan_to_num(wave.samples), -1.0, 1.0), wave.rate_hz)
