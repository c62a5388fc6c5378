"""English: what is spoken for numbers, signs, names and words."""

import pytest

from timbre.text import english_numbers as numbers
from timbre.text.english import convert
from timbre.text.english_homographs import reading
from timbre.text.english_network import predict
from timbre.text.english_normalize import normalize
from timbre.text.english_words import pronounce


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("I have 3 cats, 21 dogs and 105 fish.", "I have three cats, twenty-one dogs and one hundred five fish."),
        ("It cost 12,500,000 crowns.", "It cost twelve million, five hundred thousand crowns."),
        ("100,000,000,000,000 stars", "one hundred trillion stars"),
        ("Agent 007", "Agent zero zero seven"),
        ("Pi is 3.14159, not .5", "Pi is three point one four one five nine, not zero point five"),
        ("It was -5 outside.", "It was negative five outside."),
        ("1/2 cup, 3/4 mile, 2 1/2 days", "one half cup, three fourths mile, two and a half days"),
        ("10-20 people, pages 3–5", "ten to twenty people, pages three to five"),
        ("the 1st, 22nd and 1,000th", "the first, twenty-second and one thousandth"),
        ("$4.50, not $0.99 or $1", "four dollars and fifty cents, not ninety-nine cents or one dollar"),
        ("$3.5 million and €2bn", "three point five million dollars and two billion euros"),
        ("15$, £5, ¥300 and 20 USD", "fifteen dollars, five pounds, three hundred yen and twenty U S dollars"),
        ("21°C, -40°F and 1°", "twenty-one degrees celsius, negative forty degrees fahrenheit and one degree"),
        ("45% of 0.5%", "forty-five percent of zero point five percent"),
        ("5 kg, 1km and 10m²", "five kilograms, one kilometer and ten square meters"),
        ("a 10km walk", "a ten kilometer walk"),
        (
            "120 km/h or 9.8 m/s²",
            "one hundred twenty kilometers per hour or nine point eight meters per second squared",
        ),
        ("9:05, 12:00 and 13:30", "nine oh five, twelve o'clock and thirteen thirty"),
        ("at 3:45 p.m. Then", "at three forty-five P M. Then"),
        ("at 9 am today", "at nine A M today"),
        ("On 2024-03-15 it rained.", "On March fifteenth, twenty twenty-four it rained."),
        ("15/03/2024 and 3/15/2024", "March fifteenth, twenty twenty-four and March fifteenth, twenty twenty-four"),
        ("Jan. 5, 1905", "January fifth, nineteen oh five"),
        ("15 March 2024", "the fifteenth of March, twenty twenty-four"),
        ("in 1066, 1900 and 2005", "in ten sixty-six, nineteen hundred and two thousand five"),
        ("1250 feet in 1250", "one thousand, two hundred fifty feet in twelve fifty"),
        ("the 1980s and '90s", "the nineteen eighties and nineties"),
        ("Call 555-0199 now", "Call five five five, zero one nine nine now"),
        ("Dr. Brown lives on Elm St. in Mt. Airy.", "Doctor Brown lives on Elm Street in Mount Airy."),
        ("St. Paul, e.g. a town, etc.", "Saint Paul, for example a town, etc."),
        ("The U.S. won. J. K. Rowling", "The U S won. J K Rowling"),
        ("Henry VIII, World War II and Chapter IV", "Henry the eighth, World War two and Chapter four"),
        ("bob_smith@example.com", "bob underscore smith at example dot com"),
        ("https://www.example.com/a", "www dot example dot com slash a"),
        ("Version 2.0.1 of README.md", "Version two point zero point one of README dot md"),
        ("7 + 5 = 12 and 9 - 4", "seven plus five equals twelve and nine minus four"),
        ("5-3=2", "five minus three equals two"),
        ("AT&T, ~50 and #3", "AT and T, about fifty and number three"),
        ("HTML5, MP3 and COVID-19", "HTML five, MP three and COVID nineteen"),
        ("the ratio 3:2", "the ratio three to two"),
        ("Wait... what?! No—never; yes: ok", "Wait. what? No, never, yes, ok"),
        ("Good，yes！", "Good, yes!"),
        ("café, naïve, α", "cafe, naive, alpha"),
        ("One\ntwo", "One, two"),
    ],
)
def test_spoken_form(text: str, spoken: str) -> None:
    assert normalize(text)[0] == spoken


def test_unspoken_characters_are_reported() -> None:
    assert normalize("ok 🙂 * ok")[1] == ("🙂", "*")
    assert normalize('He said: "(yes)" - it\'s <fine>.')[1] == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "zero"),
        (1001, "one thousand one"),
        (1234567, "one million, two hundred thirty-four thousand, five hundred sixty-seven"),
        (10**15, "one quadrillion"),
        (-7, "negative seven"),
    ],
)
def test_cardinals(value: int, words: str) -> None:
    assert numbers.cardinal(value) == words


