"""The engine: text and voice -> audio, for many requests and voices at once.

text -> sentences -> phones -> jobs of the scheduler -> codes -> voice's decoder -> samples

A voice is an argument of each call; the engine has no current one. Sentences of a request are decoded side by side
and spoken
in order. A sentence that loops, is cut off, lasts impossibly long or short, or lacks words is spoken once more from
another seed, and the better attempt is kept and reported.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio.waveform import Waveform
from inference.acoustic import DecoderCache, Utterance
from inference.errors import TextError
from inference.exported_base import ExportedBase, read_export
from inference.guards import SentenceLimits, longest_loop, sentence_failures
from inference.recogniser import Recogniser
from inference.request import Speech, SpeechRequest, SpokenSentence
from inference.scheduler import Job, Scheduler
from inference.t2s_slots import T2SSlots
from inference.voice import Voice
from text.frontend import phonemize
from text.phonemes import Phonemes
from text.sentences import split
from text.symbols import is_speech

FIRST_CHUNK_CODES = 20
CHUNK_CODES = 50
# Codes whose frames still move when more text follows them: they are decoded again with the next chunk.
HELD_BACK_CODES = 5
_SPARE_CODES = 12
_PEAK = 0.99
_SHORTEST_SHARE = 0.5


@dataclass(frozen=True)
class EngineSettings:
    """threads: of each graph. slots: sentences decoded at once. capacity: positions of a slot. voices: merged
    decoders held.
    """

    profile: str = "fp32"
    threads: int = 1
    slots: int = 8
    capacity: int = 1280
    voices: int = 8
    limits: SentenceLimits = field(default_factory=SentenceLimits)


@dataclass(frozen=True)
class _Planned:
    """One sentence ready to decode. seconds: expected from its sounding phones at the voice's own pace."""

    text: str
    phonemes: Phonemes
    ids: NDArray[np.int64]
    seconds: float
    seed: int


@dataclass(frozen=True)
class _Attempt:
    codes: NDArray[np.int64]
    wave: NDArray[np.float32]
    failures: tuple[str, ...]
    error_rate: float | None

    @property
    def badness(self) -> tuple[int, float]:
        return len(self.failures), self.error_rate if self.error_rate is not None else 0.0


