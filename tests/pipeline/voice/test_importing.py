"""Lists of other programs become voice folders; archives that are none to trust are refused."""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from timbre.cli.main import call
from timbre.core.errors import InputError
from timbre.pipeline.voice.folder import open_voice
from timbre.pipeline.voice.foreign_list import read_list
from timbre.pipeline.voice.importing import import_voice
from timbre.pipeline.voice.voice_yaml import read_voice_yaml

TEXTS = ("It's a quiet day, isn't it?", 'Nobody said "no"; not once.')

QUOTED = TEXTS[1].replace('"', '""')


def recordings(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or ("a 1.wav", "b'2 (final).wav"):
        sf.write(str(folder / name), np.zeros(800, np.float32), 16_000)
    return folder


def rows_of(folder: Path) -> list[list[str]]:
    return [line.split("|") for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.list", f"/data/x/a 1.wav|ada|EN|{TEXTS[0]}\n/data/x/b'2 (final).wav|ada|EN|{TEXTS[1]}\n".encode()),
        ("metadata.csv", f"a 1|raw 1|{TEXTS[0]}\nb'2 (final)|raw 2|{TEXTS[1]}\n".encode()),
        (
            "t.csv",
            f'File;Text\r\na 1.wav;"{TEXTS[0]}"\r\nb\'2 (final).wav;"{QUOTED}"\r\n'.encode("utf-8-sig"),
        ),
        ("t.csv", f'text,file\n"{TEXTS[0]}",a 1.wav\n"{QUOTED}",b\'2 (final).wav\n'.encode("utf-16")),
        ("t.tsv", f'a 1.wav\t{TEXTS[0]}\nb\'2 (final).wav\t"{QUOTED}"\n'.encode()),
    ],
)  # fmt: skip
def test_every_list_gives_the_same_voice(tmp_path: Path, name: str, data: bytes) -> None:
    source = recordings(tmp_path / "source")
    (source / name).write_bytes(data)
    made = import_voice(tmp_path, source, "new_teacher", "en")
    assert [row[1] for row in rows_of(made.folder)] == list(TEXTS)
    voice = open_voice(made.folder)
    # What is missing is the statement and the rights, which no list has; the names of clips are no problem any more.
    assert {problem.where for problem in voice.problems} == {
        "voice.yaml: consent.statement",
        "voice.yaml: consent.rights",
    }
    assert len(voice.clips) == 2
    assert sorted(path.name for path in source.iterdir()) == sorted([name, "a 1.wav", "b'2 (final).wav"])


def test_languages_and_other_encodings_of_a_list_are_kept() -> None:
    assert read_list("录音1.wav|你好".encode("gb18030"))[0] == {"file": "录音1.wav", "text": "你好"}
    assert read_list(b"x/a.wav|s|ZH|hi")[0]["language"] == "ZH"
    for bad in (b"", b"only one column\n"):
        with pytest.raises(InputError):
            read_list(bad)


@pytest.mark.parametrize(
    ("encoding", "language", "text"),
    [
        ("cp1252", "en", "It’s a résumé, “naïve” too."), ("cp1252", "", "It’s a quiet day."),
        ("gb18030", "", "你好，世界。"), ("gb18030", "en", "It is 你好 here."),
        ("cp932", "ja", "今日は静かです。"), ("euc_jp", "ja", "今日は静かです。"),
        ("cp949", "ko", "오늘은 조용합니다."), ("big5hkscs", "yue", "今日好靜。"), ("utf-16-le", "zh", "你好"),
    ],
)  # fmt: skip
def test_a_list_is_read_in_the_code_page_that_wrote_it(encoding: str, language: str, text: str) -> None:
    assert read_list(f"wavs/a.wav|{text}\n".encode(encoding), language) == [{"file": "wavs/a.wav", "text": text}]


def test_a_list_that_names_its_language_is_read_in_its_code_page() -> None:
    assert read_list("a.wav|s|JP|静かです。".encode("cp932"))[0]["text"] == "静かです。"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("VITS", ["a.wav|0|{0}", "b.wav|0|{1}", "c.wav|1|{2}"]),
        ("speaker last", ["a.wav|{0}|ada b", "b.wav|{1}|ada b", "c.wav|{2}|ada b"]),
        ("bare commas", ["a.wav,{0}", "b.wav,{1}", "c.wav,{2}"]),
        ("bare commas with headings", ["file,text", "a.wav,{0}", "b.wav,{1}", "c.wav,{2}"]),
        ("bare commas, another column", ["speaker,file,text", "s,a.wav,{0}", "s,b.wav,{1}", "s,c.wav,{2}"]),
        ("other headings", ["audio_filepath\tsize\ttext", "a.wav\t1\t{0}", "b.wav\t1\t{1}", "c.wav\t1\t{2}"]),
        ("GPT-SoVITS, no language", ["a.wav|s||{0}", "b.wav|s||{1}", "c.wav|s||{2}"]),
        ("tabs, an open quotation mark", ['a.wav\t{0}', 'b.wav\t{1}', 'c.wav\t{2}']),
    ],
)  # fmt: skip
def test_no_row_of_a_list_loses_its_text(name: str, lines: list[str]) -> None:
    texts = ["Hello there, Tom.", "No comma here.", "One, two, and three."]
    if "open" in name:
        texts[1] = '"Nobody said so.'
    data = "\n".join(lines).format(*texts).encode()
    assert [(row["file"], row["text"]) for row in read_list(data)] == list(
        zip(("a.wav", "b.wav", "c.wav"), texts, strict=True)
    )


