"""English words for numbers: cardinals, ordinals, years, digits, decimals, fractions, roman numerals."""

from __future__ import annotations

import re

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = (
    "", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion", "sextillion", "septillion",
    "octillion", "nonillion", "decillion",
)  # fmt: skip
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
LARGEST = 10**36 - 1


def _below_hundred(value: int) -> str:
    if value < 20:
        return _ONES[value]
    tens, ones = divmod(value, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def _below_thousand(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest:
        words.append(_below_hundred(rest))
    return " ".join(words)


def cardinal(value: int) -> str:
    """Words of an integer: 1250 -> 'one thousand, two hundred fifty'.

    Groups of three digits are parted by a comma, which is spoken as a short pause, unless the last group is one word.
    Numbers above 10^36 - 1 are read digit by digit.
    """
    if value < 0:
        return "negative " + cardinal(-value)
    if value > LARGEST:
        return digits(str(value))
    if value == 0:
        return _ONES[0]
    groups: list[str] = []
    last_size = 0
    for index in range(len(_SCALES) - 1, -1, -1):
        group = value // 1000**index % 1000
        if group:
            groups.append(f"{_below_thousand(group)} {_SCALES[index]}".strip())
            last_size = group if index == 0 else 0
    if len(groups) > 1 and 0 < last_size < 100:
        tail = groups.pop()
        return ", ".join(groups) + f" {tail}"
    return ", ".join(groups)


def ordinal(value: int) -> str:
    """Words of a rank: 21 -> 'twenty-first', 1945 -> 'one thousand, nine hundred forty-fifth'."""
    head, joint, last = re.fullmatch(r"(.*?)([ -]?)(\w+)", cardinal(value)).groups()  # type: ignore[union-attr]
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return f"{head}{joint}{last}"


def digits(text: str, zero: str = "zero") -> str:
    """Words of each digit of `text`, other characters left out: '05' -> 'zero five'."""
    return " ".join(
        zero if character == "0" else _ONES[int(character)] for character in text if character in "0123456789"
    )


def decimal(text: str) -> str:
    """Words of a plain decimal ('3.14', '.5', '12'), the fraction digit by digit."""
    whole, point, fraction = text.partition(".")
    words = cardinal(int(whole or "0"))
    return f"{words} point {digits(fraction)}" if point and fraction else words


def year(value: int) -> str:
    """Words of a year: 1984 -> 'nineteen eighty-four', 1905 -> 'nineteen oh five', 2005 -> 'two thousand five'."""
    century, rest = divmod(value, 100)
    if value % 1000 == 0 or 2000 <= value < 2010 or not 1000 < value < 3000:
        return cardinal(value)
    if rest == 0:
        return f"{_below_hundred(century)} hundred"
    tail = f"oh {_ONES[rest]}" if rest < 10 else _below_hundred(rest)
    return f"{_below_hundred(century)} {tail}"


def decade(value: int) -> str:
    """Words of a decade by its first year: 80 -> 'eighties', 1900 -> 'nineteen hundreds'."""
    words = year(value) if value >= 1000 else cardinal(value)
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def military(hour: str, minute: str) -> str:
    """08, 00 -> zero eight hundred; 17, 45 -> seventeen forty-five."""
    words = digits(hour) if hour[0] == "0" else cardinal(int(hour))
    if minute == "00":
        return f"{words} hundred"
    return f"{words} {digits(minute) if minute[0] == '0' else cardinal(int(minute))}"


def plural(value: int) -> str:
    """Words of several of a number: 4 -> 'fours', 6 -> 'sixes', 20 -> 'twenties'."""
    words = cardinal(value)
    return f"{words[:-1]}ies" if words.endswith("y") else words + ("es" if words.endswith("x") else "s")


def fraction(numerator: int, denominator: int) -> str:
    """Words of a fraction: 1/2 -> 'one half', 3/4 -> 'three fourths'."""
    if denominator in (0, 1) or denominator > 1000:
        return f"{cardinal(numerator)} over {cardinal(denominator)}"
    if denominator == 2:
        part, parts = "half", "halves"
    else:
        part = ordinal(denominator)
        parts = part + "s"
    return f"{cardinal(numerator)} {part if numerator == 1 else parts}"


_ROMAN = re.compile(r"M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def roman(text: str) -> int | None:
    """Value of a well-formed roman numeral in capitals ('XIV' -> 14), None if it is not one."""
    if not text or not _ROMAN.fullmatch(text):
        return None
    values = [_ROMAN_VALUES[letter] for letter in text]
    return sum(
        -value if value < following else value for value, following in zip(values, [*values[1:], 0], strict=True)
    )
