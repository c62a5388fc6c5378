"""Books: chapters of text, Markdown and EPUB, files made to harm, and reading aloud with a kill in between."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
import pytest

from tests.serving.shelf_of_voices import Shelf
from timbre.audio.loudness import Loudness
from timbre.audio.provenance import read_label
from timbre.audio.reader import read
from timbre.cli.main import call
from timbre.core.errors import InfrastructureError, InputError
from timbre.core.progress import SilentProgress
from timbre.inference.device import Device
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.pipeline.books import reading as books
from timbre.pipeline.books import turns
from timbre.pipeline.books.book import Book, Chapter
from timbre.pipeline.books.files import read_book
from timbre.pipeline.books.plan import SpokenPassage, passages
from timbre.pipeline.books.reading import bind, read_aloud, spoken_book
from timbre.pipeline.books.turns import Order, read_in_turns
from timbre.pipeline.release.speaking import Speaking, SpokenText, opened
from timbre.registry.address import RegistryAddress

CONTAINER = b'<container><rootfiles><rootfile full-path="OEBPS/a.opf"/></rootfiles></container>'
PACKAGE = b"""<?xml version="1.0"?><package xmlns:dc="x"><metadata><dc:title>The  Sea</dc:title>
<dc:creator>A. Writer</dc:creator></metadata><manifest>
<item id="nav" href="nav.xhtml" properties="nav"/><item id="b" href="two.xhtml"/>
<item id="a" href="text/one%20.xhtml"/>
</manifest>
<spine><itemref idref="nav"/><itemref idref="a"/><itemref idref="b"/><itemref idref="x"/></spine></package>"""
ONE = b"""<html><head><title>no</title><style>p {}</style></head><body><h1>One<br/>Morning</h1>
<p>Fish &amp; chips&#8212;
<i>hot</i>.</p><div>Ruby <ruby>\xe6\xbc\xa2<rt>kan</rt></ruby></div><p/><hr/><p>* * *</p><p>Last.</p></body></html>"""
TWO = b"<html><body><p>Goes on.</p><h2>Two</h2><p>Then &nbsp; night.<script>x < 1</script></p></body></html>"


def epub(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


GOOD = {
    "META-INF/container.xml": CONTAINER, "OEBPS/a.opf": PACKAGE, "OEBPS/text/one .xhtml": ONE, "OEBPS/two.xhtml": TWO,
    "OEBPS/nav.xhtml": b"<html><body><p>Contents</p></body></html>",
}  # fmt: skip


def test_epub(tmp_path: Path) -> None:
    book = read_book(epub(tmp_path / "a.epub", GOOD))
    assert (book.title, book.author) == ("The Sea", "A. Writer")
    assert book.chapters == (
        Chapter("One Morning", ("Fish & chips\u2014 hot.", "Ruby \u6f22", "* * *", "Last.", "Goes on.")),
        Chapter("Two", ("Then night.",)),
    )


def test_text_and_markdown(tmp_path: Path) -> None:
    text = tmp_path / "sea.txt"
    text.write_bytes(
        (
            "\ufeffThe Sea\r\n\r\nCHAPTER I. The Boat\r\n\r\nIt was\r\nlate.\r\n\r\nShe ran.\r\n\r\n"
            "Chapter Two\r\nHe slept. Chapter houses burned.\r\n\r\n* * *\r\n\r\nPart of it was true."
        ).encode()
    )
    book = read_book(text)
    assert [chapter.title for chapter in book.chapters] == ["", "CHAPTER I. The Boat", "Chapter Two"]
    assert book.chapters[1].paragraphs == ("It was late.", "She ran.")
    assert book.chapters[2].paragraphs == ("He slept. Chapter houses burned.", "* * *", "Part of it was true.")
    chinese = tmp_path / "hai.txt"
    chinese.write_bytes("第一章 大海\n\n那天很晚，\n他睡了。\n\n第二章\n\n天亮了。".encode("gb18030"))
    assert read_book(chinese).chapters == (
        Chapter("第一章 大海", ("那天很晚，他睡了。",)), Chapter("第二章", ("天亮了。",)),
    )  # fmt: skip
    markdown = tmp_path / "sea.md"
    markdown.write_text(
        "# One\n\nIt *was* [late](x).\n\n## Two\nNight.\n\nThree\n=====\n\n- a\n- b\n", encoding="utf-8"
    )
    book = read_book(markdown)
    assert [chapter.title for chapter in book.chapters] == ["One", "Two", "Three"]
    assert book.chapters[0].paragraphs == ("It was late.",)


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "' + b"&a;" * 1000 + b'">]><html><body>&b;</body></html>'


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"META-INF/container.xml": None}, "has no META-INF/container.xml"),
        ({"OEBPS/a.opf": None}, "has no OEBPS/a.opf"),
        ({"OEBPS/a.opf": b"<package/>"}, "names no pages"),
        ({"OEBPS/two.xhtml": None}, "has no OEBPS/two.xhtml"),
        ({"OEBPS/two.xhtml": b" " * (17 << 20)}, "exceed"),
        ({"META-INF/rights.xml": b""}, "locked"),
        ({"OEBPS/text/one .xhtml": b"", "OEBPS/two.xhtml": b"\xff\xfe<p>"}, "nothing that can be spoken"),
    ],
)
def test_an_epub_that_is_none(tmp_path: Path, change: dict[str, bytes | None], words: str) -> None:
    files = {name: data for name, data in {**GOOD, **change}.items() if data is not None}
    with pytest.raises(InputError, match=words):
        read_book(epub(tmp_path / "a.epub", files))


def test_entities_do_not_grow(tmp_path: Path) -> None:
    book = read_book(epub(tmp_path / "a.epub", {**GOOD, "OEBPS/two.xhtml": BOMB}))
    assert book.characters < 2000


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.epub", b"PK\x03\x04 no zip", "no EPUB"),
        ("a.txt", b" \n * * *", "nothing that can be spoken"),
        ("a.txt", b"a\0\0\0", "is no text"),
        ("a.pdf", b"x", "ends in .pdf"),
    ],
)
def test_a_file_that_is_no_book(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=words):
        read_book(tmp_path / name)


def test_a_long_paragraph_is_read_in_parts() -> None:
    text = "It was late in the year. " * 400
    parts = [item.text for item in passages(Book("", "", (Chapter("One", (text.strip(), "***", "End.")),)))]
    assert parts[0] == "One."
    assert max(map(len, parts)) <= 1_500
    assert " ".join(parts[1:-2]) == text.strip()
    assert parts[-2:] == ["", "End."]


BOOK = "# One\n\nGood morning.\n\n\u2603\n\nПривет.\n\n# Two\n\nGood evening.\n\nGood night.\n"


@pytest.fixture
def shelf(tmp_path: Path, pico_export: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.chdir(tmp_path)
    shelf = Shelf(tmp_path / "registry", pico_export)
    shelf.publish("ada", 1)
    (tmp_path / "sea.md").write_text(BOOK, encoding="utf-8")
    return shelf


REQUEST = SpeechRequest("", sampling=Sampling(seed=1), check=False)


def opening(shelf: Shelf, tmp_path: Path) -> AbstractContextManager[Speaking]:
    registry = RegistryAddress(str(shelf.folder), {})
    return opened("ada", cache=tmp_path / "cache", registry=registry, progress=SilentProgress())


T = TypeVar("T")


class Killed(Exception):
    """What stands for kill -9 in this process."""


def test_reading_goes_on_after_a_kill(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken: list[str] = []
    speak, killed = Speaking.say, True

    def say(self: Speaking, request: SpeechRequest) -> SpokenText:
        if killed and len(spoken) == 3:
            raise Killed
        spoken.append(request.text)
        return speak(self, request)

    monkeypatch.setattr(Speaking, "say", say)
    book, target = read_book(tmp_path / "sea.md"), tmp_path / "sea.m4b"
    plan, folder = list(passages(book)), tmp_path / "sea.m4b.parts"
    with opening(shelf, tmp_path) as speaking:
        with pytest.raises(Killed):
            list(read_aloud(speaking, plan, folder, REQUEST))
        record = folder / "parts.jsonl"
        record.write_text(record.read_text(encoding="utf-8")[:-9], encoding="utf-8")  # the last line was cut off
        before = len(spoken)
        killed = False
        made = list(read_aloud(speaking, plan, folder, REQUEST))
        known = len(spoken)
        assert list(read_aloud(speaking, plan, folder, REQUEST)) == made
        assert len(spoken) == known, "no entry was written into the one that was cut off"
    whole = spoken_book(book, plan, folder, made, speaking.name)
    reading = bind(whole, target, SilentProgress())
    again = spoken[before:]
    assert spoken[0] not in again
    assert spoken[1] not in again
    assert again[-2:] == ["Good evening.", "Good night."]
    assert not record.parent.exists()
    assert [item.left_out.split(":")[0] for item in reading.passages if item.left_out] == ["'Привет.'"]
    with av.open(str(target)) as container:
        marks = container.chapters()
        assert [mark["metadata"]["title"] for mark in marks] == ["One", "Two"]
        assert container.metadata["title"] == "sea"
        assert "Synthetic speech by Timbre" in container.metadata["comment"]
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        rate = container.streams.audio[0].rate
    label = read_label(target)
    assert label is not None
    assert label.voice == speaking.name
    assert len(samples) / rate == pytest.approx(reading.made.seconds, abs=0.2)
    meter = Loudness(rate)
    meter.add(samples)
    assert meter.lufs == pytest.approx(reading.made.lufs, abs=0.5)
    ends = [float(mark["end"] * (mark["time_base"] or 0)) for mark in marks]
    assert ends[-1] == pytest.approx(reading.made.seconds, abs=0.1)


def test_the_command(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--registry", str(shelf.folder)]
    assert call(["read", "sea.md", "ada", "-o", "sea.m4b", "--json", "--keep-parts", *where]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["chapters"] == 2
    assert said["sentences"] == 5
    assert len(said["left_out"]) == 1
    assert "Привет" in said["left_out"][0]
    assert len(list((tmp_path / "sea.m4b.parts").glob("*.flac"))) == said["sentences"]
    assert call(["read", "sea.md", "ada", "-o", "sea.mp3", *where]) == 10
    assert "use one of: .m4b, .m4a" in capsys.readouterr().err
    assert call(["read", "none.txt", "ada", "-o", "sea.m4b", *where]) == 10
    assert "No such file" in capsys.readouterr().err


def test_freed_memory_goes_back_while_it_reads(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(books, "_TIDY_EVERY", 2)
    monkeypatch.setattr(books, "give_back", lambda: given.append("back"))
    plan = list(passages(read_book(Path("sea.md"))))
    with opening(shelf, tmp_path) as speaking:
        assert len(list(read_aloud(speaking, plan, tmp_path / "parts", REQUEST))) == 6
    assert len(given) == 3


@dataclass
class Followed(SilentProgress):
    """Remembers how far it came."""

    notes: list[str] = field(default_factory=list)
    amount: float = 0.0

    @contextmanager
    def task(self, what: str, *, total: float, unit: str) -> Iterator[Any]:  # type: ignore[override]
        yield self

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, amount: float = 1.0) -> None:
        self.amount += amount


def ordered(shelf: Shelf, tmp_path: Path, voice: str = "ada") -> Order:
    how = {"cache": tmp_path / "cache", "registry": RegistryAddress(str(shelf.folder), {})}
    return Order(voice, how, Device, SilentProgress, tmp_path / "parts", REQUEST)


def test_processes_take_turns_and_one_version_speaks_to_the_end(shelf: Shelf, tmp_path: Path) -> None:
    plan = list(passages(read_book(Path("sea.md"))))
    worded = [item for item in plan if item.text]
    processes, devices = tmp_path / "processes", tmp_path / "devices"
    order = replace(
        ordered(shelf, tmp_path),
        device=partial(counted, devices, Device), progress=partial(counted, processes, SilentProgress),
    )  # fmt: skip
    progress = Followed()
    speaker, spoken = read_in_turns(order, plan, progress, ["One", "Two"], most=2)
    assert processes.stat().st_size == 3
    assert devices.stat().st_size == 1, "chosen once, so that it is said once where it is not what was asked for"
    assert speaker == f"ada@{shelf.registry.resolve('ada').version}"
    assert [item.file for item in spoken] == [item.file for item in worded]
    assert progress.amount == sum(len(item.text) for item in worded)
    assert progress.notes == ["One"] * 3 + ["Two"] * 3
    with opening(shelf, tmp_path) as speaking:
        alone = tuple(read_aloud(speaking, plan, tmp_path / "alone", REQUEST))
    assert alone == spoken
    for item in spoken:
        if not item.left_out:
            one, two = (read(tmp_path / folder / item.file, 60.0) for folder in ("alone", "parts"))
            np.testing.assert_array_equal(one.samples, two.samples)
    lines = (tmp_path / "parts" / "parts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["file"] for line in lines] == [item.file for item in spoken]
    # A second run finds all of it, in one turn more.
    again = read_in_turns(replace(order, voice=speaker), plan, SilentProgress(), ["One", "Two"], most=1)
    assert again == (speaker, spoken)
    assert processes.stat().st_size == 4


def test_what_a_turn_raises_is_raised_here(shelf: Shelf, tmp_path: Path) -> None:
    plan = list(passages(read_book(Path("sea.md"))))
    with pytest.raises(InputError, match="eve") as raised:
        read_in_turns(ordered(shelf, tmp_path, "eve"), plan, SilentProgress(), ["One", "Two"])
    assert raised.value.remedy


def counted(calls: Path, kind: type[T]) -> T:
    """A byte for every call, from whichever process."""
    with calls.open("ab") as file:
        file.write(b".")
    return kind()


def killed() -> Device:
    """In the process that should choose a device."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


