"""The entry: languages, mixed text, properties that hold for any text."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timbre.core.errors import InputError
from timbre.core.languages import LANGUAGES
from timbre.text.frontend import phonemize, unspoken
from timbre.text.lexicon import parse
from timbre.text.mixed import split
from timbre.text.symbols import is_symbol

WORDS = [
    "the", "GitHub", "Dr.", "it's", "$3.50", "10:30", "5kg", "NASA", "—", "你好", "一个", "2024年", "3%", "行长",
    "2个", "儿", "不", "a.m.", "No.", "e.g.", "1/2", "-5°C", "'", '"', "#1", "x^2", "3~5", "①", "👍", "\n", "   ",
    "http://a.b/c", "1,234.5", "%",
]  # fmt: skip


@pytest.mark.parametrize("language", ["xx", "jp", ""])
def test_a_language_without_front_end_is_refused_by_name(language: str) -> None:
    with pytest.raises(InputError, match=language or "''"):
        phonemize("hello", language)


@pytest.mark.parametrize("text", ["", "   ", "...", "🙂", "\n", "——"])
@pytest.mark.parametrize("language", ["en", "zh", "ja", "ko", "yue"])
def test_nothing_to_speak_is_an_error(text: str, language: str) -> None:
    with pytest.raises(InputError, match="nothing that can be spoken"):
        phonemize(text, language)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("我在GitHub上看。", [("zh", "我在"), ("en", "GitHub"), ("zh", "上看。")]),
        ("你好，my name is Alice，很高兴", [("zh", "你好，"), ("en", "my name is Alice，"), ("zh", "很高兴")]),
        ("iPhone 15比iPhone 14贵", [("en", "iPhone 15"), ("zh", "比"), ("en", "iPhone 14"), ("zh", "贵")]),
        ("路程12km，重5kg。", [("zh", "路程12km，重5kg。")]),
        (
            "My friend 小明 lives in 广州。",
            [("en", "My friend "), ("zh", "小明 "), ("en", "lives in "), ("zh", "广州。")],
        ),
        ("用Wi-Fi，不用4G。", [("zh", "用"), ("en", "Wi-Fi，"), ("zh", "不用4"), ("en", "G。")]),
        ("新冠COVID-19疫情", [("zh", "新冠"), ("en", "COVID-19"), ("zh", "疫情")]),
        ("100", [("zh", "100")]),
        ("Hello, world!", [("en", "Hello, world!")]),
    ],
)
def test_split_by_script(text: str, pieces: list[tuple[str, str]]) -> None:
    assert split(text, "zh") == pieces


def test_mixed_text_has_both_languages_in_order() -> None:
    found = phonemize("密码是abc123，OK吗？", "zh")
    assert [segment.language for segment in found.segments] == ["zh", "en", "zh", "en", "zh"]
    assert "y ao1 EE er4 s an1" in " ".join(found.phones)
    assert found.word2ph is None
    assert len(found.ids) == len(found.phones)


def test_han_in_an_english_text_is_mandarin() -> None:
    assert phonemize("I love 北京.", "en").phones[-5:] == ("b", "ei3", "j", "ing1", ".")


@pytest.mark.parametrize(
    ("text", "language", "pieces"),
    [
        ("今日はGitHubを使う。", "ja", ["ja", "en", "ja"]),
        ("我喜欢吃おにぎり。", "zh", ["zh", "ja"]),
        ("她说：こんにちは。", "zh", ["zh", "ja"]),
        ("I said お元気ですか to her.", "en", ["en", "ja", "en"]),
        ("서울은 Seoul입니다.", "ko", ["ko", "en", "ko"]),
        ("他说안녕하세요就走了。", "zh", ["zh", "ko", "zh"]),
        ("大學에 갔다.", "ko", ["ko"]),
        ("佢哋喺香港。", "zh", ["yue"]),
        ("今日好熱，佢哋去咗游水。", "zh", ["yue"]),
        ("東京に行く。", "zh", ["ja"]),
        ("东京很大。", "ja", ["ja"]),
        ("3時に来て。", "ja", ["ja"]),
        ("100", "ko", ["ko"]),
        ("100", "yue", ["yue"]),
        ("...", "ja", ["ja"]),
    ],
)
def test_the_language_of_each_segment(text: str, language: str, pieces: list[str]) -> None:
    assert [found for found, _ in split(text, language)] == pieces


def test_a_base_without_a_language_reads_chinese_characters_as_it_can_and_names_the_rest() -> None:
    found = phonemize("我喜欢おにぎり和김치。", "zh", speaks=("zh", "en"))
    assert unspoken(found, ("zh", "en")) == "'おにぎり' is Japanese (ja); '김치' is Korean (ko)"
    assert [s.language for s in phonemize("佢哋喺香港。", "zh", speaks=("zh", "en")).segments] == ["zh"]
    assert unspoken(found, list(LANGUAGES)) == ""


texts = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="ab1290.,:;-/$%°€kmg 一二个儿不年月AZ'\"()#&@~^=+", max_size=40),
    st.text(alphabet="aZ19.,:-%$¥ のをンー日本語한국어값을嘅咗我「」（）！？", max_size=30),
    st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=12).map("".join),
)


@pytest.mark.parametrize(
    ("text", "language", "spoken"),
    [
        ("경기는 3대 2로 이겼어요.", "ko", "경기는 삼대 이로 이겼어요."),
        ("차 3대로 갔어요.", "ko", "차 3대로 갔어요."),
        ("打95折，慳咗20%。", "yue", "打九五折,慳咗百分之二十."),
        ("全场95折，第2件8折。", "zh", "全场九五折,第二件八折."),
    ],
)
def test_scores_and_discounts(text: str, language: str, spoken: str) -> None:
    assert phonemize(text, language).normalized == spoken


@given(text=texts, language=st.sampled_from(list(LANGUAGES)))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_phones_of_the_table_or_an_input_error(text: str, language: str) -> None:
    try:
        found = phonemize(text, language)
    except InputError:
        return
    assert found.phones
    assert all(map(is_symbol, found.phones))
    assert found == phonemize(text, language)
    for segment in found.segments:
        assert "UNK" not in segment.phones or segment.language == "ja"
        if segment.language == "zh":
            assert segment.word2ph is not None
            assert sum(segment.word2ph) == len(segment.phones)
            assert len(segment.word2ph) == len(segment.normalized)


@given(text=texts, language=st.sampled_from(list(LANGUAGES)))
@settings(max_examples=150, deadline=None)
def test_split_loses_nothing(text: str, language: str) -> None:
    assert "".join(piece for _, piece in split(text, language)) == text


@given(number=st.integers(min_value=0, max_value=10**15))
@settings(max_examples=100, deadline=None)
def test_numbers_leave_no_digit_and_differ(number: int) -> None:
    for language in ("en", "zh"):
        found, other = phonemize(f"{number}", language), phonemize(f"{number + 1}", language)
        assert not any(character.isdigit() for character in found.normalized)
        assert found.phones != other.phones
        assert found.unknown == ()


def test_import_is_light_and_torch_free() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "import timbre.text.frontend\n"
        "heavy = {'numpy', 'jieba', 'pypinyin', 'opencc', 'wordsegment', 'nltk', 'g2p_en'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "timbre.text.frontend.phonemize('Zyxgroth reads 重庆 GitHub.', 'zh')\n"
        "assert 'nltk' not in sys.modules and 'g2p_en' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_examples_of_the_documentation_are_true() -> None:
    page = (Path(__file__).parents[2] / "docs" / "text.md").read_text(encoding="utf-8")
    section = page.partition("## Numbers, dates, units, markup")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE)[1:]
    assert len(rows) >= 8
    for written, spoken in rows:
        assert (
            phonemize(written, "en" if written.isascii() or "€" in written or "°" in written else "zh").normalized
            == spoken
        )
    assert parse("\n".join(re.findall(r"```\n(.*?)```", page, re.DOTALL)[:1]))["重庆"] == ("ch", "ong2", "q", "ing4")


@pytest.mark.parametrize(
    ("call", "loaded"),
    [
        ("phonemize('Hello, you.', 'en')", {"english"}),
        ("phonemize('你好。', 'zh')", {"mandarin", "mandarin_terms"}),
        ("phonemize(character(0) + '.', 'zh', marks=(Sounds('你好', ('n', 'i2', 'h', 'ao3'), 'zh'),))", set()),
    ],
)
def test_a_text_loads_the_rules_of_its_own_language_alone(call: str, loaded: set[str]) -> None:
    rules = ("english", "mandarin", "mandarin_terms", "cantonese", "korean", "japanese")
    code = (
        "import sys; from timbre.text.frontend import phonemize; from timbre.text.marks import Sounds, character; "
        f"{call}; print(*(name for name in {rules} if f'timbre.text.{{name}}' in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) == loaded


def test_signs_between_marks_alone_are_still_read() -> None:
    assert phonemize("≠", "zh").phones == phonemize("不等于", "zh").phones
