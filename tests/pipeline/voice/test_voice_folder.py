"""Voice folders that pass, digests, and every bad folder of the table."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.pipeline.voice.bad_inputs import CASES, ROOT, Case, answers, good_folder
from timbre.audio.suffixes import SUFFIXES
from timbre.core.errors import InputError
from timbre.core.languages import LANGUAGES
from timbre.pipeline.voice.folder import open_voice
from timbre.pipeline.voice.new_voice import new_voice
from timbre.pipeline.voice.reading_script import SENTENCES
from timbre.pipeline.voice.voice_yaml import read_voice_yaml
from timbre.text.consent import CONSENT
from timbre.text.scripts import spoken_weight, wrong_script

TABLE = ROOT / "docs/bad-inputs.md"


@pytest.mark.parametrize("case", [case for case in CASES if not case.listen], ids=lambda case: case.name)
def test_a_fault_of_files_or_texts_is_named(case: Case, tmp_path: Path) -> None:
    said = answers(case, tmp_path)
    assert any(case.answer in line for line in said), said
    assert all("\n  -> " in line for line in said), "every problem says what to do"


def test_a_good_folder_has_no_problem(tmp_path: Path) -> None:
    voice = open_voice(good_folder(tmp_path / "ada"))
    assert voice.problems == ()
    assert [clip.file for clip in voice.clips] == [f"wavs/000{i}.wav" for i in (1, 2, 3)]
    assert (voice.language, voice.base, voice.consent.kind, voice.review) == ("en", "nano", "synthetic", False)


@pytest.mark.parametrize("name", ["Ada", "a;b", "a/b", "-a", "a b", "a" * 64, "..", "a$b"])
def test_names_that_a_shell_or_a_path_would_trip_over_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        open_voice(tmp_path / name)


def test_a_linked_folder_is_refused(tmp_path: Path) -> None:
    good_folder(tmp_path / "ada")
    (tmp_path / "bob").symlink_to(tmp_path / "ada")
    with pytest.raises(InputError, match="symbolic link"):
        open_voice(tmp_path / "bob")


@pytest.mark.parametrize(
    "encode",
    [
        lambda t: t.encode("utf-8-sig"),
        lambda t: t.replace("\n", "\r\n").encode(),
        lambda t: t.replace("\n", "\r").encode(),
        lambda t: t.rstrip("\n").encode(),
    ],
)
def test_line_ends_and_byte_order_marks_of_editors_are_read(tmp_path: Path, encode) -> None:
    folder = good_folder(tmp_path / "ada")
    for name in ("metadata.csv", "voice.yaml"):
        path = folder / name
        path.write_bytes(encode(path.read_text(encoding="utf-8")))
    voice = open_voice(folder)
    assert voice.problems == ()
    assert len(voice.clips) == 3


def test_the_digest_follows_bytes_and_meaning_but_not_the_writing_of_voice_yaml(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada")
    first = open_voice(folder).digest()
    text = (folder / "voice.yaml").read_text()
    (folder / "voice.yaml").write_text(
        "# a remark\n" + text.replace("base: nano\n", "") + "base:   'nano'\nrecipe: {}\n"
    )
    assert open_voice(folder).digest() == first
    (folder / "notes.txt").write_text("not part of the voice")
    assert open_voice(folder).digest() == first
    (folder / "voice.yaml").write_text(text + "review: required\n")
    assert open_voice(folder).digest() == first, "a review decides about the alias, not about the voice"
    (folder / "voice.yaml").write_text(text + "recipe: {finetune: {rank: 4}}\n")
    assert open_voice(folder).digest() != first
    (folder / "voice.yaml").write_text(text)
    data = bytearray((folder / "wavs/0002.wav").read_bytes())
    data[-1] ^= 1
    (folder / "wavs/0002.wav").write_bytes(bytes(data))
    assert open_voice(folder).digest() != first


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada")
    (folder / "voice.yaml").write_text("language: xx\nbasis: nano\n")
    (folder / "metadata.csv").write_text("file|text\nwavs/0001.wav|\nwavs/none.wav|Hello.\n../a.wav|Hello.\n")
    said = " ".join(str(problem) for problem in open_voice(folder).problems)
    for part in ("language: 'xx'", "`basis`", "consent: missing", "no text", "none.wav", "../a.wav", "wavs/0003.wav"):
        assert part in said


def test_every_wrong_line_of_the_lexicon_is_named_and_its_readings_are_part_of_the_voice(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "ada")
    without = open_voice(folder).digest()
    (folder / "lexicon.txt").write_text("# readings\nTimbre T AE1 M B ER0\n重庆 chong2 qing4\n", encoding="utf-8")
    voice = open_voice(folder)
    assert voice.problems == ()
    assert voice.digest() != without
    (folder / "lexicon.txt").write_text("Timbre\nok OW1 K EY1\nok OW7\n重庆 chong2\nété T\n", encoding="utf-8")
    said = [problem.where for problem in open_voice(folder).problems]
    assert said == [f"lexicon.txt, line {number}" for number in (1, 3, 4, 5)]


def test_yaml_never_builds_objects(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    settings, problems = read_voice_yaml(f"language: !!python/object/apply:os.mkdir ['{mark}']\n".encode())
    assert problems
    assert settings.language == ""
    assert not mark.exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_new_voice_is_ready_to_be_read(tmp_path: Path, language: str) -> None:
    made = new_voice(tmp_path, "ada", language, lfs=True)
    voice = open_voice(made.folder)
    # What is missing is what a person has to record, and nothing else.
    missing = {problem.value for problem in voice.problems if problem.where != "voice.yaml: consent.rights"}
    assert all("does not exist" in value or "more problems" in value for value in missing), missing
    assert not voice.problems[0].where.startswith("voice.yaml: language")
    texts = [line.split("|")[1] for line in (made.folder / "metadata.csv").read_text().splitlines()[1:]]
    assert tuple(texts) == SENTENCES[language]
    assert all(wrong_script(text, language) is None for text in texts)
    assert CONSENT[language] in (made.folder / "script.txt").read_text()
    # Alphabetic text is read at some 13 letters a second, a syllable in a quarter of one: 60 to 150 s in all.
    assert 60 <= sum(map(spoken_weight, texts)) / 13 <= 150
    assert "voices/ada/**/*.wav filter=lfs diff=lfs merge=lfs -text" in (tmp_path / ".gitattributes").read_text()
    with pytest.raises(InputError, match="exists already"):
        new_voice(tmp_path, "ada", language)


def test_the_lfs_rule_is_added_once_and_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / ".gitattributes").write_text("*.txt text")
    new_voice(tmp_path, "ada", "en", lfs=True)
    shutil.rmtree(tmp_path / "voices/ada")
    new_voice(tmp_path, "ada", "en", lfs=True)
    lines = (tmp_path / ".gitattributes").read_text().splitlines()
    assert lines[0] == "*.txt text"
    assert len(lines) == len(set(lines)) == 1 + len(SUFFIXES)
    assert {line.split()[0] for line in lines[1:]} == {f"voices/ada/**/*{suffix}" for suffix in SUFFIXES}
    new_voice(tmp_path, "bob", "en", lfs=True)
    assert "voices/bob/**/*.flac filter=lfs diff=lfs merge=lfs -text" in (tmp_path / ".gitattributes").read_text()


def test_a_language_that_the_base_cannot_speak_is_refused_before_anybody_records(tmp_path: Path) -> None:
    base = tmp_path / "bases" / "nano"
    base.mkdir(parents=True)
    spec = yaml.safe_load((ROOT / "bases" / "nano" / "base.yaml").read_text(encoding="utf-8"))
    (base / "base.yaml").write_text(yaml.safe_dump({**spec, "languages": ["en"]}), encoding="utf-8")
    with pytest.raises(InputError, match="'zh': the base 'nano' speaks en"):
        new_voice(tmp_path, "bob", "zh")
    assert not (tmp_path / "voices").exists()


def test_the_english_script_holds_every_letter_sound_worth_hearing() -> None:
    text = " ".join(SENTENCES["en"]).lower()
    for spelling in ("th", "ch", "sh", "ng", "oy", "ou", "ear", "ju", "zoo", "vision", "pleasure", "y", "wh", "air"):
        assert spelling in text


@pytest.mark.parametrize(
    ("name", "kind"),
    [("awb", "synthetic"), ("wren", "synthetic"), ("lian", "synthetic"), ("kathleen", "public-domain"),
     ("aishell", "licensed")],
)  # fmt: skip
def test_sample_voices_are_complete(name: str, kind: str) -> None:
    voice = open_voice(ROOT / "voices" / name)
    assert voice.problems == ()
    assert voice.consent.kind == kind
    assert voice.consent.rights
    assert voice.consent.source
    assert len(voice.clips) >= 16


def test_the_table_of_the_documentation_lists_every_case() -> None:
    table = TABLE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| (.+) \| (.+?) \|$", table, re.MULTILINE)[1:]
    assert [row[0] for row in rows] == [case.name for case in CASES]
    assert len(CASES) >= 40
    for row, case in zip(rows, CASES, strict=True):
        found = f"{row[1]} {row[2]}".replace("\\|", "|")
        assert case.answer in found, f"docs/bad-inputs.md is old at {case.name!r}; make it again"


def test_recipe_overrides_of_a_voice_are_plain_data() -> None:
    settings, problems = read_voice_yaml(
        yaml.safe_dump(
            {"language": "en", "recipe": {"finetune": {"rank": 4}}, "consent": {"kind": "synthetic", "rights": "x"}}
        ).encode()
    )
    assert not problems
    assert settings.recipe == {"finetune": {"rank": 4}}


def test_one_fault_of_a_list_is_one_problem_with_its_repair(tmp_path: Path) -> None:
    folder = good_folder(tmp_path)
    table = (folder / "metadata.csv").read_text(encoding="utf-8")
    (folder / "metadata.csv").write_text(table.replace("file|text", "File|Text", 1), encoding="utf-8")
    assert open_voice(folder).problems == ()
    (folder / "wavs/0001.wav").rename(folder / "wavs/0001.WAV")
    (problem,) = open_voice(folder).problems
    assert "did you mean 'wavs/0001.WAV'?" in str(problem)
    (folder / "wavs/0001.WAV").rename(folder / "wavs/0001.wav")
    (folder / "metadata.csv").write_text(table.replace("wav|", "wav｜", 1), encoding="utf-8")
    (problem,) = open_voice(folder).problems
    assert "1 column;" in str(problem)
    assert "instead of the full-width `｜`" in str(problem)
