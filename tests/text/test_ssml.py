"""SSML and marks in plain text: what they mean, and what is refused."""

from __future__ import annotations

import pytest

from timbre.core.errors import InputError
from timbre.text.frontend import phonemize
from timbre.text.inline_marks import has_words
from timbre.text.ipa import from_arpabet, from_ipa
from timbre.text.marked_text import read_script
from timbre.text.marks import Pause, shown
from timbre.text.phonemes import Phonemes


def heard(text: str, language: str = "en") -> Phonemes:
    """Phones of a text of one turn."""
    script = read_script(text)
    (turn,) = script.turns
    return phonemize(turn.text, turn.language or script.language or language, marks=script.marks)


def phones(text: str, language: str = "en") -> str:
    return " ".join(heard(text, language).phones)


def said_as(kind: str, text: str, language: str = "en", form: str = "") -> str:
    document = f'<speak><say-as interpret-as="{kind}" format="{form}">{text}</say-as></speak>'
    return heard(document, language).normalized


@pytest.mark.parametrize(
    ("ipa", "arpabet"),
    [
        ("təˈmeɪtˌoʊ", "T AH0 M EY1 T OW2"),
        ("ˈtæmbɚ", "T AE1 M B ER0"),
        ("kɑːɹ", "K AA1 R"),
        ("ˈnɪəɹ", "N IH1 R"),
        ("θɪŋk", "TH IH1 NG K"),
        ("dʒʌdʒ", "JH AH1 JH"),
        ("ˈbʌtn̩", "B AH1 T AH0 N"),
        ("kˈOkəɹO", "K OW1 K ER0 OW0"),
    ],
)
def test_ipa_and_arpabet_mean_the_same(ipa: str, arpabet: str) -> None:
    assert " ".join(from_ipa(ipa)) == arpabet
    assert " ".join(from_arpabet(arpabet)) == arpabet
    assert phones(f"[word](/{ipa}/)") == arpabet or "ˈ" not in ipa
    assert phones(f"{{{arpabet}}}") == arpabet
    assert phones(f'<speak><phoneme ph="{ipa}">word</phoneme></speak>') == arpabet
    assert phones(f'<speak><phoneme alphabet="cmu-arpabet" ph="{arpabet}">word</phoneme></speak>') == arpabet


def test_what_only_has_the_shape_of_a_mark_is_text() -> None:
    for text in ("[docs](/docs/)", "{A}", "{name}", "[pause]", "[1]", "a {B} c", "[x](https://a.b/c/)"):
        script = read_script(text)
        assert (script.marks, script.turns[0].text) == ((), text)


def test_a_mark_keeps_its_place_and_its_punctuation() -> None:
    found = heard("I like [Timbre](/ˈtæmbɚ/), and {L AY1 N}.")
    assert " ".join(found.phones) == "AY1 L AY1 K T AE1 M B ER0 , AH0 N D L AY1 N ."
    words = [word for segment in found.segments for word, _ in segment.parts]
    assert words == ["I", "like", "Timbre", ",", "and", "L AY1 N", "."]
    script = read_script("I like [Timbre](/ˈtæmbɚ/). [pause:1s] Yes.")
    assert shown(script.turns[0].text, script.marks) == "I like Timbre. Yes."


def test_mandarin_is_marked_by_pinyin_and_keeps_its_characters() -> None:
    found = heard('<speak><phoneme alphabet="pinyin" ph="chong2 qing4">重庆</phoneme>。</speak>', "zh")
    assert " ".join(found.phones) == "ch ong2 q ing4 ."
    assert found.word2ph == (2, 2, 1)
    assert found.normalized == "重庆."


@pytest.mark.parametrize(
    ("kind", "text", "language", "form", "spoken"),
    [
        ("characters", "Ab1", "en", "", "A B one"),
        ("characters", "AB1", "zh", "", "A B一"),
        ("digits", "2024", "en", "", "two zero two four"),
        ("digits", "2024", "zh", "", "二零二四"),
        ("cardinal", "1984", "en", "", "one thousand, nine hundred eighty-four"),
        ("cardinal", "-3.5", "en", "", "minus three point five"),
        ("cardinal", "1,250", "zh", "", "一千二百五十"),
        ("ordinal", "21", "en", "", "twenty-first"),
        ("ordinal", "3", "zh", "", "第三"),
        ("date", "3/4/2024", "en", "mdy", "March fourth, twenty twenty-four"),
        ("date", "3/4/2024", "en", "dmy", "April third, twenty twenty-four"),
        ("date", "20240304", "zh", "", "二零二四年三月四日"),
        ("telephone", "+1 555-0123", "en", "", "plus one, five five five, zero one two three"),
        ("telephone", "110", "zh", "", "幺幺零"),
    ],
)
def test_say_as(kind: str, text: str, language: str, form: str, spoken: str) -> None:
    assert said_as(kind, text, language, form) == spoken