@pytest.mark.parametrize(
    "data",
    [b"a.wav|ada|en_US|Hello there.\n", b"a.wav,one text,another text\nb.wav,two texts,more text\n",
     b"text,file\nHello, Tom.,a.wav\n"],
)  # fmt: skip
def test_a_list_whose_texts_cannot_be_told_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="column"):
        read_list(data)


def test_a_bar_within_the_text_of_an_upstream_list_is_kept() -> None:
    assert read_list(b"a.wav|s|EN|Hello|there\n")[0]["text"] == "Hello|there"


def test_recordings_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for number, folder in enumerate(("day 1", "day 2")):
        recordings(source / folder, "a.wav")
        sf.write(str(source / folder / "a.wav"), np.full(800, 0.1 * number, np.float32), 16_000)
    (source / "t.csv").write_text("/x/day 2/a.wav|Second day.\n/x/day 1/a|First day.\na.wav|Which day?\n")
    made = import_voice(tmp_path, source, "ada", "en")
    rows = {row[1]: sf.read(str(made.folder / row[0]))[0].max() for row in rows_of(made.folder)}
    assert rows == {"Second day.": pytest.approx(0.1, abs=0.01), "First day.": 0}
    assert "2 recordings of that name" in made.notes[0]


def test_names_of_other_systems_are_found(tmp_path: Path) -> None:
    source = recordings(tmp_path / "source", unicodedata.normalize("NFD", "café.wav"))
    (source / "t.list").write_text("café.wav|s|EN|Hello there.\n", encoding="utf-8")
    assert import_voice(tmp_path, source, "ada").rows == 1
    # As the packer of a Chinese Windows writes names: in its code page, and without the mark of UTF-8.
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t.list", "录音一.wav|s|ZH|你好。\n".encode())
        archive.write(source / unicodedata.normalize("NFD", "café.wav"), "XXXXXX.wav")
    path.write_bytes(path.read_bytes().replace(b"XXXXXX", "录音一".encode("gb18030")))
    assert import_voice(tmp_path, path, "lian").rows == 1


def test_an_archive_is_imported_and_rows_without_recording_are_named(tmp_path: Path) -> None:
    source = recordings(tmp_path / "source", "a.wav")
    (source / "t.list").write_text("a.wav|s|ZH|你好。\ngone.wav|s|ZH|再见。\n", encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        for path in source.iterdir():
            archive.write(path, f"voice/{path.name}")
    made = import_voice(tmp_path, tmp_path / "t.zip", "小明")
    settings, problems = read_voice_yaml((made.folder / "voice.yaml").read_bytes())
    assert (settings.language, settings.consent.kind, settings.consent.statement) == ("zh", "recorded", "consent.wav")
    assert [problem.where for problem in problems] == ["voice.yaml: consent.rights"]
    assert made.rows == 1
    assert "gone.wav" in made.notes[0]


@pytest.mark.parametrize("kind", ["bomb", "traversal", "absolute", "many", "not an archive inside"])
def test_an_archive_that_is_none_to_trust_writes_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.list", "a.wav|s|EN|Hello there.\n")
        if kind == "bomb":
            archive.writestr("a.wav", bytes(64 << 20))
        elif kind == "traversal":
            archive.writestr("../../a.wav", b"x")
        elif kind == "absolute":
            archive.writestr("/tmp/a.wav", b"x")
        elif kind == "many":
            for number in range(5_001):
                archive.writestr(f"{number}.wav", b"")
    if kind == "not an archive inside":
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError):
        import_voice(tmp_path, path, "ada", "en")
    assert not (tmp_path / "voices" / "ada").exists()
    assert [item.name for item in tmp_path.rglob("*") if item.is_file()] == ["t.zip"]


def test_the_command_imports_and_says_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "voices").mkdir()
    source = recordings(tmp_path / "source", "a.wav")
    (source / "t.list").write_text("a.wav|s|EN|Hello there.\n")
    arguments = ["--root", str(tmp_path), "voices", "import", str(source / "t.list")]
    assert call([*arguments, "new_teacher"]) == 0
    assert "timbre validate new_teacher" in capsys.readouterr().out
    assert call([*arguments, "new_teacher"]) == 10
    assert call([*arguments, "no/name"]) == 10
