"""Amounts, dates and times of English text in any combination: whatever is read alone is read beside another too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from benchmarks.text_reading import alternatives, words
from timbre.text.english_normalize import normalize
from timbre.text.english_spans import fold_spans

NUMBERS = {
    "5": "five", "1.5": "one point five", "0.25": "zero point two five", "1,500": "one thousand five hundred",
    "1½": "one and a half", "2 1/2": "two and a half", ".75": "zero point seven five", "150": "one hundred fifty",
}  # fmt: skip
UNITS = {
    " kg": "kilograms", "kg": "kilograms", "%": "percent", " %": "percent", "°C": "degrees celsius", "°": "degrees",
    " mph": "miles per hour", "km/h": "kilometers per hour", " m/s": "meters per second", " cm": "centimeters",
    " ft": "feet", " in.": "inches", " mg/dL": "milligrams per deciliter", " min": "minutes", " GB": "gigabytes",
    " W": "watts", " m²": "square meters", " sq ft": "square feet", " lbs": "pounds", " L": "liters",
}  # fmt: skip
COMPARISONS = {
    "": "", "<": "less than", "> ": "greater than", ">": "greater than", "≤": "less than or equal to",
    "<= ": "less than or equal to", ">=": "greater than or equal to", "~": "about", "≈ ": "about",
    "±": "plus or minus", "+/-": "plus or minus", "approx. ": "approximately", "c. ": "circa",
}  # fmt: skip
DASHES = ("-", "–", "—", " - ", " – ", "−", " to ", "~")
RISING = (
    ("5", "12", "five", "twelve"), ("1.5", "2.5", "one point five", "two point five"),
    ("1,500", "2,000", "one thousand five hundred", "two thousand"), ("1½", "2", "one and a half", "two"),
    ("-5", "-2", "negative five", "negative two"), ("10", "+15", "ten", "plus fifteen"),
)  # fmt: skip
CURRENCIES = {"$": "dollars", "£": "pounds", "€": "euros", "¥": "yen", "US$": "U S dollars", "₹": "rupees"}
CODES = {"USD": "U S dollars", "EUR": "euros", "CHF": "Swiss francs"}
SCALES = {"": "", "k": "thousand", "m": "million", "bn": "billion", " million": "million", "K": "thousand"}
DAY = "{May twenty-fifth|the twenty-fifth of May}"
_WITH_YEAR = (
    "2024-05-25", "2024/05/25", "25 May 2024", "25th May 2024", "May 25, 2024", "May 25 2024", "25-May-2024",
    "25/05/2024", "5/25/24", "25.05.2024", "25.05.24", "the 25th of May 2024", "MAY 25, 2024", "25-May-24",
    "2024 May 25",
)  # fmt: skip
_WITH_WEEKDAY = ("Sat 25 May", "Saturday, May 25", "Sat. May 25", "Sat, 25 May")
DATES = dict.fromkeys(_WITH_YEAR, f"{DAY} twenty twenty-four") | dict.fromkeys(_WITH_WEEKDAY, f"Saturday {DAY}")
SPANS = {
    ("12", "14 May"): "{the |}twelfth to the fourteenth of May", ("May 12", "14"): "May twelfth to fourteenth",
    ("12th", "14th May 2024"): "{the |}twelfth to the fourteenth of May twenty twenty-four",
    ("30 May", "2 June"): "the thirtieth of May to the second of June",
    ("May 30", "June 2, 2024"): "May thirtieth to June second twenty twenty-four",
    ("2024-05-12", "2024-05-14"): "May twelfth twenty twenty-four to May fourteenth twenty twenty-four",
    ("5/12/24", "5/14/24"): "May twelfth twenty twenty-four to May fourteenth twenty twenty-four",
    ("Mon, May 12", "Wed, May 14"): "Monday May twelfth to Wednesday May fourteenth",
    ("Dec 2023", "Jan 2024"): "December twenty twenty-three to January twenty twenty-four",
    ("Mon 12", "Wed 14 May"): "Monday twelve to Wednesday the fourteenth of May",
    ("Dec. 31, 2023", "Jan. 2, 2024"): "December thirty-first twenty twenty-three to January second twenty twenty-four",
}  # fmt: skip
HOURS = {
    ("9", "5pm"): "nine to five P M", ("9 a.m.", "5 p.m."): "nine A M to five P M",
    ("9:30", "11:15"): "nine thirty to eleven fifteen", ("9.30am", "5.15pm"): "nine thirty A M to five fifteen P M",
    ("21:30", "23:45"): "twenty-one thirty to twenty-three forty-five", ("noon", "4 PM"): "noon to four P M",
    ("6pm", "midnight"): "six P M to midnight", ("9.30", "11am"): "nine thirty to eleven A M",
}  # fmt: skip


def comparisons() -> Iterator[tuple[str, str]]:
    for (sign, said), (number, spoken), (unit, noun) in product(COMPARISONS.items(), NUMBERS.items(), UNITS.items()):
        if not (sign == "c. " and number[0] == "."):
            yield f"It was {sign}{number}{unit} then.", f"It was {said} {spoken} {noun} then."


def ranges() -> Iterator[tuple[str, str]]:
    for (low, high, first, last), dash, (unit, noun) in product(RISING, DASHES, UNITS.items()):
        yield f"It was {low}{dash}{high}{unit} then.", f"It was {first} to {last} {noun} then."
        yield f"It was {low}{unit}{dash}{high}{unit} then.", f"It was {first} {noun} to {last} {noun} then."


def money() -> Iterator[tuple[str, str]]:
    for (sign, noun), (scale, power) in product(CURRENCIES.items(), SCALES.items()):
        yield f"It made -{sign}5{scale} then.", f"It made {{minus|negative}} five {power} {noun} then."
        yield f"It made {sign}-5{scale} then.", f"It made {{minus|negative}} five {power} {noun} then."
        yield f"It cost >{sign}5{scale} then.", f"It cost greater than five {power} {noun} then."
        yield f"It cost ~{sign}5{scale} then.", f"It cost about five {power} {noun} then."
        yield f"It cost {sign}5{scale}/yr then.", f"It cost five {power} {noun} per year then."
        for dash in set(DASHES) - {" to "}:
            yield f"It cost {sign}5{dash}12{scale} then.", f"It cost five to twelve {power} {noun} then."
            yield f"It cost {sign}5{scale}{dash}{sign}12{scale} then.", f"It cost five to twelve {power} {noun} then."
    for (code, noun), (scale, power) in product(CODES.items(), SCALES.items()):
        yield f"It cost {code} 5-12{scale} then.", f"It cost five to twelve {power} {noun} then."
        yield f"It cost 5–12{scale} {code} then.", f"It cost five to twelve {power} {noun} then."


def days_and_hours() -> Iterator[tuple[str, str]]:
    frames = ("It opened on {} there.", "We met ({}).", "Signed {} in Rome.", "By {}, it was over.", "{}: it rained.")
    for frame, (date, spoken) in product(frames, DATES.items()):
        yield frame.format(date), frame.replace("{}", spoken)
    for frame, ((low, high), spoken), dash in product(frames, SPANS.items(), ("-", "–", " - ", " – ", " to ", "~")):
        yield frame.format(low + dash + high), frame.replace("{}", spoken)
    for frame, ((low, high), spoken), dash in product(
        ("Open {} daily.", "Hours: {}, not Sunday.", "The {} slot", "{} only"), HOURS.items(), DASHES
    ):
        yield frame.format(low + dash + high), frame.replace("{}", spoken)


@pytest.mark.parametrize("cases", [comparisons, ranges, money, days_and_hours])
def test_any_form_stands_beside_any_other(cases: object) -> None:
    wrong = {}
    count = 0
    for text, wanted in cases():  # type: ignore[operator]
        count += 1
        said = normalize(text)[0]
        if not any(words(said) == words(one) for one in alternatives(wanted)):
            wrong[text] = said
    assert count > 200
    assert not wrong, f"{len(wrong)} of {count}: {dict(list(wrong.items())[:20])}"


@pytest.mark.parametrize(
    "text",
    [
        "1-1/2 in", "a 1/4-20 bolt", "5 kg - 2 kg = 3 kg", "Room 12 - 15 min walk", "3-year-old", "2.4.1-3", "555-0199",
        "6 l/100 km", "and/or", "3/4",
    ],
)  # fmt: skip
def test_what_is_no_range_and_no_pair_stays(text: str) -> None:
    assert fold_spans(text) == text


def test_groups_and_decimals_of_money_in_either_notation() -> None:
    assert normalize("Petrol is £1.111 today")[0] == "Petrol is one point one one one pounds today"
    assert normalize("It is €1.111 today")[0].replace(",", "") == "It is one thousand one hundred eleven euros today"
    assert normalize("It is £1.234,50 today")[0].replace(",", "").startswith("It is one thousand two hundred thirty")


def test_an_address_of_mail_may_have_any_sign_before_its_at() -> None:
    assert normalize("Write to r&d@abc.com")[0] == "Write to r and d at abc dot com"
    assert normalize("Write to o'neil+x@abc.org")[0] == "Write to o apostrophe neil plus x at abc dot org"
    assert normalize("foo@2.1")[0] == "foo at two point one"
