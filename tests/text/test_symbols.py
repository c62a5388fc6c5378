"""The phoneme table and the recogniser's classes over it."""

import hashlib

import pytest

from timbre.core.errors import InputError
from timbre.text.recognition import BLANK, CLASSES, SILENCE, class_ids, class_of, spoken_class_ids
from timbre.text.symbols import ids_of, is_speech, phones_of, symbols


def test_table_is_the_one_of_the_checkpoints() -> None:
    table = symbols()
    assert len(table) == len(set(table)) == 732
    # Ids are rows of the checkpoints' embedding: any change of order or content must be seen.
    digest = hashlib.sha256("\n".join(table).encode()).hexdigest()
    assert digest == "0771f6cd6f6201e8c2b0de921dc69cc04caf3f346c599d4a41413967d5674da7"
    assert table[0] == "!"
    assert table[321] == "…"
    assert table[322] == "["


def test_ids_and_back() -> None:
    assert phones_of(ids_of(["HH", "AH0", "zh", "ong1", "."])) == ("HH", "AH0", "zh", "ong1", ".")
    with pytest.raises(InputError, match="phone 1: 'XX'"):
        ids_of(["HH", "XX"])
    with pytest.raises(InputError, match="732"):
        phones_of([732])


def test_classes() -> None:
    assert (CLASSES[BLANK], CLASSES[SILENCE]) == ("<blank>", "<silence>")
    assert len(CLASSES) == len(set(CLASSES)) == 2 + 39 + 23 + 39
    assert CLASSES[class_of("AH0") or 0] == "AH"
    assert CLASSES[class_of("i05") or 0] == "i0"
    assert CLASSES[class_of("En3") or 0] == "En"
    assert class_of("B") != class_of("b")


def test_every_english_and_mandarin_phone_has_a_class() -> None:
    for symbol in symbols()[:322]:
        if is_speech(symbol) and (symbol[-1] in "012" or symbol[-1] in "12345") and symbol not in {"i0"}:
            class_of(symbol)


def test_zero_initials_are_no_sound_and_silences_join() -> None:
    assert class_of("EE") is None
    assert class_ids([",", ".", "EE", "er4", "!", "SP"]) == (SILENCE, class_of("er1"), SILENCE)
    assert spoken_class_ids([",", "HH", "AY1", "."]) == (class_of("HH"), class_of("AY2"))


def test_other_languages_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="'Yaa1'"):
        class_of("Yaa1")
