"""How long each sound lasts: quantiles of what the network thinks of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from timbre.inference.sampling import Sampler, Sampling
from timbre.text.frontend import phonemize
from timbre.text.phone_codes import CODES, PLOSIVES, UNITS, TextPath
from timbre.text.phone_durations import Durations, TimedPath, codes_a_sound, drawn_out
from timbre.text.recognition import CLASSES
from timbre.text.symbols import ids_of

END = CODES
STAY, MOVE, PAUSE = 11, 20, 0
ENDS = (0.1, 0.3, 0.6, 0.9)
"""Chance that a sound ends after one, two, three, four codes; after five it always does."""


def odds_at(stayed: int) -> dict[int, float]:
    """Log odds after so many codes."""
    ends = ENDS[stayed - 1] if stayed <= len(ENDS) else 1 - 1e-12
    return {STAY: math.log(1 - ends), MOVE: math.log(ends)}


def lengths(durations: Durations, sounds: int) -> list[int]:
    found = []
    for sound in range(sounds):
        length = 1
        while durations.choose(sound, odds_at(length)) == STAY:
            length += 1
        found.append(length)
    return found


def durations(spread: float, seed: int = 0, temperature: float = 1.0) -> Durations:
    return Durations(np.random.default_rng(seed), spread, temperature)


def own_shares() -> list[float]:
    """Share of the sounds that last one, two, ... five codes."""
    shares, left = [], 1.0
    for ends in (*ENDS, 1.0):
        shares.append(left * ends)
        left *= 1 - ends
    return shares


def test_with_the_whole_spread_lengths_are_those_of_the_network() -> None:
    counts = Counter(lengths(durations(1.0), 20_000))
    shares = [counts[length] / 20_000 for length in range(1, 6)]
    assert shares == pytest.approx(own_shares(), abs=0.012)


def test_without_spread_every_sound_has_its_median_length() -> None:
    """.1, .37, .748: half of all sounds have ended after three codes."""
    assert {*lengths(durations(0.0, seed=1), 50), *lengths(durations(0.0, seed=2), 50)} == {3}


def test_a_part_of_the_spread_leaves_out_both_ends() -> None:
    """From the quantile .3 to .7 there are only two and three codes, in their own proportion."""
    counts = Counter(lengths(durations(0.4), 10_000))
    assert set(counts) == {2, 3}
    assert counts[2] / 10_000 == pytest.approx((0.37 - 0.3) / 0.4, abs=0.02)


def test_cold_the_likelier_way_is_taken_at_once() -> None:
    assert lengths(durations(1.0, temperature=0.0), 20) == [3] * 20  # .6 is the first chance above a half


def test_a_lower_temperature_narrows_the_lengths() -> None:
    warm, cool = (lengths(durations(1.0, temperature=heat), 4_000) for heat in (1.0, 0.3))
    assert np.std(cool) < 0.8 * np.std(warm)


def test_the_way_over_a_pause_has_its_share() -> None:
    odds = {PAUSE: math.log(0.7), MOVE: math.log(0.3)}
    drawn, always = durations(1.0), durations(0.0)
    taken = [drawn.choose(sound, odds) for sound in range(5_000)]
    assert taken.count(PAUSE) / 5_000 == pytest.approx(0.7, abs=0.03)
    assert {always.choose(sound, odds) for sound in range(100)} == {PAUSE}


def test_one_ahead_has_the_same_numbers_and_moves_by_itself() -> None:
    one = durations(1.0, seed=3)
    lengths(one, 5)
    guessed = lengths(one.ahead(), 12)
    assert lengths(one, 12) == guessed


def test_the_end_is_a_way_on_like_any_other() -> None:
    waiting, ready = {STAY: math.log(0.9), END: math.log(0.1)}, {STAY: math.log(0.1), END: math.log(0.9)}
    one = durations(0.0)
    assert [one.choose(0, odds) for odds in (waiting, waiting, ready)] == [STAY, STAY, END]


def spoken(seed: int, **values: float) -> list[int]:
    """Codes of a text by a network that is unsure of every length."""
    path = TextPath.of(ids_of(phonemize("Seven small birds.", "en").phones))
    drawing = Sampling(repetition_penalty=1.0, **{"top_p": 1.0, "top_k": 5, "temperature": 1.0, **values}, seed=seed)  # type: ignore[arg-type]
    sampler = Sampler(drawing, CODES + 1, END, np.zeros(0, np.int64), path)
    random, codes = np.random.default_rng(4), []
    while (code := sampler.draw(random.normal(0, 1, CODES + 1).astype(np.float32), may_end=True)) is not None:
        codes.append(code)
    return codes


def test_a_request_spreads_as_it_says() -> None:
    assert spoken(1, duration_spread=0.0) == spoken(2, duration_spread=0.0)
    assert spoken(1, duration_spread=1.0) != spoken(2, duration_spread=1.0)


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 0.0}, {"temperature": 0.0}])
def test_narrow_draws_take_the_likeliest(narrow: dict[str, float]) -> None:
    assert spoken(1, **narrow) == spoken(2, **narrow)
    assert spoken(1, **narrow) == spoken(1, temperature=0.0)


def test_a_timed_path_allows_one_code_at_a_time() -> None:
    """What the engine's sampler draws, with the same random numbers."""
    phones, random, codes = ids_of(phonemize("Seven small birds.", "en").phones), np.random.default_rng(4), []
    path = TextPath.of(phones)
    assert path is not None
    timed = TimedPath(path, durations(0.7, seed=5))
    while True:
        scores = timed.weighed(random.normal(0, 1, CODES + 1).astype(np.float32).astype(np.float64), END)
        assert np.isfinite(scores).sum() == 1
        code = int(np.argmax(scores))
        if code == END:
            break
        codes.append(code)
        timed.take(code)
    assert codes == spoken(5, duration_spread=0.7)


