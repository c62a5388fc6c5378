"""English text as it is spoken: numbers, money, units, times, dates and signs as words."""

from __future__ import annotations

import re
import unicodedata

from text import english_numbers as numbers

_SAME = str.maketrans({
    "’": "'", "‘": "'", "ʼ": "'", "＇": "'", "“": '"', "”": '"', "«": '"', "»": '"', "—": " — ", "–": "–", "−": "-", "‐": "-",
    "‑": "-", "。": ". ", "，": ", ", "、": ", ", "；": ", ", "：": ": ", "！": "! ", "？": "? ", "　": " ", " ": " ",
})  # fmt: skip


def normalize(text: str) -> tuple[str, tuple[str, ...]]:
    """Words and marks , . ? ! … of a text, and the characters that could not be spoken, without repeats."""
    text = text.translate(_SAME)
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) != "Mn")
    text = re.sub(r"\s*[\r\n]+\s*", ", ", text.strip())
    text = re.sub(r"\$(\d+)\.(\d\d)\b", _dollars, text)
    text = re.sub(r"(\d),(?=\d{3}\b)", r"\1", text)
    text = re.sub(r"(\d+)(st|nd|rd|th)\b", lambda m: numbers.ordinal(int(m[1])), text)
    text = re.sub(r"(\d+\.\d+|\d+)\s?%", lambda m: numbers.decimal(m[1]) + " percent", text)
    text = re.sub(r"\d+\.\d+", lambda m: numbers.decimal(m[0]), text)
    text = re.sub(r"(?<!\d)[12]\d{3}(?!\d)", lambda m: numbers.year(int(m[0])), text)
    text = re.sub(r"\d+", lambda m: " " + numbers.cardinal(int(m[0])) + " ", text)
    text = text.replace("&", " and ").replace("@", " at ")
    text = re.sub(r"\s*(?:[;:]|—|–|--+)\s*", ", ", text)
    text = re.sub(r"\.{2,}", ".", text)
    unknown = tuple(dict.fromkeys(re.findall(r"[^A-Za-z0-9\s,.?!…'\"()\[\]{}\-/_*]", text)))
    text = re.sub(r"[^A-Za-z,.?!…'\- ]", " ", text)
    text = re.sub(r"\s+([,.?!…])", r"\1", re.sub(r"\s+", " ", text)).strip()
    return text, unknown


def _dollars(match: re.Match[str]) -> str:
    return f"{numbers.cardinal(int(match[1]))} dollars and {numbers.cardinal(int(match[2]))} cents"
