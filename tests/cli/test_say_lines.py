"""`timbre say --lines` and `--timestamps`: files, their record, what a second run leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from tests.serving.shelf_of_voices import Shelf
from timbre.cli.main import call


@pytest.fixture
def shelf(tmp_path: Path, pico_export: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.chdir(tmp_path)
    shelf = Shelf(tmp_path / "registry", pico_export)
    shelf.publish("ada", 1)
    return shelf


def say(shelf: Shelf, *arguments: str) -> int:
    return call(["say", "ada", *arguments, "--registry", str(shelf.folder), "--seed", "3"])


def test_every_line_becomes_a_file(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("\ufeffGood morning.\n\n\u2603\nGood evening.\r\n", encoding="utf-8")
    folder = tmp_path / "out"
    assert say(shelf, "--lines", str(lines), "-o", str(folder), "--timestamps", "srt", "--json") == 10
    printed = capsys.readouterr()
    assert "1 of 3 were not spoken: 3" in printed.err
    assert "nothing that can be spoken" not in printed.out
    found = json.loads(printed.out)["lines"]
    assert [item["file"] for item in found] == ["0001.wav", "0004.wav"]
    assert [item["text"] for item in found] == ["Good morning.", "Good evening."]
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["0001.srt", "0001.wav", "0004.srt", "0004.wav", "lines.jsonl"]
    samples, rate = soundfile.read(folder / "0004.wav")
    assert len(samples) / rate == pytest.approx(found[1]["seconds"], abs=1e-3)
    assert "Good evening." in (folder / "0004.srt").read_text(encoding="utf-8")
    alone = tmp_path / "alone.wav"
    assert say(shelf, "Good evening.", "-o", str(alone)) == 0
    assert alone.read_bytes() == (folder / "0004.wav").read_bytes()


def test_a_second_run_speaks_what_is_missing_or_changed(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, folder = tmp_path / "lines.txt", tmp_path / "out"
    lines.write_text("One.\nTwo.\nThree.\n", encoding="utf-8")
    assert say(shelf, "--lines", str(lines), "-o", str(folder)) == 0
    capsys.readouterr()
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.wav")}
    (folder / "0002.wav").unlink()
    record = (folder / "lines.jsonl").read_text(encoding="utf-8")
    (folder / "lines.jsonl").write_text(record[:-20], encoding="utf-8")  # as a kill leaves it: the third is unknown
    lines.write_text("One.\nTwo.\nThree.\nFour.\n", encoding="utf-8")
    assert say(shelf, "--lines", str(lines), "-o", str(folder)) == 0
    said = [line.split(":")[0] for line in capsys.readouterr().err.splitlines() if line.startswith("line ")]
    assert said == ["line 2", "line 3", "line 4"]
    assert (folder / "0001.wav").stat().st_mtime_ns == before["0001.wav"]
    assert say(shelf, "--lines", str(lines), "-o", str(folder)) == 0
    assert "line " not in capsys.readouterr().err
    version = shelf.publish("ada", 2)
    assert say(shelf, "--lines", str(lines), "-o", str(folder)) == 0
    assert "line 1" in capsys.readouterr().err
    last = json.loads((folder / "lines.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert version
    assert last["text"] == "Four."


def test_missing_timestamps_are_written_again(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, folder = tmp_path / "lines.txt", tmp_path / "out"
    lines.write_text("One.\nTwo.\n", encoding="utf-8")
    arguments = ["--lines", str(lines), "-o", str(folder), "--timestamps", "srt"]
    assert say(shelf, *arguments) == 0
    (folder / "0002.srt").unlink()
    capsys.readouterr()
    assert say(shelf, *arguments) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["line 2"]
    assert (folder / "0002.srt").is_file()


def test_what_is_refused(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty.txt").write_text(" \n", encoding="utf-8")
    for arguments, words in (
        (["-o", "x.wav"], "either TEXT or --lines"),
        (["Hello.", "--lines", str(lines), "-o", "x"], "either TEXT or --lines"),
        (["--lines", str(lines), "-o", "x"], "not UTF-8 (byte 0)"),
        (["--lines", str(tmp_path / "empty.txt"), "-o", "x"], "no line with text"),
        (["--lines", str(tmp_path / "none.txt"), "-o", "x"], "No such file"),
        (["--lines", str(tmp_path / "empty.txt"), "-o", str(lines)], "no line with text"),
    ):
        assert say(shelf, *arguments) == 10, arguments
        assert words in capsys.readouterr().err, arguments
    (tmp_path / "empty.txt").write_text("Hi.\n", encoding="utf-8")
    assert say(shelf, "--lines", str(tmp_path / "empty.txt"), "-o", str(lines)) == 10
    assert "is a file" in capsys.readouterr().err


def test_timestamps_beside_the_sound(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form, head in (("srt", "1\n"), ("vtt", "WEBVTT"), ("json", "{")):
        assert say(shelf, "Good morning.", "-o", str(tmp_path / "a.wav"), "--timestamps", form, "--json") == 0
        assert json.loads(capsys.readouterr().out)["timestamps"] == str(tmp_path / f"a.{form}")
        assert (tmp_path / f"a.{form}").read_text(encoding="utf-8").startswith(head)
