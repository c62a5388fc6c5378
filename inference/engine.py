"""The engine: text and voice -> audio, for many requests and voices at once.

text -> sentences -> phones -> jobs of the scheduler -> codes -> voice's decoder -> samples

A voice is an argument of each call; the engine has no current one. Sentences of a request are decoded side by side
and spoken
in order. A sentence that loops, is cut off, lasts impossibly long or short, or lacks words is spoken again from
another seed, up to twice more, and the best attempt is kept and reported. Speech is checked at its own speed. Peaks
beyond full scale are turned down, in streams as in whole answers (audio/level.py).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timbre.audio.level import Limiter
from timbre.audio.waveform import Waveform
from timbre.core.cancellation import Cancellation
from timbre.inference.acoustic import DecoderCache, Utterance
from timbre.inference.characters import CharacterVectors
from timbre.inference.engine_settings import EngineSettings
from timbre.inference.errors import CancelledError
from timbre.inference.exported_base import ExportedBase, read_export
from timbre.inference.guards import longest_loop, sentence_failures
from timbre.inference.open_graphs import OpenGraphs, open_graphs
from timbre.inference.pieces import prepare
from timbre.inference.planning import Planned, Planner
from timbre.inference.recogniser import Recogniser, doubt_of, errors_of
from timbre.inference.request import Speech, SpeechRequest, SpeechStream, SpokenSentence
from timbre.inference.scheduler import Job, Scheduler
from timbre.inference.t2s_slots import T2SSlots
from timbre.inference.tempo import Tempo, tempo_of
from timbre.inference.timing import SentenceTime, sentence_time
from timbre.inference.voice import Voice
from timbre.text.phone_durations import drawn_out

FIRST_SENTENCE_CODES = (12, 20, 50)
"""Codes of the first piece of a stream, of the second, and of those after it: somebody waits for the first, and it
lasts longer than decoding the second takes."""
NEXT_SENTENCE_CODES = (20, 50)
"""Of the sentences after the first, which are decoded while it is heard."""
# Codes whose frames still move when more text follows them: they are decoded again with the next chunk.
HELD_BACK_CODES = 5
_CEILING_DBFS = -0.1
ATTEMPTS = 3
"""Of a sentence, the first one included."""
_TRIES_APART = 500_009


@dataclass(frozen=True)
class _Attempt:
    codes: NDArray[np.int64]
    wave: NDArray[np.float32]
    failures: tuple[str, ...]
    error_rate: float | None
    gain: float

    @property
    def badness(self) -> tuple[int, float]:
        return len(self.failures), self.error_rate if self.error_rate is not None else 0.0


class Engine:
    """Speaks with any voice of one exported base. Thread-safe; close() it when done (it is a context manager)."""

    def __init__(
        self, base: ExportedBase | Path, settings: EngineSettings | None = None, graphs: OpenGraphs | None = None
    ) -> None:
        """graphs: of that base, opened with those settings; None to open them here."""
        self.base = read_export(base) if isinstance(base, Path) else base
        self.settings = settings or EngineSettings()
        options, device = self.settings, self.settings.device
        opened = graphs or open_graphs(self.base, options)
        self.decoders = DecoderCache(self.base, opened.voice, size=options.voices, size_bytes=options.voice_bytes)
        self.recogniser = Recogniser(self.base, opened.content) if opened.content else None
        slots = T2SSlots(opened.t2s, self.base.t2s, slots=options.slots, capacity=options.capacity)
        prepare(self.base)
        self.scheduler = Scheduler(slots)
        characters = None
        if self.base.has("bert"):
            characters = CharacterVectors(self.base, profile=options.profile, threads=options.threads, device=device)
        self._planner = Planner(self.base, options.limits, slots.capacity, characters)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops decoding; running requests end with CancelledError."""
        self.scheduler.close()

    def speak(self, request: SpeechRequest, voice: Voice, *, cancel: Cancellation | None = None) -> Speech:
        """The whole request as one waveform, with the outcome of every sentence.

        cancel: looked at with every code; once it is set, CancelledError is raised and the slots are free again.
        Raises TextError for text that cannot be spoken or a language the base does not have, and what the scheduler
        raises.
        """
        sentences, unknown = self.sentences(request, voice, cancel=cancel)
        spoken, joined, times, samples = [], [], [], 0
        for sentence, wave in sentences:
            spoken.append(sentence)
            before, after = self.silence(sentence.before_s), self.silence(sentence.after_s)
            joined += [before, wave, after]
            if sentence.times is not None:
                times.append(sentence.times.moved((samples + len(before)) / self.base.rate_hz))
            samples += len(before) + len(wave) + len(after)
        wave = np.concatenate(joined)
        return Speech(Waveform(wave, self.base.rate_hz), tuple(spoken), unknown, tuple(times))

    def silence(self, seconds: float) -> NDArray[np.float32]:
        """Samples of a pause."""
        return np.zeros(round(seconds * self.base.rate_hz), np.float32)

    def sentences(
        self, request: SpeechRequest, voice: Voice, *, cancel: Cancellation | None = None
    ) -> tuple[Generator[tuple[SpokenSentence, NDArray[np.float32]]], tuple[str, ...]]:
        """What `speak` joins, sentence by sentence, checked, without the silence around them; and the characters that
        are not spoken. cancel and errors: as in speak; those of the text and its language are raised here.
        """
        planned, unknown = self._planner.plan(request, voice)
        jobs = [self._planner.job(item, request, voice) for item in planned]
        return self._sentences(planned, jobs, request, voice, cancel), unknown

    def _sentences(
        self,
        planned: list[Planned],
        jobs: list[Job],
        request: SpeechRequest,
        voice: Voice,
        cancel: Cancellation | None,
    ) -> Generator[tuple[SpokenSentence, NDArray[np.float32]]]:
        try:
            for item, job in zip(planned, jobs, strict=True):
                self._send(job, item, request, voice)
            for item, job in zip(planned, jobs, strict=True):
                yield self._finish(item, job, request, voice, cancel)
        finally:
            for job in jobs:
                job.cancel()

    def stream(self, request: SpeechRequest, voice: Voice, *, cancel: Cancellation | None = None) -> SpeechStream:
        """The request's audio in pieces as it is decoded; the first after about half a second's worth of codes.

        Nothing is spoken twice here: loops end a sentence early, and no sentence is checked. Closing the stream frees
        the slots. cancel and errors: as in speak; those of the text and its language are raised here, before the first
        piece.
        """
        planned, unknown = self._planner.plan(request, voice)
        jobs = [self._planner.job(item, request, voice) for item in planned]
        for job in jobs:
            job.streamed = True
        times: list[SentenceTime] = []
        return SpeechStream(self._pieces(planned, jobs, request, voice, cancel, times), unknown, times)

    def _pieces(
        self,
        planned: list[Planned],
        jobs: list[Job],
        request: SpeechRequest,
        voice: Voice,
        cancel: Cancellation | None,
        times: list[SentenceTime],
    ) -> Generator[Waveform]:
        sent, samples_before = 0, 0
        try:
            for index, (item, job) in enumerate(zip(planned, jobs, strict=True)):
                if index == sent:
                    self._send(job, item, request, voice)
                    sent += 1
                if len(pause := self.silence(item.before_s)):
                    samples_before += len(pause)
                    yield Waveform(pause, self.base.rate_hz)
                codes: list[int] = []
                spoken: list[NDArray[np.float32]] = []
                for samples in self._stream_sentence(item, job, request, voice, cancel, codes, first=index == 0):
                    # Not before: a row beside the first sentence would only delay its first sound.
                    if sent == index + 1 < len(jobs):
                        self._send(jobs[sent], planned[sent], request, voice)
                        sent += 1
                    spoken.append(samples)
                    yield Waveform(samples, self.base.rate_hz)
                wave = np.concatenate(spoken) if spoken else np.zeros(0, np.float32)
                times.append(self._times(item, codes, wave, voice).moved(samples_before / self.base.rate_hz))
                samples_before += len(wave)
                if len(pause := self.silence(item.after_s)):
                    samples_before += len(pause)
                    yield Waveform(pause, self.base.rate_hz)
        finally:
            for job in jobs[:sent]:
                job.cancel()

    def _send(self, job: Job, item: Planned, request: SpeechRequest, voice: Voice) -> None:
        job.features = self._planner.features(item, request, voice)
        self.scheduler.submit(job)

    # -- speaking --------------------------------------------------------------------------------------------------

    def _finish(
        self, item: Planned, job: Job, request: SpeechRequest, voice: Voice, cancel: Cancellation | None
    ) -> tuple[SpokenSentence, NDArray[np.float32]]:
        first = self._attempt(item, job, request, voice, cancel)
        kept, attempts = first, 1
        while kept.failures and request.check and attempts < ATTEMPTS:
            again = replace(item, seed=item.seed + _TRIES_APART * attempts)
            more = self._planner.job(again, request, voice)
            more.features = job.features  # of the text, which is the same
            self.scheduler.submit(more)
            other = self._attempt(again, more, request, voice, cancel)
            kept, attempts = min(kept, other, key=lambda attempt: attempt.badness), attempts + 1
        seconds = len(kept.wave) / self.base.rate_hz
        ids, codes = tuple(item.ids.tolist()), tuple(kept.codes.tolist())
        spoken = SpokenSentence(
            item.text,
            ids,
            codes,
            seconds,
            attempts,
            kept.failures,
            first.failures,
            kept.error_rate,
            kept.gain,
            self._times(item, codes, kept.wave, voice),
            item.before_s,
            item.after_s,
        )
        return spoken, kept.wave

    def _attempt(
        self, item: Planned, job: Job, request: SpeechRequest, voice: Voice, cancel: Cancellation | None
    ) -> _Attempt:
        drawn = list(_codes(job, cancel))
        ending = job.ending
        assert ending is not None, "codes() ends with an ending or raises"
        tempo, own = self._tempo(request.speed, voice), self._tempo(1.0, voice)
        codes = _array(drawn_out(drawn, tempo.stretch))
        at_own_pace = codes if tempo == own else _array(drawn_out(drawn, own.stretch))
        limiter = self._limiter()
        loud = self._utterance(item, tempo, voice).wave(codes)
        wave = np.concatenate([limiter.push(loud), limiter.flush()])
        counts, doubt = None, 0.0
        if request.check and self.recogniser is not None:
            heard = wave
            if tempo != own:
                heard = self._utterance(item, own, voice).wave(at_own_pace)
            logits = self.recogniser.logits(Waveform(heard, self.base.rate_hz))
            counts = errors_of(logits, item.phonemes)
            if counts.rate > self.settings.limits.error_rate_of(counts.length):
                doubt = doubt_of(logits, item.phonemes)
        failures = sentence_failures(
            duration_s=len(at_own_pace) / own.speed / self.base.codes_hz,
            expected_s=item.seconds,
            sounding_s=item.sounding_s,
            rms_dbfs=_rms_dbfs(wave),
            error_rate=counts.rate if counts is not None else 0.0,
            phones=counts.length if counts is not None else 0,
            doubt=doubt,
            loop=longest_loop(drawn) if job.path is None else 1,
            reached_limit=not ending.by_token and not ending.looped,
            limits=self.settings.limits,
        )
        rate = None if counts is None else counts.rate
        return _Attempt(codes, wave, failures, rate, limiter.least_gain)

    def _stream_sentence(
        self,
        item: Planned,
        job: Job,
        request: SpeechRequest,
        voice: Voice,
        cancel: Cancellation | None,
        codes: list[int],
        *,
        first: bool,
    ) -> Iterator[NDArray[np.float32]]:
        """Under full scale. codes: filled while it goes. first: whether nothing was heard before it."""
        limiter = self._limiter()
        tempo = self._tempo(request.speed, voice)
        utterance = self._utterance(item, tempo, voice)
        sizes = FIRST_SENTENCE_CODES if first else NEXT_SENTENCE_CODES
        wanted, pieces = sizes[0], 1
        for code in drawn_out(_codes(job, cancel), tempo.stretch):
            codes.append(code)
            if len(codes) < wanted:
                continue
            wanted = len(codes) + sizes[min(pieces, len(sizes) - 1)]
            pieces += 1
            latent = utterance.latent(np.array(codes, np.int64))
            moving = round(HELD_BACK_CODES * self.base.frames_per_code / tempo.speed)
            piece = limiter.push(utterance.next_piece(latent, latent.shape[2] - moving))
            if len(piece):
                yield piece
        last = limiter.push(utterance.next_piece(utterance.latent(np.array(codes, np.int64))))
        piece = np.concatenate([last, limiter.flush()])
        if len(piece):
            yield piece

    def _times(self, item: Planned, codes: Sequence[int], wave: NDArray[np.float32], voice: Voice) -> SentenceTime:
        return sentence_time(
            item.text, item.phonemes, codes, wave, rate_hz=self.base.rate_hz, pace=voice.prompt.pace,
            codes_are_phones=self.base.speaking.follow_text,
        )  # fmt: skip

    def _tempo(self, speed: float, voice: Voice) -> Tempo:
        return tempo_of(speed, voice.prompt.pace.stretch, codes_are_phones=self.base.speaking.follow_text)

    def _utterance(self, item: Planned, tempo: Tempo, voice: Voice) -> Utterance:
        decoder = self.decoders.get(voice)
        prompt = voice.prompt
        return Utterance(
            self.base, decoder, item.ids, prompt.condition, seed=item.seed, speed=tempo.speed, gain=prompt.gain
        )

    def _limiter(self) -> Limiter:
        return Limiter(self.base.rate_hz, _CEILING_DBFS)


def _codes(job: Job, cancel: Cancellation | None) -> Iterator[int]:
    """The job's codes until somebody asks to stop; the second attempt of a sentence is stopped here too."""
    for code in job.codes():
        if cancel is not None and cancel.cancelled:
            job.cancel()
            raise CancelledError(f"speaking: {cancel.reason}", "send the request again")
        yield code


def _array(codes: Iterable[int]) -> NDArray[np.int64]:
    return np.array(list(codes), np.int64)


def _rms_dbfs(wave: NDArray[np.float32]) -> float:
    power = float(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0
    return float(10 * np.log10(max(power, 1e-20)))