def sounds(codes: list[int]) -> list[tuple[int, int]]:
    """(unit, number of codes) of each sound."""
    begins = [place for place, code in enumerate(codes) if code % 2 == 0] + [len(codes)]
    return [(codes[begin] // 2, end - begin) for begin, end in pairwise(begins)]


@pytest.mark.parametrize("stretch", [1.0, 1.17, 1.5, 2.0, 3.3])
def test_every_sound_but_plosives_lasts_so_many_times_as_long(stretch: float) -> None:
    random = np.random.default_rng(0)
    drawn: list[int] = []
    for unit in range(100):
        drawn += [2 * unit] + [2 * unit + 1] * int(random.integers(0, 6))
    found = list(drawn_out(iter(drawn), stretch))
    assert [unit for unit, _ in sounds(found)] == [unit for unit, _ in sounds(drawn)]
    wanted, reached = 0.0, 0
    for (unit, before), (_, after) in zip(sounds(drawn), sounds(found), strict=True):
        kind, _ = UNITS[unit]
        if CLASSES[kind] in ("P", "B", "T", "D", "K", "G", "p", "b", "t", "d", "k", "g"):
            assert after == before, CLASSES[kind]
            continue
        assert abs(after - stretch * before) <= 1.0
        wanted, reached = wanted + stretch * before, reached + after
        assert abs(wanted - reached) <= 0.5 + 1e-6, "what rounding takes from one sound, the next one gets"
    assert found == drawn or stretch != 1.0


def test_codes_that_are_no_phones_are_left_alone() -> None:
    codes = [3, 3, 1023, 8, 600]
    assert list(drawn_out(iter(codes), 1.0)) == codes, "official bases have 1,024 codes"


def test_the_plosives_are_those_of_both_languages() -> None:
    names = [CLASSES[kind] for (kind, _), plosive in zip(UNITS, PLOSIVES, strict=True) if plosive]
    assert sorted(names) == sorted(["P", "B", "T", "D", "K", "G", "p", "b", "t", "d", "k", "g"])


def test_codes_come_as_they_are_drawn() -> None:
    taken: list[int] = []

    def codes() -> Iterator[int]:
        for code in (2, 3, 20, 21):  # AA, then DH
            taken.append(code)
            yield code

    found = drawn_out(codes(), 2.0)
    assert [next(found), next(found)] == [2, 3]
    assert taken == [2], "a stream does not wait"


def test_a_pace_is_the_length_of_sounds_that_are_drawn_out() -> None:
    vowel, stop = (2 * next(u for u, (kind, _) in enumerate(UNITS) if CLASSES[kind] == name) for name in ("AA", "T"))
    assert codes_a_sound([[vowel, vowel + 1, vowel + 1], [vowel]]) == 2.0
    assert codes_a_sound([[0, 1, 1, 1, stop, stop + 1, vowel, vowel + 1]]) == 2.0, "neither silence nor plosives"
    assert codes_a_sound([[0, 1]]) == codes_a_sound([]) == 0.0
