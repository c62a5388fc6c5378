"""Names that people give: of voices, of recordings, with other letters, in another form, without their folder."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from tests.pipeline.voice.bad_inputs import clip, good_folder, put
from timbre.cli.main import call
from timbre.core.errors import InputError
from timbre.core.voice_names import is_voice_name, near_voice_name
from timbre.pipeline.engine.workspace import Workspace
from timbre.pipeline.voice.folder import open_voice
from timbre.registry.names import alias_key, check_voice
from timbre.registry.store import check_key


@pytest.mark.parametrize("name", ["new_teacher", "ada", "小明", "müller-2", "a", "オペレーター", "김선생"])
def test_names_that_git_urls_and_shells_carry_are_allowed(name: str) -> None:
    assert is_voice_name(name)
    assert check_voice(name) == name
    check_key(alias_key(name, "production"))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("New Teacher", "new-teacher"), ("-rf", "rf"), ("_a", "a"), ("a/b", "a-b"), ("ADA", "ada"), ("", ""),
        (unicodedata.normalize("NFD", "müller"), "müller"), ("a\nb", "ab"), ("$(id)", "id"), ("a" * 64, "a" * 63),
        ("..", ""), ("\u202eada", "ada"),
    ],
)  # fmt: skip
def test_other_names_are_refused_with_a_near_one(name: str, near: str) -> None:
    assert not is_voice_name(name)
    assert near_voice_name(name) == near
    with pytest.raises(InputError):
        check_voice(name)


def test_an_option_as_a_name_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "voices").mkdir()
    for command in ("validate", "status"):
        assert call(["--root", str(tmp_path), command, "--", "-rf"]) == 10


def test_a_folder_stored_in_decomposed_letters_is_told_from_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "voices" / unicodedata.normalize("NFD", "müller")).mkdir(parents=True)
    with pytest.raises(InputError, match="decomposed"):
        Workspace(tmp_path).voice_path("müller")


@pytest.mark.parametrize("name", ["it's.wav", "take (1) [final].wav", "a&b.wav", "录音 01.wav", "a😀.wav"])
def test_names_of_recordings_that_are_harmless_once_quoted(tmp_path: Path, name: str) -> None:
    folder = good_folder(tmp_path / "ada")
    (folder / "wavs/0001.wav").rename(folder / "wavs" / name)
    table = (folder / "metadata.csv").read_text(encoding="utf-8")
    (folder / "metadata.csv").write_text(table.replace("0001.wav", name), encoding="utf-8")
    assert open_voice(folder).problems == ()


@pytest.mark.parametrize("written", ["0001.wav", "0001", "./wavs/0001.wav", "wavs/0001"])
def test_a_name_without_its_folder_means_the_file_in_wavs(tmp_path: Path, written: str) -> None:
    folder = good_folder(tmp_path / "ada")
    table = (folder / "metadata.csv").read_text(encoding="utf-8")
    (folder / "metadata.csv").write_text(table.replace("wavs/0001.wav", written), encoding="utf-8")
    voice = open_voice(folder)
    assert voice.problems == ()
    assert voice.clips[0].file == "wavs/0001.wav"


def test_two_names_of_one_file_are_said(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada")
    with (folder / "metadata.csv").open("a") as stream:
        stream.write("0001|The same again.\n")
    assert any("line 2 already" in problem.value for problem in open_voice(folder).problems)


def test_near_names_of_recordings_are_told(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada")
    put(folder, f"wavs/{unicodedata.normalize('NFD', 'café')}.wav", clip("awb", 4).samples)
    table = (folder / "metadata.csv").read_text(encoding="utf-8")
    table = table.replace("wavs/0001.wav", "wavs/0001.WAV") + "wavs/café.wav|What is said here now.\n"
    (folder / "metadata.csv").write_text(table, encoding="utf-8")
    said = [str(problem) for problem in open_voice(folder).problems]
    assert any("did you mean 'wavs/0001.wav'" in line for line in said), said
    assert any("decomposed letters, as macOS does" in line for line in said), said


def test_the_third_column_is_optional_everywhere(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada")
    for change in (
        lambda text: text.replace("file|text\n", "file|text|language\n"),
        lambda text: "\n".join([text.splitlines()[0], *(f"{line}|en" for line in text.splitlines()[1:])]) + "\n",
    ):
        table = (folder / "metadata.csv").read_text(encoding="utf-8")
        (folder / "metadata.csv").write_text(change(table), encoding="utf-8")
        assert open_voice(folder).problems == ()
        (folder / "metadata.csv").write_text(table, encoding="utf-8")


def test_one_bad_folder_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good_folder(tmp_path / "voices" / "ada")
    good_folder(tmp_path / "voices" / "huge")
    for digits in (400, 5_000):
        settings = (
            f"language: en\nconsent: {{kind: synthetic, rights: x}}\nrecipe: {{finetune: {{rank: {'9' * digits}}}}}\n"
        )
        (tmp_path / "voices/huge/voice.yaml").write_text(settings)
        assert open_voice(tmp_path / "voices/huge").problems
        assert call(["--root", str(tmp_path), "voices"]) == 0
        said = capsys.readouterr().out
        assert "ada" in said
        assert "ok" in said
        assert "huge" in said
        assert call(["--root", str(tmp_path), "status"]) in (0, 10, 40)
        assert "Traceback" not in capsys.readouterr().err
