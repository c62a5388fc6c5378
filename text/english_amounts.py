"""What every English quantity in digits is made of: numbers, words for scales, whether it stands before its noun."""

from __future__ import annotations

import re

NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
"""A number in digits: 1,250 or 1250 or 3.14 or .5."""

SCALE_WORDS = {
    "k": "thousand", "m": "million", "mm": "million", "mn": "million", "b": "billion", "bn": "billion",
    "t": "trillion", "mil": "million", "mill": "million", "bil": "billion",
    "tn": "trillion",
}  # fmt: skip
_AFTER_AMOUNT = frozenset({
    "is", "are", "was", "were", "be", "has", "have", "had", "of", "and", "or", "to", "in", "at", "from", "for", "on",
    "with", "by", "as", "than", "per", "a", "an", "the", "he", "she", "it", "they", "we", "you", "i", "that", "which",
    "who", "long", "wide", "tall", "high", "deep", "away", "later", "ago", "more", "less", "each", "will", "would",
    "can", "could", "thick", "thin", "short", "apart", "across", "off", "too", "below", "above", "longer", "shorter",
    "taller", "wider", "bigger", "smaller", "thicker", "higher", "lower", "deeper", "diagonally", "square", "around",
    "north", "south", "east", "west", "further", "farther", "past", "inland", "offshore", "ahead", "behind",
    "through", "without", "beyond", "via", "along", "into", "onto", "until", "till", "before", "after", "since",
    "during", "now", "then", "there", "here", "today", "every", "both", "all", "some", "any", "no", "total", "max",
    "min", "approx", "but", "if", "when", "while", "because", "so", "not", "only", "just", "over", "under", "up",
    "down", "between",
})  # fmt: skip


_NO_PLURAL = frozenset({
    "is", "was", "has", "as", "plus", "minus", "times", "less", "yes", "its", "his", "hers", "ours", "yours", "theirs",
    "dollars", "cents", "pounds", "pence", "euros", "perhaps", "sometimes", "afterwards", "upwards", "towards",
    "besides",
    "does", "goes", "says", "buys", "gets", "covers", "includes", "makes", "comes", "seems", "sounds", "means", "saves",
    "pays", "costs", "across", "versus", "millions", "billions", "thousands", "months", "years", "weeks", "hours",
})  # fmt: skip


_PACKS = "can|tin|pack|packet|bag|box|bottle|jar|carton|tub|block|bar|sachet|pouch|punnet|tube|tray|sheet|roll"
_DETERMINED = (
    r"\b(?:an?|the|this|that|my|his|her|our|their|your|one|every|each)\s+"
    r"(?:(?:\d+[- ][a-z]+,?|\w+[ -](?:phase|speed|door|way|ply|stage)|new|standard|typical|small|large|single|full|old|"
    r"cheap|heavy|fresh|classic|modern|portable|basic|nominal)\s+)?$"
)
"""An article or the like, with an adjective at most, right before a quantity."""


def is_attribute(text: str, start: int, end: int) -> bool:
    """True if the quantity text[start:end] stands before its noun: a $20 bill, the 27" screen."""
    found = re.search(_DETERMINED, text[max(0, start - 24) : start], re.IGNORECASE)
    if found is None or found[0].lower().split()[0] == "every":
        return False
    return stands_before_noun(text, end)


def is_multipack(text: str, start: int, end: int) -> bool:
    """True if the quantity text[start:end] is the size of each of several things: 24 x 330ml cans."""
    packed = re.search(r"\d (?:by|x|times) $", text[max(0, start - 10) : start]) is not None
    return packed and (counts_plural(text, end) or re.match(rf" (?:{_PACKS})\b", text[end:]) is not None)


def stands_before_noun(text: str, end: int) -> bool:
    """True if the word after `end` can be the noun of a quantity: none of those that follow a quantity alone."""
    after = re.match(r"(?:,?\s\d[\d.,]*(?:\s[AVWΩ]\b)?)?\s?([A-Za-z]+)", text[end:])
    return after is not None and after[1] not in _AFTER_AMOUNT and after[1] not in _NO_PLURAL


def counts_plural(text: str, end: int) -> bool:
    """True if a plural noun stands right after the amount that ends at `end`: $5 tickets, $2m homes."""
    after = re.match(r"\s([a-z]{2,}s)\b", text[end:])
    return after is not None and not after[1].endswith(("ss", "us", "is", "ays")) and after[1] not in _NO_PLURAL


def plain(number: str) -> str:
    """Without thousands commas."""
    return number.replace(",", "")
