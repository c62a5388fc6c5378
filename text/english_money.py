"""English money in digits: signs and codes of currencies, cents, scales and ranges."""

from __future__ import annotations

import re

from timbre.text import english_numbers as numbers
from timbre.text.english_amounts import NUMBER, SCALE_WORDS, counts_plural, is_attribute, plain, stands_before_noun
from timbre.text.patterns import sub

_SCALE = r"(?i:hundred|thousand|lakhs?|crores?|[mbtz]r?illion|quadrillion|gazillion|mill?|bil)|[kKmMbBtT]|[mb]n|[MB]N"

CURRENCIES: dict[str, tuple[str, str, str, str]] = {
    "US$": ("U S dollar", "U S dollars", "cent", "cents"),
    "HK$": ("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
    "NT$": ("Taiwan dollar", "Taiwan dollars", "cent", "cents"),
    "A$": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "C$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "S$": ("Singapore dollar", "Singapore dollars", "cent", "cents"),
    "NZ$": ("New Zealand dollar", "New Zealand dollars", "cent", "cents"),
    "CA$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "AU$": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "MX$": ("Mexican peso", "Mexican pesos", "centavo", "centavos"),
    "R$": ("real", "reals", "centavo", "centavos"),
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "", ""),
    "₩": ("won", "won", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
    "₺": ("lira", "lira", "kurus", "kurus"),
    "₪": ("shekel", "shekels", "agora", "agorot"),
    "₫": ("dong", "dong", "", ""),
    "₱": ("peso", "pesos", "centavo", "centavos"),
    "฿": ("baht", "baht", "satang", "satang"),
    "₿": ("bitcoin", "bitcoins", "", ""),
    "USD": ("U S dollar", "U S dollars", "cent", "cents"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "JPY": ("yen", "yen", "", ""),
    "CNY": ("yuan", "yuan", "", ""),
    "RMB": ("yuan", "yuan", "", ""),
    "KRW": ("won", "won", "", ""),
    "INR": ("rupee", "rupees", "paisa", "paise"),
    "NZD": ("New Zealand dollar", "New Zealand dollars", "cent", "cents"),
    "HKD": ("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
    "SGD": ("Singapore dollar", "Singapore dollars", "cent", "cents"),
    "TWD": ("Taiwan dollar", "Taiwan dollars", "cent", "cents"),
    "SEK": ("Swedish krona", "Swedish kronor", "", ""),
    "NOK": ("Norwegian krone", "Norwegian kroner", "", ""),
    "DKK": ("Danish krone", "Danish kroner", "", ""),
    "PLN": ("zloty", "zlotys", "", ""),
    "CZK": ("Czech koruna", "Czech koruna", "", ""),
    "HUF": ("forint", "forints", "", ""),
    "MXN": ("Mexican peso", "Mexican pesos", "centavo", "centavos"),
    "BRL": ("real", "reals", "centavo", "centavos"),
    "ZAR": ("rand", "rand", "cent", "cents"),
    "THB": ("baht", "baht", "satang", "satang"),
    "RUB": ("ruble", "rubles", "kopeck", "kopecks"),
    "SAR": ("Saudi riyal", "Saudi riyals", "", ""),
    "AED": ("dirham", "dirhams", "", ""),
    "ILS": ("shekel", "shekels", "", ""),
    "IDR": ("rupiah", "rupiah", "", ""),
    "MYR": ("ringgit", "ringgit", "", ""),
    "VND": ("dong", "dong", "", ""),
    "NGN": ("naira", "naira", "", ""),
    "UAH": ("hryvnia", "hryvnias", "", ""),
    "EGP": ("Egyptian pound", "Egyptian pounds", "", ""),
    "PKR": ("Pakistani rupee", "Pakistani rupees", "", ""),
    "KES": ("Kenyan shilling", "Kenyan shillings", "", ""),
    "₦": ("naira", "naira", "kobo", "kobo"),
    "₴": ("hryvnia", "hryvnias", "kopiyka", "kopiykas"),
    "₡": ("colon", "colones", "", ""),
    "₵": ("cedi", "cedis", "", ""),
    "kr": ("krone", "kroner", "", ""),
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
}
_SIGN = "|".join(re.escape(sign) for sign in sorted(CURRENCIES, key=len, reverse=True))
_MONEY_BEFORE = re.compile(rf"(?<![A-Za-z])({_SIGN})\s?({NUMBER})(?:\s?-?({_SCALE})\b)?")
_MONEY_AFTER = re.compile(rf"(?<![\w.])({NUMBER})(?:\s?({_SCALE}))?\s?({_SIGN})(?![A-Za-z])")
_BETWEEN = r"\s?[-–—−~]\s?"
MONEY_SIGN = _SIGN
"""Expression of a sign or code of a currency."""
MONEY_RANGE_BEFORE = re.compile(
    rf"(?<![A-Za-z])(?P<sign>{_SIGN})\s?(?P<low>{NUMBER})(?:\s?-?(?P<low_scale>{_SCALE})\b)?"
    rf"(?P<joint>{_BETWEEN}|\sto\s(?!{_SIGN}))(?:(?:{_SIGN})\s?)?(?P<high>{NUMBER})(?:\s?-?(?P<high_scale>{_SCALE})\b)?"
    r"(?![\d-]|[.,:]\d)"
)
"""Two amounts with their currency before the first, or before both."""
MONEY_RANGE_AFTER = re.compile(
    rf"(?<![\w.,$£€-])(?P<low>{NUMBER})(?:\s?(?P<low_scale>{_SCALE}))?(?:\s?(?:{_SIGN}))?(?P<joint>{_BETWEEN})"
    rf"(?P<high>{NUMBER})(?:\s?(?P<high_scale>{_SCALE}))?\s?(?P<sign>{_SIGN})(?![A-Za-z]|\s?\d)"
)
"""Two amounts with their currency after the second, or after both."""


def _amount(sign: str, number: str, scale: str | None) -> str:
    one, many, minor, minors = CURRENCIES[sign]
    number = plain(number)
    if scale:
        return f"{numbers.decimal(number)} {SCALE_WORDS.get(scale.lower(), scale.lower())} {many}"
    whole, _, fraction = number.partition(".")
    if len(fraction) == 3 and fraction[2] == "0":
        fraction = fraction[:2]
    major = int(whole or "0")
    if not fraction or not int(fraction):
        return f"{numbers.cardinal(major)} {one if major == 1 else many}"
    if not minor or len(fraction) > 2:
        return f"{numbers.decimal(number)} {many}"
    cents = int(fraction.ljust(2, "0"))
    small = f"{numbers.cardinal(cents)} {minor if cents == 1 else minors}"
    return f"{numbers.cardinal(major)} {one if major == 1 else many} and {small}" if major else small


def _before_noun(words: str, sign: str, match: re.Match[str]) -> str:
    """The amount in the singular where it stands before its noun: a five dollar bill, two dollar-a-day."""
    one, many = CURRENCIES[sign][:2]
    daily = re.match(r"-an?-[a-z]", match.string[match.end() :])
    end = match.end()
    owned = re.search(r"['’]s \S*$", match.string[max(0, match.start() - 24) : match.start() + 1]) is not None
    attribute = (
        daily
        or is_attribute(match.string, match.start(), end)
        or counts_plural(match.string, end)
        or (owned and stands_before_noun(match.string, end))
    )
    if words.endswith(many) and attribute:
        return words[: -len(many)] + one
    return words


def fold_grouping(text: str) -> str:
    """€1.234,50 -> €1234.50; 12,50 € -> 12.50 €; Rs. 500 -> ₹500."""
    text = sub(
        r"(?<=€)(\d{1,3}(?:\.\d{3})+)(?=,\d\d(?!\d)|(?!\d|[.,]\d))|(?<=£)(\d{1,3}(?:\.\d{3})+)(?=,\d\d(?!\d))",
        lambda m: m[0].replace(".", ""),
        text,
    )
    text = sub(
        rf"(?<![\d.,])\d{{1,3}}(?:\.\d{{3}}){{2}}(?![\d.])|(?<![\d.,])\d{{1,3}}(?:\.\d{{3}})+(?=\s?(?:{_SIGN}))",
        lambda m: m[0].replace(".", ""),
        text,
    )
    text = sub(r"(?<=[€£])(\d+),(\d\d)(?![\d,])", r"\1.\2", text)
    text = sub(r"(?<![\d,.])(\d+),(\d\d)(?=\s?€)", r"\1.\2", text)
    return sub(rf"\bRs\.?\s?(?={NUMBER})", "₹", text)


def money_range(match: re.Match[str]) -> str:
    """Words of two amounts of one currency, which is said once: $2–3m -> two to three million dollars."""
    sign, low, high = match["sign"], match["low"], match["high"]
    low_scale, high_scale = match["low_scale"], match["high_scale"]
    if "to" in match["joint"] and (low_scale or not high_scale):
        return match[0]
    first = numbers.decimal(plain(low))
    if "." in low and not (low_scale or high_scale):
        first = _amount(sign, low, None)
    elif low_scale and (high_scale is None or low_scale.lower() != high_scale.lower()):
        first += f" {SCALE_WORDS.get(low_scale.lower(), low_scale)}"
    return f"{first} to {_before_noun(_amount(sign, high, high_scale), sign, match)}"


def expand_money(text: str) -> str:
    """$4.50 -> four dollars and fifty cents; 5€ -> five euros; $3.5 million -> three point five million dollars."""

    def before(match: re.Match[str]) -> str:
        return f" {_before_noun(_amount(match[1], match[2], match[3]), match[1], match)} "

    def after(match: re.Match[str]) -> str:
        return f" {_before_noun(_amount(match[3], match[1], match[2]), match[3], match)} "

    text = _MONEY_BEFORE.sub(before, text)
    text = _MONEY_AFTER.sub(after, text)
    return sub(rf"({NUMBER})\s?¢", _cents, text)


def _cents(match: re.Match[str]) -> str:
    one = match[1] == "1" or is_attribute(match.string, match.start(), match.end())
    return f"{match[1]} {'cent' if one else 'cents'}"
