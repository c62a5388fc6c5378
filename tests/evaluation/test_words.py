"""Words by the phones that were heard."""

from __future__ import annotations

from timbre.evaluation.metrics.words import spelled_words, words_heard, words_of, words_wrong
from timbre.text.frontend import phonemize
from timbre.text.recognition import spoken_class_ids


def heard(text: str, language: str) -> list[int]:
    return list(spoken_class_ids(phonemize(text, language).phones))


def test_words_are_those_of_the_text() -> None:
    text = "In 1984, Dr. Smith's dog ran 3 miles."
    phonemes = phonemize(text, "en")
    words = words_of(phonemes, {})
    assert [phone for word in words for phone in word] == heard(text, "en")
    assert len(words) == len(phonemes.normalized.replace(",", "").replace(".", "").split())


def test_syllables_are_those_of_the_text() -> None:
    words = words_of(phonemize("今天天气很好，我们去公园。", "zh"), {})
    assert len(words) == 11
    assert [phone for word in words for phone in word] == heard("今天天气很好我们去公园", "zh")


def test_what_is_missing_or_another_word_is_wrong() -> None:
    words = words_of(phonemize("The green boat left the harbour.", "en"), {})
    assert words_wrong(words, heard("The green boat left the harbour.", "en")) == 0
    assert words_wrong(words, heard("The green boat left.", "en")) == 2
    assert words_wrong(words, heard("The black boat left the harbour.", "en")) == 1
    assert words_wrong(words, []) == 6
    assert words_wrong((), [5]) == 0


def test_one_wrong_phone_of_many_is_no_wrong_word() -> None:
    words = words_of(phonemize("harbour", "en"), {})
    said = list(words[0])
    said[-1] = said[0]
    assert words_wrong(words, said) == 0


def test_what_was_heard_stands_beside_each_word() -> None:
    spelled = spelled_words(phonemize("The green boat left.", "en"), {})
    assert [text for text, _ in spelled] == ["The", "green", "boat", "left."]
    said = words_heard(spelled, heard("The black boat.", "en"))
    assert [word.missed for word in said] == [False, True, False, True]
    assert said[0].heard == said[0].expected == "DH AH"
    assert " ".join(word.heard for word in said).split() == ["DH", "AH", "B", "L", "AE", "K", "B", "OW", "T"]
    assert said[1].expected == "G R IY N"
    assert said[1].heard != said[1].expected
    assert words_heard((), [5]) == ()
    syllables = words_heard(spelled_words(phonemize("天气很好", "zh"), {}), heard("天气很凉", "zh"))
    assert [(word.text, word.missed) for word in syllables] == [
        ("天", False), ("气", False), ("很", False), ("好", True),
    ]  # fmt: skip
