"""Workers: a bounded queue of orders, and threads that speak them through the engines.

submit -> queue (full: 429) -> worker: library -> engine -> encoder -> events of the delivery
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timbre.audio.provenance import Label
from timbre.core.errors import TimbreError
from timbre.inference.errors import CancelledError
from timbre.inference.request import SpeechStream, SpokenSentence
from timbre.inference.timing import SentenceTime
from timbre.serving.cast import Cast, CastMarker
from timbre.serving.encoding import WholeEncoder, open_encoder, output_rate
from timbre.serving.errors import ApiError, bug, explain, unavailable
from timbre.serving.library import Library
from timbre.serving.metrics import Metrics
from timbre.serving.order import Begun, Delivery, Done, Piece, Timed
from timbre.serving.served import ServedMarks

_REASONS = ("silent", "duration", "loops", "cut off", "words missing")
_LONGEST_RETRY_S = 60
_SILENCE_DBFS = -70.0
_PIECE_BYTES = 256 * 1024


class Workers:
    """Threads over one queue. start() and close() once each; submit() from any thread."""

    def __init__(
        self,
        library: Library,
        metrics: Metrics,
        log: logging.Logger,
        served: ServedMarks,
        *,
        count: int,
        waiting: int,
        queue_timeout_s: float,
        program: str = "",
    ) -> None:
        """program: name and version that answers are labelled with, and their sound marked; "" for neither."""
        self._library = library
        self._metrics = metrics
        self._log = log
        self._served = served
        self._program = program
        self._count = count
        self._timeout_s = queue_timeout_s
        # The workers' own orders leave the queue at once, so it holds only what waits.
        self._queue: queue.Queue[Delivery | None] = queue.Queue()
        self._most = waiting
        self._lock = threading.Lock()
        self._busy: set[Delivery] = set()
        self._waiting = 0
        self._closed = False
        self._mean_s = 2.0
        self._threads = [
            threading.Thread(target=self._work, name=f"speaker-{index}", daemon=True) for index in range(count)
        ]

    @property
    def idle(self) -> bool:
        """Whether an order would be spoken at once."""
        return not self._waiting and len(self._busy) < self._count

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, delivery: Delivery) -> None:
        """Queues an order. Raises ApiError 429 with Retry-After when as many wait as may, 503 after close()."""
        with self._lock:
            if self._closed:
                raise unavailable("the server is shutting down")
            free = self._count - len(self._busy)
            if self._waiting - free >= self._most:
                raise self._full()
            self._waiting += 1
            self._queue.put(delivery)
            self._metrics.queue_depth.set(self._waiting)

    def close(self) -> None:
        """Cancels what runs and what waits, and ends the threads."""
        with self._lock:
            self._closed = True
            running = list(self._busy)
        for delivery in running:
            delivery.cancel.cancel("the server is shutting down")
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=10)

    def _full(self) -> ApiError:
        # Who comes back when the queue has moved by its length finds room.
        seconds = math.ceil(self._mean_s * (self._waiting + 1) / self._count)
        after = str(min(max(seconds, 1), _LONGEST_RETRY_S))
        return ApiError(
            429, f"{self._waiting} requests wait already", f"try again in {after} s", headers={"Retry-After": after}
        )

    def _work(self) -> None:
        while (delivery := self._queue.get()) is not None:
            with self._lock:
                self._waiting -= 1
                self._busy.add(delivery)
                self._metrics.queue_depth.set(self._waiting)
                closed = self._closed
            started = time.perf_counter()
            try:
                if closed:
                    delivery.post(unavailable("the server is shutting down"))
                elif delivery.waited_s > self._timeout_s:
                    delivery.post(unavailable(f"the request waited longer than {self._timeout_s:g} s", code="queued"))
                elif not delivery.cancel.cancelled:
                    self._speak(delivery)
            except BaseException as error:
                self._fail(delivery, error)
            finally:
                with self._lock:
                    self._busy.discard(delivery)
                    self._mean_s += 0.2 * (time.perf_counter() - started - self._mean_s)

    def _fail(self, delivery: Delivery, error: BaseException) -> None:
        if isinstance(error, CancelledError) and delivery.cancel.cancelled:
            delivery.post(unavailable(delivery.cancel.reason or "the request was cancelled"))
            return
        if self._closed and isinstance(error, TimbreError | ApiError):
            # Engines close under what still waits: that is no fault of a voice.
            delivery.post(unavailable("the server is shutting down"))
            return
        answer = explain(error)
        order = delivery.order
        if answer is None:
            self._log.error("bug while speaking", extra={"voice": order.voice}, exc_info=error)
            answer = bug()
        elif answer.status_code >= 500 and isinstance(error, TimbreError):
            extra = {"voice": order.voice, "reference": order.parts[0].reference, "reason": error.message}
            self._log.error("could not speak", extra=extra)
        elif answer.status_code >= 500 and not isinstance(error, ApiError):
            self._log.error("could not speak", extra={"voice": order.voice}, exc_info=error)
        delivery.post(answer)

    def _speak(self, delivery: Delivery) -> None:
        order = delivery.order
        cast = Cast(order, self._library)
        begun_s = time.perf_counter()
        seconds = (self._whole if order.whole else self._stream)(delivery, cast)
        for speaker in cast.speakers:
            if speaker.manifest is not None:
                self._served.note(speaker.manifest.voice, speaker.manifest.version)
        for part in order.parts:
            self._metrics.characters.labels(part.label).inc(len(part.speech.text))
        if seconds:
            self._metrics.real_time.labels(order.label).observe((time.perf_counter() - begun_s) / seconds)

    def _begin(self, delivery: Delivery, cast: Cast, unknown: tuple[str, ...]) -> None:
        order = delivery.order
        delivery.post(Begun(cast.names, output_rate(order.format, cast.rate_hz, order.rate_hz), unknown))
        self._metrics.first_audio.labels(order.label).observe(delivery.waited_s)

    def _whole(self, delivery: Delivery, cast: Cast) -> float:
        order = delivery.order
        encoder = WholeEncoder(order.format, cast.rate_hz, order.rate_hz, self._label(cast))
        marker, loudness, failed = CastMarker(cast.rate_hz, on=bool(self._program)), _Loudness(), 0
        unspoken: list[str] = []
        times: list[SentenceTime] = []
        for part in order.parts:
            speaker, before_part = cast.of(part), loudness.samples
            spoken, unknown = speaker.engine.sentences(part.speech, speaker.voice, cancel=delivery.cancel)
            unspoken += unknown
            encoder.push(marker.turn_to(speaker.name))
            for sentence, wave in spoken:
                before, after = map(speaker.engine.silence, (sentence.before_s, sentence.after_s))
                if order.timed and sentence.times is not None:
                    times.append(sentence.times.moved((loudness.samples + len(before)) / cast.rate_hz))
                for samples in (before, wave, after):
                    encoder.push(marker.push(samples))
                    loudness.add(samples)
                failed += bool(sentence.failures)
                if sentence.attempts > 1:
                    self._metrics.regenerations.labels(_reason(sentence)).inc()
            self._metrics.audio.labels(part.label).inc((loudness.samples - before_part) / cast.rate_hz)
        self._refuse_silence(order.label, loudness)
        encoder.push(marker.finish())
        data = memoryview(encoder.finish())
        self._begin(delivery, cast, tuple(dict.fromkeys(unspoken)))
        for start in range(0, len(data), _PIECE_BYTES):
            delivery.post(Piece(bytes(data[start : start + _PIECE_BYTES])))
        for time_of in times:
            delivery.post(Timed(time_of))
        seconds = loudness.samples / cast.rate_hz
        delivery.post(Done(seconds, failed))
        return seconds

    def _stream(self, delivery: Delivery, cast: Cast) -> float:
        order = delivery.order
        encoder = open_encoder(order.format, cast.rate_hz, order.rate_hz, self._label(cast))
        marker, loudness, begun = CastMarker(cast.rate_hz, on=bool(self._program)), _Loudness(), False
        for part in order.parts:
            speaker, before_part = cast.of(part), loudness.samples
            waves = speaker.engine.stream(part.speech, speaker.voice, cancel=delivery.cancel)
            left = marker.turn_to(speaker.name)
            timed, before_s = 0, before_part / cast.rate_hz
            for wave in waves:
                if order.timed:
                    timed = _post_times(delivery, waves, timed, before_s)
                head = b"" if begun else encoder.start()
                data = head + encoder.push(np.concatenate([left, marker.push(wave.samples)]))
                left = left[:0]
                if not begun:
                    self._begin(delivery, cast, waves.unknown)
                    begun = True
                loudness.add(wave.samples)
                if data:
                    delivery.post(Piece(data))
            if order.timed:
                _post_times(delivery, waves, timed, before_s)
            self._metrics.audio.labels(part.label).inc((loudness.samples - before_part) / cast.rate_hz)
        # Known only now, when the head of the answer has left: the answer breaks off.
        self._refuse_silence(order.label, loudness)
        rest = encoder.push(marker.finish()) + encoder.finish()
        if rest:
            delivery.post(Piece(rest))
        seconds = loudness.samples / cast.rate_hz
        delivery.post(Done(seconds))
        return seconds

    def _label(self, cast: Cast) -> Label | None:
        if not self._program:
            return None
        return Label(self._program, ", ".join(cast.names), time.strftime("%Y-%m-%d", time.gmtime()))

    def _refuse_silence(self, voice: str, loudness: _Loudness) -> None:
        """Raises ApiError for silence: it is no answer, neither a whole one nor one that ends as if all were well."""
        if loudness.silent:
            self._metrics.silent.labels(voice).inc()
            self._log.error("an answer was silence", extra={"voice": voice})
            raise unavailable("the voice gave silence", code="silent")


@dataclass
class _Loudness:
    """Of all pieces of an answer together."""

    samples: int = 0
    energy: float = 0.0

    def add(self, samples: NDArray[np.float32]) -> None:
        self.samples += len(samples)
        self.energy += float(np.sum(np.square(samples, dtype=np.float64)))

    @property
    def silent(self) -> bool:
        """Whether it is inaudible: quieter than any recording."""
        return self.energy <= self.samples * 10 ** (_SILENCE_DBFS / 10)


def _post_times(delivery: Delivery, stream: SpeechStream, posted: int, before_s: float) -> int:
    """Posts the times that came since, later by what was said before this stream; how many were posted in all."""
    for sentence in stream.times[posted:]:
        delivery.post(Timed(sentence.moved(before_s)))
    return len(stream.times)


def _reason(sentence: SpokenSentence) -> str:
    first = sentence.first_failures[0] if sentence.first_failures else ""
    return next((name for name in _REASONS if first.startswith(name)), "other").replace(" ", "_")