def test_single_letters_have_their_names() -> None:
    assert phones('<speak><say-as interpret-as="characters">A</say-as> Day</speak>') == "EY1 D EY1"


def test_turns_pauses_rates_and_languages() -> None:
    script = read_script(
        '<speak xml:lang="en-US"><voice name="ada">Hello.</voice><break time="1.5s"/>'
        '<voice name="bob"><prosody rate="80%">Hi, <lang xml:lang="zh-CN">你好</lang>.</prosody></voice></speak>'
    )
    assert script.language == "en"
    assert [(turn.voice, turn.rate) for turn in script.turns] == [("ada", 1.0), ("bob", 0.8)]
    assert [shown(turn.text, script.marks) for turn in script.turns] == ["Hello.", "Hi, 你好."]
    assert script.marks[0] == Pause(1.5)
    assert read_script("[voice:ada] Hi. [voice:bob] Ho.").voices == ("ada", "bob")
    assert not has_words("[pause:1s] [voice:ada]")
    assert has_words("[pause:1s] x")


def test_what_has_no_effect_is_said() -> None:
    assert read_script("<speak><emphasis>Now</emphasis><mark name='x'/></speak>").unheard == ("emphasis", "mark")
    assert read_script('<speak><emphasis level="none">Now</emphasis></speak>').unheard == ()


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("<speak><audio src='http://example.org/x.wav'/></speak>", "<audio> is not supported"),
        ("<speak>Hi.\n<x:y xmlns:x='urn:x'>a</x:y></speak>", "line 2, <y>"),
        ("<speak><prosody pitch='high'>a</prosody></speak>", "pitch is not supported"),
        ("<speak><prosody rate='9000%'>a</prosody></speak>", "9000%"),
        ("<speak><say-as interpret-as='expletive'>a</say-as></speak>", "'expletive' is not supported"),
        ("<speak><phoneme alphabet='x-sampa' ph='a'>a</phoneme></speak>", "'sampa' is not supported"),
        ("<speak><phoneme ph='t☃'>a</phoneme></speak>", "snowman"),
        ("<speak><phoneme alphabet='pinyin' ph='chong2'>重庆</phoneme></speak>", "2 characters but 1 syllable"),
        ("<speak><break time='1 week'/></speak>", "'1 week' is no time"),
        ("<speak><break time='11s'/></speak>", "11 s, the limit is 10 s"),
        ("<speak>" + "<break time='10s'/>" * 31 + "a</speak>", "more than 300 s"),
        ("<speak xml:lang='tlh'>a</speak>", "'tlh' is not supported"),
        ("<speak><voice>a</voice></speak>", "name is missing"),
        ("<speak>a & b</speak>", "not well-formed"),
        ("<speak>a", "no element found"),
        ("<speak>&copy;</speak>", "undefined entity"),
        ("<speak>a</speak>b", "junk after document element"),
        ("[a](/ˈt☃/)", "snowman"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(document: str, named: str) -> None:
    with pytest.raises(InputError) as caught:
        script = read_script(document)
        phonemize(script.turns[0].text, "en", marks=script.marks)
    assert named in caught.value.message
    assert caught.value.remedy


def test_bombs_are_refused_before_they_grow() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bombs = [
        f'<?xml version="1.0"?><!DOCTYPE speak [<!ENTITY l0 "ha">{laughs}]><speak>&l9;</speak>',
        '<!DOCTYPE speak SYSTEM "file:///etc/passwd"><speak>a</speak>',
        "<speak>" + "<p>" * 10_000 + "a" + "</p>" * 10_000 + "</speak>",
        "<speak>" + "<s>a</s>" * 10_000 + "</speak>",
        "<speak>" + "".join(f"<voice name='v{n % 2}'>a</voice>" for n in range(1_000)) + "</speak>",
    ]
    for bomb in bombs:
        with pytest.raises(InputError, match=r"document type|elements, or deeper|turns, the limit"):
            read_script(bomb)


def test_private_characters_of_a_client_are_no_marks() -> None:
    script = read_script("\U000f0000 a [pause:1s] \U000f0000 b")
    assert len(script.marks) == 1
    assert sum(letter == "\U000f0000" for letter in script.turns[0].text) == 1
    assert phonemize("a \U000f0000 b", "en").phones
