"""Mandarin words for numbers: cardinals, digits, decimals, fractions."""

from __future__ import annotations

DIGITS = "零一二三四五六七八九"
_PLACES = ("", "十", "百", "千")
_SCALES = ("", "万", "亿", "万亿", "亿亿")
LARGEST = 10**20 - 1


def _below_ten_thousand(value: int) -> str:
    """1203 -> 一千二百零三; a gap of zeros is one 零, zeros at the end are silent."""
    words = ""
    gap = False
    for place in range(3, -1, -1):
        digit = value // 10**place % 10
        if digit:
            words += ("零" if gap and words else "") + DIGITS[digit] + _PLACES[place]
            gap = False
        else:
            gap = True
    return words


def cardinal(value: int) -> str:
    """1250 -> 一千二百五十, 100003 -> 十万零三. Above 10^20 - 1 digit by digit."""
    if value < 0:
        return "负" + cardinal(-value)
    if value > LARGEST:
        return digits(str(value))
    if value == 0:
        return DIGITS[0]
    words = ""
    gap = False
    for index in range(len(_SCALES) - 1, -1, -1):
        group = value // 10000**index % 10000
        if group:
            words += ("零" if words and (gap or group < 1000) else "") + _below_ten_thousand(group) + _SCALES[index]
            gap = False
        elif words:
            gap = True
    return words[1:] if words.startswith("一十") else words


def digits(text: str, one: str = "一") -> str:
    """Digit by digit: '1203' -> 一二零三; with one='幺' as in telephone numbers. Other characters are left out."""
    table = {str(index): DIGITS[index] for index in range(10)} | {"1": one}
    return "".join(table[character] for character in text if character in table)


def decimal(text: str) -> str:
    """'3.14' -> 三点一四, '.5' -> 零点五; thousands commas are allowed, zeros at the end are spoken."""
    whole, point, fraction = text.replace(",", "").partition(".")
    sign = "负" if whole.startswith("-") else ""
    words = sign + cardinal(int(whole.lstrip("-") or "0"))
    return f"{words}点{digits(fraction)}" if point and fraction else words