def test_ordinals_years_fractions_romans() -> None:
    assert [numbers.ordinal(n) for n in (1, 2, 3, 5, 8, 9, 12, 20, 21, 100)] == [
        "first", "second", "third", "fifth", "eighth", "ninth", "twelfth", "twentieth", "twenty-first", "one hundredth",
    ]  # fmt: skip
    assert [numbers.year(n) for n in (1984, 1900, 1905, 2000, 2024)] == [
        "nineteen eighty-four", "nineteen hundred", "nineteen oh five", "two thousand", "twenty twenty-four",
    ]  # fmt: skip
    assert numbers.decade(1920) == "nineteen twenties"
    assert [numbers.roman(text) for text in ("XIV", "MCMXCIX", "IIII", "ABC", "")] == [14, 1999, None, None, None]


def phones(text: str) -> str:
    return " ".join(convert(text)[0].phones)


def test_acronyms_are_spelt_and_words_are_words() -> None:
    assert phones("The FBI") == "DH AH0 EH1 F B IY1 AY1"
    assert phones("NASA") == "N AE1 S AH0"
    assert phones("two GPUs") == "T UW1 JH IY1 P IY1 Y UW1 Z"
    assert phones("I said NO") == "AY1 S EH1 D N OW1"
    assert phones("THE WHOLE SENTENCE IS SHOUTED.") == phones("the whole sentence is shouted.")
    assert phones("GitHub") == "G IH1 T HH AH1 B"


def test_capital_a_is_article_or_letter() -> None:
    assert phones("A cat").startswith("AH0 K")
    assert phones("A is first").startswith("EY1 IH1")
    assert phones("Plan A").endswith("EY1")


def test_possessives_follow_the_last_sound() -> None:
    assert pronounce("quonker's")[-1] == "Z"
    assert pronounce("blortwick's")[-1] == "S"
    assert pronounce("zyxgrosh's")[-2:] == ("AH0", "Z")


def test_contractions_that_no_dictionary_has() -> None:
    assert pronounce("quonker'd've") == (*pronounce("quonker"), "D", "AH0", "V")
    assert pronounce("blortwick'll")[-2:] == ("AH0", "L")
    assert pronounce("zyxgrot'd")[-2:] == ("AH0", "D")


def test_compounds_are_cut_and_unknown_words_predicted() -> None:
    assert pronounce("timetablegenerator") == pronounce("timetable") + pronounce("generator")
    assert " ".join(predict("xiaoming")) == "Z AY1 K Y UW2 M IH0 NG"


def test_lexicon_comes_first_also_in_possessives_and_compounds() -> None:
    lexicon = {"nguyen": ("W", "IH1", "N"), "read": ("R", "EH1", "D")}
    assert convert("Nguyen", lexicon)[0].phones == ("W", "IH1", "N")
    assert convert("Nguyen's", lexicon)[0].phones == ("W", "IH1", "N", "Z")
    assert convert("to read", lexicon)[0].phones[-3:] == ("R", "EH1", "D")


@pytest.mark.parametrize(
    ("sentence", "position", "expected"),
    [
        ("they refuse to go", 1, "R IH0 F Y UW1 Z"),
        ("the refuse is here", 1, "R EH1 F Y UW2 Z"),
        ("she will record it", 2, "R IH0 K AO1 R D"),
        ("a new record", 2, "R EH1 K ER0 D"),
        ("i have read it", 2, "R EH1 D"),
        ("i like to read", 3, "R IY1 D"),
        ("he read the book yesterday", 1, "R EH1 D"),
        ("we object to it", 1, "AH0 B JH EH1 K T"),
        ("an object", 1, "AA1 B JH EH0 K T"),
        ("they live here", 1, "L IH1 V"),
        ("a live show", 1, "L AY1 V"),
        ("the wind blows", 1, "W IH1 N D"),
        ("close the door", 0, "K L OW1 Z"),
        ("it is close", 2, "K L OW1 S"),
        ("i used to go", 1, "Y UW1 S T"),
    ],
)
def test_homographs(sentence: str, position: int, expected: str) -> None:
    assert " ".join(reading(sentence.split(), position) or ()) == expected


def test_marks_are_phones_and_one_pause_is_one_mark() -> None:
    assert phones("Wait... what?!") == "W EY1 T . W AH1 T ?"
    assert phones("yes,... no") == "Y EH1 S . N OW1"
