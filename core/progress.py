"""Progress of long work, shown by the caller. Stages only see the `Progress` protocol; they never print."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Display
    from rich.progress import TaskID


class Task(Protocol):
    """One counted piece of work."""

    def advance(self, amount: float = 1.0) -> None: ...

    def note(self, text: str) -> None:
        """A short remark beside the count (the current file, the current loss)."""
        ...


class Progress(Protocol):
    """Where a stage says how far it is."""

    def task(self, name: str, total: float | None = None, unit: str = "") -> AbstractContextManager[Task]:
        """Use as `with progress.task("decode", total=12, unit="clips") as task: task.advance()`."""
        ...


class _SilentTask:
    def advance(self, amount: float = 1.0) -> None:
        return None

    def note(self, text: str) -> None:
        return None


class SilentProgress:
    """Shows nothing; for tests and for JSON output."""

    @contextmanager
    def task(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        yield _SilentTask()


class _PlainTask:
    def __init__(self, owner: PlainProgress, name: str, total: float | None, unit: str) -> None:
        self.owner, self.name, self.total, self.unit = owner, name, total, unit
        self.done, self.remark = 0.0, ""
        self.last = owner.clock()

    def advance(self, amount: float = 1.0) -> None:
        self.done += amount
        if self.owner.clock() - self.last >= self.owner.every_s:
            self.show()

    def note(self, text: str) -> None:
        self.remark = text

    def show(self) -> None:
        self.last = self.owner.clock()
        of = f"/{self.total:g}" if self.total is not None else ""
        remark = f" ({self.remark})" if self.remark else ""
        self.owner.write(f"  {self.name}: {self.done:g}{of} {self.unit}".rstrip() + remark)


class PlainProgress:
    """A line now and then, for CI logs: at most one every `every_s` seconds for a task, and one at its end."""

    def __init__(
        self, write: Callable[[str], None], every_s: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.write, self.every_s, self.clock = write, every_s, clock

    @contextmanager
    def task(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        task = _PlainTask(self, name, total, unit)
        try:
            yield task
        finally:
            task.show()


class _RichTask:
    def __init__(self, display: Display, task_id: TaskID) -> None:
        self.display, self.task_id = display, task_id

    def advance(self, amount: float = 1.0) -> None:
        self.display.advance(self.task_id, amount)

    def note(self, text: str) -> None:
        self.display.update(self.task_id, remark=text)


class TerminalProgress:
    """Live bars on a terminal (rich), on standard error so that results on standard output stay clean.

    Tasks may be nested and may come from several threads: they share one display, since a terminal has room for one.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._display: Display | None = None
        self._open = 0

    @contextmanager
    def task(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        display = self._enter()
        task_id = display.add_task(name, total=total, remark="", unit=unit)
        try:
            yield _RichTask(display, task_id)
        finally:
            display.remove_task(task_id)
            self._leave()

    def _enter(self) -> Display:
        with self._lock:
            if self._display is None:
                self._display = _display(self._console)
                self._display.start()
            self._open += 1
            return self._display

    def _leave(self) -> None:
        with self._lock:
            self._open -= 1
            if self._open == 0 and self._display is not None:
                self._display.stop()
                self._display = None


def _display(console: Console | None) -> Display:
    # rich is imported when something is shown: `timbre --help` must not pay for it.
    from rich import console as consoles
    from rich import progress

    return progress.Progress(
        progress.TextColumn("  {task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[unit]}"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.fields[remark]}", markup=False),
        console=console or consoles.Console(stderr=True),
        transient=True,
    )
