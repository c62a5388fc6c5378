"""Lists of other programs become voice folders; archives that are none to trust are refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from timbre.cli.main import call
from timbre.core.errors import InputError
from timbre.pipeline.voice.folder import open_voice
from timbre.pipeline.voice.importing import import_voice, read_list
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
