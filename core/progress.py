"""Progress of long work, told to whoever shows it. Stages only ever see the `Progress` protocol; they never print."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


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
    def __init__(self, display: object, task_id: object) -> None:
        self.display, self.task_id = display, task_id

    def advance(self, amount: float = 1.0) -> None:
        self.display.advance(self.task_id, amount)  # type: ignore[attr-defined]

    def note(self, text: str) -> None:
        self.display.update(self.task_id, remark=text)  # type: ignore[attr-defined]


class TerminalProgress:
    """Live bars on a terminal (rich), written to standard error so that results on standard output stay clean."""

    @contextmanager
    def task(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Display

        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
        display = Display(
            *columns,
            TimeElapsedColumn(),
            TextColumn("{task.fields[remark]}"),
            console=Console(stderr=True),
            transient=True,
        )
        with display:
            yield _RichTask(display, display.add_task(name, total=total, remark=""))
