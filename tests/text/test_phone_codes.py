"""The way of a text through codes that stand for phones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from timbre.inference.sampling import Sampler, Sampling
from timbre.text.frontend import phonemize
from timbre.text.phone_codes import CODES, LONGEST_EDGE, LONGEST_SOUND, UNIT_OF, UNITS, TextPath
from timbre.text.phone_lengths import MOST, goes_on
from timbre.text.recognition import CLASSES, SILENCE
from timbre.text.symbols import ids_of

END = CODES
PAUSE = 2 * UNIT_OF[SILENCE, 0]


def path_of(text: str, language: str = "en") -> TextPath:
    path = TextPath.of(ids_of(phonemize(text, language).phones))
    assert path is not None
    return path


def code(name: str, tone: int = 0) -> int:
    return 2 * UNIT_OF[CLASSES.index(name), tone]


def test_a_text_begins_and_ends_with_silence() -> None:
    path = path_of("Hi")  # HH AY1, without a mark
    assert path.choices() == ((PAUSE,), False)
    for taken in (PAUSE, code("HH"), code("AY"), code("AY") + 1, PAUSE):
        assert taken in path.choices()[0]
        path.take(taken)
    assert path.choices() == ((PAUSE + 1,), False)
    path.take(PAUSE + 1)
    assert path.choices() == ((PAUSE + 1,), True)


def test_a_pause_at_a_mark_may_be_left_out() -> None:
    path = path_of("No, I.")  # N OW1 , AY1 .
    for taken in (PAUSE, code("N"), code("OW")):
        path.take(taken)
    assert set(path.choices()[0]) == {code("OW") + 1, PAUSE, code("AY")}
    path.take(code("AY"))
    assert path.choices()[0] == (code("AY") + 1, PAUSE)


def test_a_sound_must_give_way_at_last() -> None:
    path = path_of("I")
    path.take(PAUSE)
    path.take(code("AY"))
    for _ in range(LONGEST_SOUND - 1):
        path.take(code("AY") + 1)
    assert path.choices()[0] == (PAUSE,)


def test_finals_carry_the_tone_of_the_text() -> None:
    path = path_of("马。", "zh")
    path.take(PAUSE)
    path.take(code("m"))
    assert code("a", 3) in path.choices()[0]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_a_network_wants_the_text_is_said(seed: int) -> None:
    random = np.random.default_rng(seed)
    sampler = Sampler(Sampling(seed=seed, top_k=5, repetition_penalty=1.0), CODES + 1, END, np.zeros(0, np.int64),
                      path_of("Two birds."))  # fmt: skip
    codes = []
    while (drawn := sampler.draw(random.normal(0, 3, CODES + 1).astype(np.float32), may_end=True)) is not None:
        codes.append(drawn)
        assert len(codes) < 200
    begun = [CLASSES[UNITS[item // 2][0]] for item in codes if item % 2 == 0]
    assert begun == ["<silence>", "T", "UW", "B", "ER", "D", "Z", "<silence>"]
    assert codes[-2:].count(PAUSE + 1) >= 1
    assert codes.count(PAUSE + 1) <= 2 * LONGEST_EDGE


def test_going_on_is_asked_of_all_codes_together() -> None:
    path = path_of("I see.")
    path.take(PAUSE)
    scores = np.full(CODES + 1, -10.0)
    scores[code("N") + 1] = 5.0  # a network that goes on with another sound than the text's
    weighed = path.weighed(scores, END)
    assert int(np.argmax(weighed)) == PAUSE + 1
    scores[code("N") + 1], scores[code("B")] = -10.0, 5.0  # and one that begins another
    assert int(np.argmax(path.weighed(scores, END))) == code("AY")


def test_phones_of_other_languages_have_no_path() -> None:
    assert TextPath.of([]) is None or TextPath.of([]).choices() == ((PAUSE,), False)  # type: ignore[union-attr]


@pytest.mark.parametrize("most", [9, 14, 40])
def test_who_drags_hurries_at_the_end_and_is_never_cut_off(most: int) -> None:
    """A network that only ever wants to go on; 9 codes are what it takes: one for a sound, three of silence."""
    path = TextPath.of(ids_of(phonemize("Two, birds.", "en").phones), most)
    sampler = Sampler(Sampling(seed=1, top_k=5, repetition_penalty=1.0), CODES + 1, END, np.zeros(0, np.int64), path)
    scores = np.full(CODES + 1, -9.0, np.float32)
    scores[1:CODES:2] = 9.0
    codes = []
    while (drawn := sampler.draw(scores, may_end=True)) is not None:
        codes.append(drawn)
        assert len(codes) <= most
    begun = [CLASSES[UNITS[item // 2][0]] for item in codes if item % 2 == 0]
    assert [name for name in begun if name != "<silence>"] == ["T", "UW", "B", "ER", "D", "Z"]
    assert codes[-1] == PAUSE + 1


def test_a_guess_keeps_to_the_text_and_changes_nothing() -> None:
    """Whatever is guessed may come; at the end there is nothing left to guess."""
    path = path_of("No, I said so.")
    path.take(PAUSE)
    while guesses := path.likely(4):
        before = path.choices()
        ahead = path.likely(4)
        assert ahead == guesses
        assert path.choices() == before
        for taken in guesses:
            assert taken in path.choices()[0]
            path.take(taken)
        if path.choices()[1]:
            break
    assert path.choices()[1], "the guesses lead to the end of the text"
    for taken in (PAUSE + 1,) * (LONGEST_EDGE - path._stayed):
        path.take(taken)
    assert path.likely(4) == []


def test_a_short_sound_is_guessed_shorter_than_a_long_one() -> None:
    path = path_of("I did.")
    path.take(PAUSE)
    path.take(code("AY"))
    assert path.likely(4) == [code("AY") + 1] * 3 + [code("D")]
    path.take(code("D"))
    assert path.likely(1) == [code("IH")]


def test_without_a_network_the_choices_have_the_odds_of_their_sounds() -> None:
    """At every place of a text they are whole, and a long vowel goes on more readily than a stop."""
    path = path_of("No, I did.")
    while True:
        codes, may_end = path.choices()
        if not codes:
            break
        odds = path.usual_odds(END)
        assert set(odds) == {*codes, *([END] if may_end else [])}
        assert sum(math.exp(value) for value in odds.values()) == pytest.approx(1.0, abs=1e-6)
        path.take(codes[0])
    assert goes_on("AY", 1) > 0.7 > 0.5 > goes_on("D", 1)
    assert goes_on("AY", 100) == goes_on("AY", MOST)


@pytest.mark.parametrize("name", sorted({CLASSES[kind] for kind, _ in UNITS}))
def test_every_sound_has_a_share_for_every_length(name: str) -> None:
    assert all(0 < goes_on(name, count) < 1 for count in range(1, MOST + 3))


def test_a_guess_is_drawn_with_the_random_numbers_of_the_draw() -> None:
    """A network that thinks of lengths as the table does is guessed right throughout: chance is known beforehand."""
    sampling = Sampling(seed=7, top_k=5, top_p=1.0, temperature=1.0, repetition_penalty=1.0)
    path = path_of("The quick brown fox jumps over the lazy dog.")
    sampler = Sampler(sampling, CODES + 1, END, np.zeros(0, np.int64), path)
    runs, ended, spoken = 0, False, []
    while not ended:
        guesses, ahead, rows = sampler.guesses(15), path.copied(), []
        for guess in [*guesses, None]:
            row = np.full(CODES + 1, -30.0, np.float32)
            for code, value in ahead.usual_odds(END).items():
                row[code] = value
            rows.append(row)
            if guess is not None:
                ahead.take(guess)
        codes, ended = sampler.draw_ahead(guesses, np.array(rows), 1000)
        assert codes[: len(guesses)] == guesses[: len(codes)]
        spoken, runs = [*spoken, *codes], runs + 1
    assert runs <= len(spoken) // 15 + 2


def test_what_wrong_guesses_taught_makes_the_next_ones_right() -> None:
    """Where logits stay what they were, every guess is right, and guessing changes no draw."""
    sampling = Sampling(seed=5, top_k=5, top_p=1.0, temperature=1.0, repetition_penalty=1.0)
    logits = np.random.default_rng(3).normal(0, 3, CODES + 1).astype(np.float32)

    def sampler() -> tuple[Sampler, TextPath]:
        path = path_of("Why not go?")
        return Sampler(sampling, CODES + 1, END, np.zeros(0, np.int64), path), path

    (one, _), (two, path) = sampler(), sampler()
    wanted = []
    while (drawn := one.draw(logits, may_end=True)) is not None:
        wanted.append(drawn)
    found, ended, right = [], False, []
    while not ended:
        guesses = two.guesses(20)
        # Wrong at once the first time: what comes after it is remembered nevertheless.
        codes, ended = two.draw_ahead(guesses, np.tile(logits, (len(guesses) + 1, 1)), 1000)
        right.append(len(codes) - (not ended))
        assert codes[: right[-1]] == guesses[: right[-1]]
        found += codes
    assert found == wanted
    assert path.choices()[1]
    assert len(right) < len(wanted) / 3
