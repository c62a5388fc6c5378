"""Texts as a person reads them: the lists of tests/text/readings, by kind."""

from pathlib import Path

import pytest

from benchmarks.text_reading import LIMITS, LISTS, Case, alternatives, judge, outcomes, words
from timbre.text.frontend import phonemize
from timbre.text.lexicon import parse
from timbre.text.markup import plain
from timbre.text.sentences import split

KNOWN_WRONG = {"en-sets": {"A 3,000 kWh bill, 0.5 µF cap"}}
"""Texts of a list that are read wrong; any other is a rule that broke, long before the list falls below its limit."""


@pytest.mark.parametrize("path", sorted(LISTS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_list_is_read_right(path: Path) -> None:
    results = outcomes(path)
    wrong = {r.case.text: r.said for r in results if not r.right}
    assert len(results) >= 90
    assert wrong.keys() == KNOWN_WRONG.get(path.stem, set()), wrong
    assert 1 - len(wrong) / len(results) >= LIMITS.get(path.stem, 0.97)


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [
        ("zh", "太阳系第三行星", "/xing2 xing1/"),
        ("zh", "金木水火土五行", "/wu3 xing2/"),
        ("zh", "五行诗", "/wu3 hang2/"),
        ("zh", "第五行政区", "/xing2 zheng4/"),
        ("zh", "这行不行", "/zhe4 xing2/"),
        ("zh", "喂饱了120头牛，110头羊", "喂饱了一百二十头牛，一百一十头羊"),
        ("zh", "这瓶酒是50年的。", "这瓶酒是五十年的"),
        ("zh", "110、120、130厘米", "一百一十，一百二十，一百三十厘米"),
        ("zh", "１，２，３，木头人", "一，二，三，木头人"),
        ("zh", "功率1.5kw", "功率一点五千瓦"),
        ("en", "On 2 Aug. Smith won.", "On the second of August Smith won."),
        ("en", "Home > Settings > Privacy", "Home Settings Privacy"),
        ("en", "The zip code has 12000 people.", "The zip code has twelve thousand people."),
        ("en", "The $20 covers lunch.", "The twenty dollars covers lunch."),
        ("en", "Two $5 tickets", "Two five dollar tickets"),
        ("en", "his/her own", "his or her own"),
        ("zh", "他得感冒了", "/de2 gan3/"),
        ("zh", "他气得直跺脚", "/qi4 de5/"),
        ("zh", "一行人来到北京", "/xing2 ren2/"),
        ("zh", "头发长了该剪了", "/chang2 le5/"),
        ("en", "Rooms 12 300 and 14 500", "Rooms twelve three hundred and fourteen five hundred"),
        ("en", 'We got 4" of rain, and 5" fell later.', "We got four inches of rain, and five inches fell later."),
    ],
)
def test_a_rule_leaves_what_only_resembles_its_kind(language: str, text: str, wanted: str) -> None:
    outcome = judge(Case("", text, (wanted,)), language)
    assert outcome.right, outcome.said


def test_a_wrong_reading_counts_as_wrong() -> None:
    assert not judge(Case("", "I met Dr Jones.", ("I met Drive Jones.",)), "en").right
    assert not judge(Case("", "He wound the bandage.", ("/W UW1 N D/",)), "en").right
    assert not judge(Case("", "银行行长", ("/hang5/",)), "zh").right
    assert not judge(Case("", "It is cold. We left.", ("It is cold we left.",)), "en").right
    assert words("A B-c, 十二。") == "a b c 十 二"
    assert alternatives("{a |}b {c|d}") == ("a b c", "a b d", "b c", "b d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 * 3 * 4 and a_b_c", "2 * 3 * 4 and a_b_c"),
        ("a < b and c > d", "a < b and c > d"),
        ("AT&T & co", "AT&T & co"),
        ("-5 degrees\n+3 tomorrow", "-5 degrees\n+3 tomorrow"),
        ("#1 and #tag", "#1 and #tag"),
        ("[sic] (so)", "[sic] (so)"),
        ("**one**\n\n- two\n- three", "one\n\ntwo\nthree"),
        ("<li>one</li><li>two</li>", "\none\n\ntwo\n"),
        ("# Head\nbody", "Head\n\nbody"),
        ("```python\nprint\n```", "\nprint\n"),
        ("well-\nknown", "well-known"),
        ("Roses are red\nViolets are blue", "Roses are red\nViolets are blue"),
        ("<script>x</script>Hi<br/>You", " Hi\nYou"),
    ],
)
def test_markup_goes_and_other_signs_stay(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_a_line_break_inside_a_sentence_is_no_end() -> None:
    assert split(plain("I went to the\nshop today, and it was closed.")) == [
        "I went to the shop today, and it was closed."
    ]


def test_lexicon_entries_in_traditional_characters_and_of_names() -> None:
    own = parse("銀行 yin2 xing2\nMcKay M AH0 K EY1\nZahir Z AA1 HH IH0 R\n")
    assert phonemize("我去銀行。", "zh", own).phones[4:8] == ("y", "in2", "x", "ing2")
    assert phonemize("我去银行。", "zh", own).phones[4:8] == ("y", "in2", "x", "ing2")
    assert phonemize("McKay's", "en", own).phones == ("M", "AH0", "K", "EY1", "Z")
    assert phonemize("McKay’s", "en", own).phones == ("M", "AH0", "K", "EY1", "Z")
    assert phonemize("the Zahirs' home", "en", own).phones[2:8] == ("Z", "AA1", "HH", "IH0", "R", "Z")


def test_an_at_sign_is_spoken_before_a_name_and_not_within_words() -> None:
    assert phonemize("关注@小明", "zh").normalized == "关注艾特小明"
    assert phonemize("用户@公司", "zh").normalized == "用户公司"
    assert phonemize("你@我", "yue").normalized == "你我"
