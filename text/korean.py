"""Korean: text -> sounds after the rules of g2pk2 -> letters of the v2 table (vowels in parts: ㅘ is ㅗ ㅏ).

g2pk2 asks NLTK for a pronouncing dictionary when it is imported and pip for its tagger when it is made, so only its
rule modules are used here, in its order. A blank between words is the phone 空.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from timbre.core.errors import ConfigurationError
from timbre.text.english_network import package_file
from timbre.text.korean_normalize import HANGUL, normalize
from timbre.text.phonemes import Segment
from timbre.text.symbols import is_symbol

_PARTS = {
    "ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ",
    "ㄽ": "ㄹㅅ", "ㄾ": "ㄹㅌ", "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ", "ㅘ": "ㅗㅏ",
    "ㅙ": "ㅗㅐ", "ㅚ": "ㅗㅣ", "ㅝ": "ㅜㅓ", "ㅞ": "ㅜㅔ", "ㅟ": "ㅜㅣ", "ㅢ": "ㅡㅣ",
    "ㅑ": "ㅣㅏ", "ㅕ": "ㅣㅓ", "ㅛ": "ㅣㅗ", "ㅠ": "ㅣㅜ", "ㅒ": "ㅣㅐ", "ㅖ": "ㅣㅔ",
}  # fmt: skip
_BLANK = "空"


class _Rules:
    """The rule modules of g2pk2 with its tagger. Raises ConfigurationError if they are not installed."""

    def __init__(self) -> None:
        try:
            package = package_file("g2pk2", "")
            import jamo
            import mecab

            # The package's own __init__ imports NLTK and downloads; an empty package stands in with its folder.
            if "g2pk2" not in sys.modules:
                module = ModuleType("g2pk2")
                module.__path__ = [str(package)]
                module.__spec__ = ModuleSpec("g2pk2", None, is_package=True)
                sys.modules["g2pk2"] = module
            from g2pk2 import numerals, regular, special, utils
        except (ImportError, ConfigurationError) as error:
            raise ConfigurationError(
                "Korean needs the Python packages g2pk2 and python-mecab-ko, which are not installed",
                remedy="pip install 'timbre[asia]'",
            ) from error
        self._jamo: Any = jamo
        self._numerals: Any = numerals
        self._utils: Any = utils
        self.tagger: Any = mecab.MeCab()
        self._special = [
            getattr(special, name)
            for name in (
                "jyeo", "ye", "consonant_ui", "josa_ui", "vowel_ui", "jamo", "rieulgiyeok", "rieulbieub", "verb_nieun",
                "balb", "palatalize", "modifying_rieul",
            )
        ]  # fmt: skip
        self._links = [getattr(regular, f"link{number}") for number in range(1, 5)]
        self._table = [(re.compile(wanted), sound) for wanted, sound, _ in utils.parse_table()]
        lines = (package / "idioms.txt").read_text(encoding="utf-8").splitlines()
        pairs = [line.split("#")[0].strip().split("===") for line in lines]
        self._idioms = [(re.compile(pair[0]), pair[1]) for pair in pairs if len(pair) == 2]

    def sounds(self, text: str) -> str:
        """The text as it sounds, in compatibility letters: 국물 -> ㄱㅜㅇㅁㅜㄹ."""
        for wanted, words in self._idioms:
            text = wanted.sub(words, text)
        text = self._numerals.convert_num(self._utils.annotate(text, self.tagger))
        letters = self._jamo.h2j(text)
        for rule in self._special:
            letters = rule(letters, False, False)
        letters = re.sub("/[PJEB]", "", letters)
        for wanted, sound in self._table:
            letters = wanted.sub(sound, letters)
        for rule in self._links:
            letters = rule(letters, False, False)
        return str(self._jamo.j2hcj(self._jamo.h2j(self._utils.compose(letters))))


@cache
def _rules() -> _Rules:
    return _Rules()


def hangul_of(hanja: str) -> str:
    """Reading of Chinese characters in Hangul, from the tagger's dictionary; characters without one stay."""
    return "".join(
        token.feature.reading
        if token.feature.reading and re.search(r"[\u3400-\u9fff]", token.surface)
        else token.surface
        for token in _rules().tagger.parse(hanja)
    )


@lru_cache(maxsize=20_000)
def _sounds(clause: str) -> str:
    return _rules().sounds(clause)


def convert(
    text: str, lexicon: Mapping[str, tuple[str, ...]] | None = None, last: bool = True
) -> tuple[Segment, tuple[str, ...]]:
    """Phones of a Korean text, and the characters that could not be spoken.

    lexicon: word -> phones, asked before every rule. last: nothing follows the text; then a letter at its end is
    followed by a stop, as the v2 checkpoints were trained. Raises ConfigurationError if the rules are not installed.
    """
    normalized, unknown = normalize(text, hangul_of)
    own = sorted((word for word in lexicon or {} if re.fullmatch(HANGUL + "+", word)), key=len, reverse=True)
    pattern = re.compile("(" + "|".join(map(re.escape, own)) + ")") if own else None
    phones: list[str] = []
    for part in pattern.split(normalized) if pattern else (normalized,):
        if lexicon and part in own:
            phones.extend(lexicon[part])
        else:
            phones.extend(_letters(_sounds(part)))
    if last and phones and "ㄱ" <= phones[-1] <= "ㅣ":
        phones.append(".")
    return Segment("ko", text, normalized, tuple(phones)), unknown


def _letters(sounds: str) -> list[str]:
    # g2pk2 makes 을 + ㄴ into ㄹ + ㄹ across a blank (물을 나누다); the particle's ㄹ leaves the next word alone.
    sounds = re.sub(r"((?:ㅇ|ㄹ)ㅡㄹ )ㄹ", r"\1ㄴ", sounds)
    letters = (part for letter in sounds for part in _PARTS.get(letter, letter))
    return [_BLANK if letter == " " else letter for letter in letters if letter == " " or is_symbol(letter)]