def broken() -> Device:
    raise ZeroDivisionError("a bug")


def test_a_process_that_is_killed_or_broken_is_named(shelf: Shelf, tmp_path: Path) -> None:
    plan, order = list(passages(read_book(Path("sea.md")))), ordered(shelf, tmp_path)
    with pytest.raises(InfrastructureError, match="signal SIGKILL") as raised:
        read_in_turns(replace(order, device=killed), plan, SilentProgress(), ["One", "Two"])
    assert "goes on where it was" in raised.value.remedy
    with pytest.raises(RuntimeError, match="a bug"):
        read_in_turns(replace(order, device=broken), plan, SilentProgress(), ["One", "Two"])


def test_a_reader_that_stops_ends_the_process(shelf: Shelf, tmp_path: Path) -> None:
    """Ctrl+C while a passage is spoken."""

    class Stopped(Followed):
        def advance(self, amount: float = 1.0) -> None:
            raise KeyboardInterrupt

    plan = list(passages(read_book(Path("sea.md"))))
    with pytest.raises(KeyboardInterrupt):
        read_in_turns(ordered(shelf, tmp_path), plan, Stopped(), ["One", "Two"])
    assert not multiprocessing.active_children()


def asleep() -> Device:
    time.sleep(90)
    raise AssertionError("not reached")


def test_a_process_that_is_busy_is_not_waited_for(shelf: Shelf, tmp_path: Path) -> None:
    plan, began = list(passages(read_book(Path("sea.md")))), time.monotonic()
    with pytest.raises(KeyboardInterrupt), turns._turn(replace(ordered(shelf, tmp_path), device=asleep), plan, 1):
        raise KeyboardInterrupt
    assert time.monotonic() - began < 60
    assert not multiprocessing.active_children()


def test_the_reader_itself_brings_no_engine(tmp_path: Path) -> None:
    """It lives as long as the book is read, beside the process that speaks."""
    listing = "import sys, timbre.cli.commands.read; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout.split()
    assert not {"onnxruntime", "av", "torch", "timbre.inference.engine"} & {*found}


def test_a_book_of_which_nothing_was_spoken_is_refused(tmp_path: Path) -> None:
    book = Book("", "", (Chapter("", ("Привет.",)),))
    left = SpokenPassage("0001-00001.flac", "key", 0.0, 0, (), "'Привет.': no such language")
    with pytest.raises(InputError, match="no such language"):
        spoken_book(book, tuple(passages(book)), tmp_path, [left], "ada@1")