class Engine:
    """Speaks with any voice of one exported base. Thread-safe; close() it when done (it is a context manager)."""

    def __init__(self, base: ExportedBase | Path, settings: EngineSettings | None = None) -> None:
        self.base = read_export(base) if isinstance(base, Path) else base
        self.settings = settings or EngineSettings()
        options = self.settings
        slots = T2SSlots(
            self.base.graph("t2s", options.profile), self.base.t2s,
            slots=options.slots, capacity=options.capacity, threads=options.threads,
        )  # fmt: skip
        self._capacity = slots.capacity
        self.scheduler = Scheduler(slots)
        self.decoders = DecoderCache(self.base, profile=options.profile, threads=options.threads, size=options.voices)
        self.recogniser = Recogniser(self.base, threads=options.threads) if self.base.recogniser_classes else None

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops decoding; running requests end with CancelledError."""
        self.scheduler.close()

    def speak(self, request: SpeechRequest, voice: Voice) -> Speech:
        """The whole request as one waveform, with what became of every sentence.

        Raises TextError for text that cannot be spoken or a language the base does not have, and what the scheduler
        raises.
        """
        planned, unknown = self._plan(request, voice)
        jobs = [self._submit(item, request, voice) for item in planned]
        spoken, waves = [], []
        try:
            for item, job in zip(planned, jobs, strict=True):
                sentence, wave = self._finish(item, job, request, voice)
                spoken.append(sentence)
                waves.append(wave)
        finally:
            for job in jobs:
                job.cancel()
        pause = np.zeros(round(request.pause_s * self.base.rate_hz), np.float32)
        joined = [part for wave in waves for part in (wave, pause)][:-1]
        return Speech(Waveform(np.concatenate(joined), self.base.rate_hz), tuple(spoken), unknown)

    def stream(self, request: SpeechRequest, voice: Voice) -> Iterator[Waveform]:
        """The request's audio in pieces as it is decoded; the first after about half a second's worth of codes.

        Nothing is spoken twice here: loops end a sentence early. Closing the iterator frees the slots.
        """
        planned, _ = self._plan(request, voice)
        jobs = [self._submit(item, request, voice) for item in planned]
        try:
            for index, (item, job) in enumerate(zip(planned, jobs, strict=True)):
                if index and request.pause_s:
                    yield Waveform(np.zeros(round(request.pause_s * self.base.rate_hz), np.float32), self.base.rate_hz)
                for samples in self._stream_sentence(item, job, request, voice):
                    # The loudest sample of the sentence is not known yet, so what exceeds full scale is cut.
                    yield Waveform(np.clip(samples, -_PEAK, _PEAK), self.base.rate_hz)
        finally:
            for job in jobs:
                job.cancel()

    # -- planning --------------------------------------------------------------------------------------------------

    def _plan(self, request: SpeechRequest, voice: Voice) -> tuple[list[_Planned], tuple[str, ...]]:
        language = voice.prompt.language if request.language == "auto" else request.language
        if language not in self.base.languages:
            raise TextError(
                f"language {language!r}: the base {self.base.name!r} speaks {', '.join(self.base.languages)}",
                "choose one of these, or a voice on a base that has the language",
            )
        if not request.text.strip():
            raise TextError("text: it is empty", "send at least one word")
        seed = request.sampling.seed if request.sampling.seed is not None else secrets.randbits(31)
        planned: list[_Planned] = []
        unknown: list[str] = []
        for sentence in filter(_has_words, split(request.text)):
            phonemes = phonemize(sentence, language, request.lexicon)
            spoken_in = {segment.language for segment in phonemes.segments} - set(self.base.languages)
            if spoken_in:
                raise TextError(
                    f"text {sentence[:40]!r}: {', '.join(sorted(spoken_in))} is not among the languages of the base "
                    f"{self.base.name!r} ({', '.join(self.base.languages)})",
                    "leave these words out, or use a voice on a base that has the language",
                )
            sounding = sum(is_speech(phone) for phone in phonemes.phones)
            seconds = max(0.2, sounding * voice.prompt.seconds_per_phone)
            ids = np.array(phonemes.ids, np.int64)
            planned.append(_Planned(sentence, phonemes, ids, seconds, seed + 1_000_003 * len(planned)))
            unknown += phonemes.unknown
        if not planned:
            raise TextError(
                f"text {request.text[:40]!r} has nothing that can be spoken", "write words, numbers or letters"
            )
        return planned, tuple(dict.fromkeys(unknown))

    def _submit(self, item: _Planned, request: SpeechRequest, voice: Voice) -> Job:
        limits, rate = self.settings.limits, self.base.codes_hz
        phones = np.concatenate([voice.prompt.phones, item.ids])
        room = self._capacity - len(phones) - len(voice.prompt.codes)
        wanted = int(item.seconds * limits.duration_ratio_max * rate) + _SPARE_CODES
        if room < item.seconds * rate:
            raise TextError(
                f"text {item.text[:40]!r}: a sentence of {len(item.ids)} phones does not fit the engine's "
                f"{self._capacity} positions beside the voice's prompt",
                "break it up with punctuation",
            )
        job = Job(
            phones=phones,
            prompt=voice.prompt.codes,
            sampling=replace(request.sampling, seed=item.seed),
            min_codes=max(1, int(_SHORTEST_SHARE * item.seconds * rate)),
            max_codes=min(wanted, room),
            lora=voice.t2s,
            loop_limit=limits.loop_run,
        )
        return self.scheduler.submit(job)

    # -- speaking --------------------------------------------------------------------------------------------------

    def _finish(
        self, item: _Planned, job: Job, request: SpeechRequest, voice: Voice
    ) -> tuple[SpokenSentence, NDArray[np.float32]]:
        first = self._attempt(item, job, request, voice)
        kept, attempts = first, 1
        if first.failures and request.check:
            again = replace(item, seed=item.seed + 500_009)
            second = self._attempt(again, self._submit(again, request, voice), request, voice)
            kept, attempts = min(first, second, key=lambda attempt: attempt.badness), 2
        seconds = len(kept.wave) / self.base.rate_hz
        ids, codes = tuple(item.ids.tolist()), tuple(kept.codes.tolist())
        spoken = SpokenSentence(
            item.text, ids, codes, seconds, attempts, kept.failures, first.failures, kept.error_rate
        )
        return spoken, kept.wave

    def _attempt(self, item: _Planned, job: Job, request: SpeechRequest, voice: Voice) -> _Attempt:
        codes = np.array(list(job.codes()), np.int64)
        ending = job.ending
        assert ending is not None, "codes() ends with an ending or raises"
        wave = _within_full_scale(self._utterance(item, request, voice).wave(codes))
        spoken_s = len(codes) / self.base.codes_hz
        rate = None
        if request.check and self.recogniser is not None:
            rate = self.recogniser.errors(Waveform(wave, self.base.rate_hz), item.phonemes).rate
        failures = sentence_failures(
            duration_s=spoken_s,
            expected_s=item.seconds,
            rms_dbfs=_rms_dbfs(wave),
            error_rate=rate if rate is not None else 0.0,
            loop=longest_loop(codes.tolist()),
            reached_limit=not ending.by_token and not ending.looped,
            limits=self.settings.limits,
        )
        return _Attempt(codes, wave, failures, rate)

    def _stream_sentence(
        self, item: _Planned, job: Job, request: SpeechRequest, voice: Voice
    ) -> Iterator[NDArray[np.float32]]:
        utterance = self._utterance(item, request, voice)
        codes: list[int] = []
        spoken, tail = 0, None
        wanted = FIRST_CHUNK_CODES
        for code in job.codes():
            codes.append(code)
            if len(codes) < wanted:
                continue
            wanted = len(codes) + CHUNK_CODES
            latent = utterance.latent(np.array(codes, np.int64))
            end = latent.shape[2] - round(HELD_BACK_CODES * self.base.frames_per_code / request.speed)
            if end > spoken:
                piece, tail = self._join(utterance, latent, spoken, end, tail)
                spoken = end
                yield piece
        latent = utterance.latent(np.array(codes, np.int64))
        if latent.shape[2] > spoken:
            yield self._join(utterance, latent, spoken, latent.shape[2], tail)[0]

    def _join(
        self, utterance: Utterance, latent: NDArray[np.float32], start: int, end: int, tail: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Frames start to end, their first frame cross-faded with the same frame of the last decode; and the next
        tail.
        """
        after = min(end + 1, latent.shape[2])
        samples = np.concatenate(list(utterance.pieces(latent, start, after)))
        size = (end - start) * self.base.hop
        piece, following = samples[:size].copy(), samples[size:]
        if tail is not None and len(tail):
            ramp = np.linspace(0, 1, min(len(tail), len(piece)), dtype=np.float32)
            piece[: len(ramp)] = piece[: len(ramp)] * ramp + tail[: len(ramp)] * (1 - ramp)
        return piece, following

    def _utterance(self, item: _Planned, request: SpeechRequest, voice: Voice) -> Utterance:
        decoder = self.decoders.get(voice)
        return Utterance(self.base, decoder, item.ids, voice.prompt.condition, seed=item.seed, speed=request.speed)


def _has_words(sentence: str) -> bool:
    """False for a piece of marks and symbols alone, which is a pause beside other sentences."""
    return any(character.isalnum() for character in sentence)


def _within_full_scale(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """A sentence louder than full scale is turned down as a whole; every other one is left alone."""
    peak = float(np.max(np.abs(wave), initial=0.0))
    return wave if peak <= _PEAK else np.asarray(wave * (_PEAK / peak), np.float32)


def _rms_dbfs(wave: NDArray[np.float32]) -> float:
    power = float(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0
    return float(10 * np.log10(max(power, 1e-20)))
