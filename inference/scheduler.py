"""Continuous batching: many requests, one text-to-semantic graph, one step a loop for all rows that are speaking.

submit(job) -> the job waits -> a slot is free: prefill -> it takes part in every step until it ends -> its codes
arrive one by one

Where a text says which codes may come, each row reads several at once instead, in a run of its own.

A single thread owns the slots. Requests talk to it through their jobs only, so a slow reader or a cancelled request
never holds up the others.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from timbre.core.errors import InfrastructureError
from timbre.inference.errors import CancelledError
from timbre.inference.guards import longest_loop
from timbre.inference.sampling import Sampler, Sampling
from timbre.inference.t2s_slots import AHEAD, NO_LORA, Lora, T2SSlots
from timbre.text.phone_codes import TextPath

_LOOK_EVERY = 25


@dataclass(frozen=True)
class Ending:
    """How a sequence ended; neither: at its limit."""

    by_token: bool
    """By the end token."""
    looped: bool = False
    """Stopped because it repeated itself."""


_Event = list[int] | Ending | BaseException


@dataclass(eq=False)
class Job:
    """One sequence to decode. Iterate over `codes()` from any thread; call `cancel()` to stop it."""

    phones: NDArray[np.int64]
    """[P], prompt phones and target phones."""
    prompt: NDArray[np.int64]
    """[Y], codes of the prompt."""
    sampling: Sampling
    """How codes are drawn; a seed of None draws one."""
    min_codes: int
    """The sequence does not end before this many."""
    max_codes: int
    """The sequence is cut off here."""
    lora: Lora = NO_LORA
    """The voice's adapter; the base's own voice without one."""
    features: NDArray[np.float32] | None = None
    """[P, H], projected character vectors, or None."""
    loop_limit: int = 4
    """How often a group of codes may follow itself before the sequence is stopped (guards.longest_loop); of a job with
    a path as often as it likes."""
    path: TextPath | None = None
    """Of the text, where codes stand for phones."""
    streamed: bool = False
    """Somebody hears it while it is spoken. Other jobs with a path are decoded in turn: all together would take as
    long, and each of them would end last."""
    _events: queue.SimpleQueue[list[int] | Ending | BaseException] = field(
        default_factory=queue.SimpleQueue, repr=False
    )
    _cancelled: threading.Event = field(default_factory=threading.Event, repr=False)
    ending: Ending | None = None
    """None until `codes()` has come to its end, and after a cancel or an error."""

    def cancel(self) -> None:
        """Frees the slot at the next step; codes() then raises CancelledError."""
        self._cancelled.set()

    def codes(self, timeout_s: float = 120.0) -> Iterator[int]:
        """New codes as they are drawn, without prompt and end token; `ending` is set when it stops.

        Raises CancelledError, InfrastructureError when no code arrives within timeout_s, or what the decoder raised.
        """
        while True:
            try:
                event = self._events.get(timeout=timeout_s)
            except queue.Empty:
                self.cancel()
                raise InfrastructureError(
                    f"decoding: no code arrived within {timeout_s:g} s", "try again; if it persists, restart the server"
                ) from None
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, Ending):
                self.ending = event
                return
            yield from event


@dataclass(eq=False)
class _Row:
    job: Job
    sampler: Sampler
    codes: list[int] = field(default_factory=list)


class Scheduler:
    """Runs jobs on a T2SSlots in a separate thread. close() ends it; waiting and running jobs are then cancelled."""

    def __init__(self, slots: T2SSlots) -> None:
        self._slots = slots
        self._waiting: deque[Job] = deque()
        self._rows: list[_Row] = []
        self._wake = threading.Condition()
        self._closing = False
        self.steps = 0
        self.reads_ahead = slots.reads_ahead
        """Whether several codes of a row are read at once where its text says which may come."""
        self._thread = threading.Thread(target=self._loop, name="t2s-decoder", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> tuple[int, int]:
        """Jobs that wait and jobs that speak."""
        return len(self._waiting), len(self._rows)

    def submit(self, job: Job) -> Job:
        """Queues a job. Raises ValueError when it can never fit a slot, InfrastructureError after close()."""
        if not len(job.phones) or not self._slots.fits(len(job.phones), len(job.prompt), job.max_codes):
            raise ValueError(
                f"{len(job.phones)} phones, {len(job.prompt)} prompt codes and {job.max_codes} new codes do not fit "
                f"{self._slots.capacity} positions"
            )
        with self._wake:
            if self._closing:
                raise InfrastructureError("decoding: the engine is shutting down", "send the request to another server")
            self._waiting.append(job)
            self._wake.notify()
        return job

    def close(self) -> None:
        """Stops the thread after the current step."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _loop(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._rows and not self._closing:
                    self._wake.wait()
                if self._closing:
                    break
            try:
                self._admit_one()
                self._step()
            except BaseException as error:
                self._fail_all(error)
        self._fail_all(CancelledError("decoding: the engine was shut down", "send the request again"))

    def _admit_one(self) -> None:
        """One prefill a loop at most, so that rows that speak already never wait for more than one."""
        while self._slots.active < self._slots.slots and (job := self._next()) is not None:
            if self._drop_cancelled(job):
                continue
            try:
                sampler = Sampler(
                    job.sampling, self._slots.shape.vocabulary, self._slots.shape.end_token, job.prompt, job.path
                )
                _, logits = self._slots.admit(job.phones, job.prompt, job.lora, job.features)
            except Exception as error:  # it is in no row yet: it would wait for its codes
                job._events.put(error)
                continue
            self._rows.append(_Row(job, sampler))
            self._take(len(self._rows) - 1, logits)
            return

    def _next(self) -> Job | None:
        """Takes the first waiting job that may begin beside those that speak."""
        busy = any(self._takes_turns(row.job) for row in self._rows)
        with self._wake:
            for index, job in enumerate(self._waiting):
                if not (busy and self._takes_turns(job)) or job._cancelled.is_set():
                    del self._waiting[index]
                    return job
        return None

    def _takes_turns(self, job: Job) -> bool:
        """Whether it waits for others of its kind: reading ahead uses the processor as well as a batch does."""
        return self.reads_ahead and job.path is not None and not job.streamed

    def _step(self) -> None:
        for index in reversed(range(len(self._rows))):
            if self._rows[index].job._cancelled.is_set():
                self._drop_cancelled(self._rows[index].job)
                self._remove(index)
        if not self._rows:
            return
        if self.reads_ahead and all(row.job.path is not None for row in self._rows):
            # From the back: a removed row is replaced by the last one, which has had its step.
            for index in reversed(range(len(self._rows))):
                self._step_ahead(index)
            return
        logits = self._slots.step(np.array([row.codes[-1] for row in self._rows], np.int64))
        self.steps += 1
        # From the back: a removed row is replaced by the last one, whose logits were taken already.
        for index in reversed(range(len(self._rows))):
            self._take(index, logits[index])

    def _step_ahead(self, index: int) -> None:
        """Reads guesses of a row's next codes together with its last one. A code is drawn as ever; where it is what
        was guessed, the logits for the code after it are there already.
        """
        row = self._rows[index]
        guesses = row.sampler.guesses(min(AHEAD, self._slots.room(index)) - 1)
        logits = self._slots.step_ahead(index, np.array([row.codes[-1], *guesses], np.int64))
        self.steps += 1
        codes, ended = row.sampler.draw_ahead(guesses, logits, row.job.max_codes - len(row.codes))
        self._slots.keep(index, len(codes))
        self._give(index, codes, ended)

    def _take(self, index: int, logits: NDArray[np.float32]) -> None:
        """Draws a row's next code."""
        row = self._rows[index]
        code = row.sampler.draw(logits, may_end=len(row.codes) >= row.job.min_codes)
        self._give(index, [] if code is None else [code], code is None)

    def _give(self, index: int, codes: list[int], ended: bool) -> None:
        """Hands codes on, and takes the row away when it has ended."""
        row = self._rows[index]
        before = len(row.codes)
        row.codes += codes
        if codes:
            row.job._events.put(codes)
        full = len(row.codes) >= row.job.max_codes
        # What follows its text repeats what the text repeats, "no, no, no, no, no" too.
        look = row.job.path is None and len(row.codes) // _LOOK_EVERY > before // _LOOK_EVERY
        looped = not ended and look and longest_loop(row.codes[-100:]) > row.job.loop_limit
        if ended or full or looped:
            row.job._events.put(Ending(by_token=ended, looped=looped))
            self._remove(index)

    def _remove(self, index: int) -> None:
        self._slots.release(index)
        last = self._rows.pop()
        if index < len(self._rows):
            self._rows[index] = last

    def _drop_cancelled(self, job: Job) -> bool:
        if job._cancelled.is_set():
            job._events.put(CancelledError("decoding: the request was cancelled", "send it again"))
            return True
        return False

    def _fail_all(self, error: BaseException) -> None:
        with self._wake:
            waiting, self._waiting = self._waiting, deque()
        for row in self._rows:
            row.job._events.put(error)
        for job in waiting:
            job._events.put(error)
        self._rows.clear()
        self._slots.active = 0
