"""Small parts of core: atomic writes, locks, memory, progress, cancellation, JSON logs."""

from __future__ import annotations

import fcntl
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pytest
from rich.console import Console

from timbre.core.atomic import publish_directory, remove_tree, write_bytes, write_json
from timbre.core.cancellation import Cancellation, Interrupted
from timbre.core.errors import InfrastructureError
from timbre.core.host import installed_version, tool_versions
from timbre.core.locks import exclusive
from timbre.core.logs import set_up
from timbre.core.memory import peak_mib, restart_peak
from timbre.core.progress import PlainProgress, SilentProgress, TerminalProgress
from timbre.core.redaction import Redactor
from timbre.registry.local_store import LocalStore


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="Out of range"):
        write_json(path, {"a": float("nan")})

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes(path, b"new")
    assert json.loads(path.read_text()) == {"a": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]


def test_a_private_file_is_private_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, modes, rename = tmp_path / "page.html", [], Path.replace

    def note(self: Path, target: Path) -> Path:
        modes.append(self.stat().st_mode & 0o777)
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", note)
    write_bytes(path, b"for all")
    write_bytes(path, b"for one", private=True)
    assert modes == [0o644, 0o600]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b"for one"


def test_a_file_that_is_read_is_replaced_later_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")
    refusals, rename = [3], Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if refusals[0]:
            refusals[0] -= 1
            raise PermissionError(13, "The process cannot access the file because it is being used by another process")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    monkeypatch.setattr("timbre.core.atomic.WINDOWS", True)
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert refusals == [0]


def test_a_directory_that_cannot_be_flushed_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows opens no directory, and flushes only files that are open for writing."""
    opened, flush = os.open, os.fsync

    def windows_open(name: str | Path, flags: int, mode: int = 0o777) -> int:
        if Path(name).is_dir():
            raise PermissionError(13, "Permission denied")
        return opened(name, flags, mode)

    def windows_flush(handle: int) -> None:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")
        flush(handle)

    monkeypatch.setattr("os.open", windows_open)
    monkeypatch.setattr("os.fsync", windows_flush)
    monkeypatch.setattr("timbre.core.atomic.WINDOWS", True)
    (tmp_path / "new").mkdir()
    write_bytes(tmp_path / "new" / "a", b"a")
    publish_directory(tmp_path / "new", tmp_path / "out")
    assert (tmp_path / "out" / "a").read_bytes() == b"a"
    store = LocalStore(tmp_path / "registry")
    assert store.put_if_absent("voices/ada/production", b"1")
    stored = store.get("voices/ada/production")
    assert stored is not None
    assert store.replace_if("voices/ada/production", b"2", stored.tag)
    assert list(store.list("")) == ["voices/ada/production"]


def test_directory_is_replaced_whole(tmp_path: Path) -> None:
    for name, content in (("old", "1"), ("new", "2")):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / name).write_text(content)
    publish_directory(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert [path.name for path in (tmp_path / "old/deep").iterdir()] == ["new"]


def test_removing_a_link_keeps_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "kept").touch()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "nothing")
    assert (tmp_path / "target" / "kept").exists()
    assert not (tmp_path / "link").exists()


def test_lock_names_its_holder_and_is_released(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "ada.lock"
    said: list[str] = []
    with exclusive(path, "voice ada"):
        code = (
            "import sys; from pathlib import Path; from timbre.core.locks import exclusive\n"
            "with exclusive(Path(sys.argv[1]), 'voice ada', 0.1, print): pass"
        )
        root = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-c", code, str(path)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "waiting up to 0.1 s" in done.stdout
        assert "voice ada is in use by process" in done.stderr
    with exclusive(path, "voice ada", 0.0, said.append):
        assert said == []
    with pytest.raises(ZeroDivisionError), exclusive(path, "voice ada"):
        raise ZeroDivisionError
    with exclusive(path, "voice ada"):
        pass


def test_peak_memory_sees_an_allocation() -> None:
    restart_peak()
    before = peak_mib()
    block = bytearray(64 << 20)
    block[::4096] = b"x" * len(block[::4096])
    assert peak_mib() - before > 50
    del block


def test_the_version_of_what_is_not_installed_is_empty() -> None:
    assert installed_version("filelock") == filelock.__version__
    assert installed_version("no-such-distribution") == ""


def test_tool_versions_import_nothing() -> None:
    versions = tool_versions()
    assert versions["python"].startswith("3.")
    assert versions["timbre"]
    assert versions["numpy"]


def test_cancellation_keeps_the_first_reason() -> None:
    cancel = Cancellation()
    cancel.check()
    cancel.cancel("signal SIGTERM")
    cancel.cancel("again")
    with pytest.raises(Interrupted, match="signal SIGTERM") as caught:
        cancel.check()
    assert isinstance(caught.value, InfrastructureError)
    assert caught.value.exit_code == 30


def test_plain_progress_is_sparing() -> None:
    lines: list[str] = []
    now = [0.0]
    progress = PlainProgress(lines.append, every_s=10, clock=lambda: now[0])
    with progress.task("decode", total=3, unit="clips") as task:
        for second in (1.0, 11.0, 12.0):
            now[0] = second
            task.note(f"at {second:g} s")
            task.advance()
    assert lines == ["  decode: 2/3 clips (at 11 s)", "  decode: 3/3 clips (at 12 s)"]


def test_silent_progress() -> None:
    with SilentProgress().task("decode") as task:
        task.advance()
        task.note("x")


def test_terminal_progress_nests_and_takes_threads() -> None:
    stream = io.StringIO()
    progress = TerminalProgress(Console(file=stream, force_terminal=True, width=100))

    def work(name: str) -> None:
        with progress.task(name, total=2, unit="steps") as task:
            task.note("[not] markup")
            task.advance(2)

    with progress.task("outer", total=1) as outer:
        threads = [threading.Thread(target=work, args=(f"thread {number}",)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        work("inner")
        outer.advance()
    work("after")
    shown = stream.getvalue()
    assert "outer" in shown
    assert "after" in shown


def test_json_logs_are_json_whatever_is_logged() -> None:
    stream = io.StringIO()
    logger = set_up(Redactor(), as_json=True, level="debug", stream=stream)
    try:
        logger.debug('line\nbreak "quote" %s', "ü", extra={"path": Path("/a"), "list": [1, None, {"x": {1, 2}}]})
    finally:
        logger.handlers.clear()
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["message"] == 'line\nbreak "quote" ü'
