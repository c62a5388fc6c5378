"""The voice's own readings."""

from pathlib import Path

import pytest

from timbre.core.errors import InputError
from timbre.text.frontend import phonemize
from timbre.text.lexicon import load, parse


def test_entries_of_both_languages(tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text(
        "\ufeff# ours\nTimbre  T AE1 M B ER0\n重庆=chong2 qing4  # city\n\nQuonk\tK AA1\n", "utf-8"
    )
    lexicon = load(tmp_path)
    assert lexicon == {
        "timbre": ("T", "AE1", "M", "B", "ER0"),
        "重庆": ("ch", "ong2", "q", "ing4"),
        "quonk": ("K", "AA1"),
    }
    assert phonemize("Quonk 重庆", "zh", lexicon).phones == ("K", "AA1", "ch", "ong2", "q", "ing4")


def test_no_file_is_an_empty_lexicon(tmp_path: Path) -> None:
    assert load(tmp_path) == {}


def test_all_wrong_lines_are_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse("foo XX1\n重庆 chong2\n?? a\nbar\n行 hang\nbaz zh\nfine F AY1 N\n", "voices/ada/lexicon.txt")
    message = caught.value.message
    assert message.startswith("voices/ada/lexicon.txt: line 1: 'XX1'")
    for part in (
        "line 2: '重庆' has 2 characters but 1 syllables",
        "line 3",
        "line 4",
        "line 5: 'hang'",
        "line 6: 'zh'",
    ):
        assert part in message
    assert "line 7" not in message
    assert caught.value.remedy


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_bytes(b"caf\xe9 K AE0\n")
    with pytest.raises(InputError, match="byte 3 is not UTF-8"):
        load(tmp_path)


def test_entries_of_cantonese_japanese_and_korean() -> None:
    own = parse("yue:重慶 cung4 hing3\nサクラ s a k u r a\n김치 ㄱ ㅣ ㅁ ㅊ ㅣ\n")
    assert phonemize("重慶好靚。", "yue", own).phones[:4] == ("Yc", "Yung4", "Yh", "Ying3")
    assert phonemize("サクラです。", "ja", own).phones[:6] == ("s", "a", "k", "u", "r", "a")
    assert phonemize("김치 주세요.", "ko", own).phones[:5] == ("ㄱ", "ㅣ", "ㅁ", "ㅊ", "ㅣ")
    assert phonemize("重慶很大。", "zh", own).phones[:4] == ("ch", "ong2", "q", "ing4")
    for wrong in ("yue:重慶 cung4", "yue:重 zzz9", "サクラ xx", "김치 qq"):
        with pytest.raises(InputError, match="line 1"):
            parse(wrong)
