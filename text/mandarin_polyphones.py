"""Which reading a Mandarin polyphone has, from what stands around it: family names, lone verbs, measure words.

The phrase dictionary of pypinyin decides inside words; these rules decide where it has no phrase.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

_NUMBER = "(?:[零一二三四五六七八九十百千万亿两]+)"
_PERSON = (
    "(?:[你我他她它咱您谁俺]|[你我他她它咱人]们|大家|自己|孩子|老师|妈妈|爸爸|学生|同学|小[王李张明红刚]|先生|女士|人)"
)
_TITLES = (
    "先生|女士|小姐|太太|老师|教授|医生|大夫|总裁|总监|总经理|总|经理|主任|同学|师傅|叔叔|阿姨|局长|处长|科长|市长|省长|书记|院长|校长|"
    "部长|厂长|队长|警官|法官|律师|博士|姑娘|大爷|大妈|大哥|大姐|老板|导演|记者|教练|家(?:的|人|村|庄|屯|里)?(?!庭)|氏|某|老(?!师)|工(?:程师)?(?!作)|"
    "伯伯|爷爷|奶奶|护士|秘书|将军|司令|馆长|董(?:事长)?|博|导|副|站长|店长|班长|姐|哥|嫂|夫人|公子"
)
_SURE_TITLES = (
    "先生|女士|小姐|太太|老师|教授|医生|大夫|师傅|叔叔|阿姨|警官|法官|律师|博士|同学|经理|主任|总监|总裁|导演"
)


_FOREIGN = ("查理", "查尔", "查克", "查德", "查普", "查士", "查韦")
"""Heads of names from other languages: no family name in them."""


_WORDS = "那都过洗种员应黑"
"""Family names that are everyday words: 那老师 is that teacher. 先生 and the like make them names."""
_WORDS_PATTERN = "|".join(_WORDS)
_FELT = frozenset("气美乐涨急冻热冷疼痛香臭甜苦酸辣红白黑亮静闷烦愁慌吓馋困累渴饿丑帅妙羞惊喜怒恨怕乱脏穷忙")
"""What may be a noun to the tagger and takes a complement: 气得说不出话 has no must in it."""

_NOMINAL = ("n", "r", "t", "f", "s")
"""First letters of the tags of nouns, pronouns, times and places: 得 after one of these is no complement of a verb."""
_DUTY = re.compile(
    "(?!了|过|到|出|不|而|意|知|罪|失|以|主|益|力|体|天|道|手|势|胜|奖|分|第|很|太|真|像|好[看听吃]|冠|金|病|癌|民心|人心"
    "|直|发[抖颤慌]|浑身|满|团团|跳|脸|比|名|来全|宠|救|票|多了|要[死命]|厉害|一塌|这么|那么|更|最)."
)
"""What follows 得 must, and not 得 obtain or the 得 before a complement."""


@dataclass(frozen=True)
class _Rule:
    """A rule for a polyphone."""

    pattern: re.Pattern[str]
    """Finds the polyphone as its group `it`."""
    pinyin: str
    inside: bool
    """Whether it also holds within words of the phrase dictionary."""


@cache
def _rules() -> Mapping[str, Sequence[_Rule]]:
    result: dict[str, list[_Rule]] = {}
    for line in _lines("mandarin_polyphones.txt"):
        rule, _, pinyin = line.rpartition(" = ")
        inside = rule.startswith("!")
        rule = rule.removeprefix("!").replace("$N", _NUMBER).replace("$P", _PERSON)
        match = re.fullmatch(r"(.*?)\[([\u4e00-\u9fff])\]((?!.*\[[\u4e00-\u9fff]\]).*)", rule)
        if match is None:
            continue
        before, character, after = match.groups()
        after = after if not after or after.startswith("(?") else f"(?:{after})"
        pattern = re.compile(f"(?P<before>{before})(?P<it>{character})(?={after})")
        result.setdefault(character, []).append(_Rule(pattern, pinyin.strip(), inside))
    return result


def _lines(name: str) -> list[str]:
    text = (files("timbre.text") / "data" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@cache
def _surnames() -> dict[str, tuple[str, ...]]:
    entries = (line.split() for line in _lines("mandarin_surnames.txt"))
    return {name: tuple(pinyin) for name, *pinyin in entries}


@cache
def _surname_pattern() -> re.Pattern[str]:
    every = sorted(_surnames(), key=len, reverse=True)
    names, rare = "|".join(every), "|".join(name for name in every if name not in _WORDS)
    return re.compile(
        rf"(?:(?<=姓)|(?<=免贵姓))({names})(?![氏名])"
        rf"|(?:(?<=^)|(?<=[老小阿，和与跟给找向对请问见是叫让把被由同及位]))({rare})(?=(?:[\u4e00-\u9fff]{{0,2}}?)(?:{_SURE_TITLES}))"
        rf"|({rare}|(?:{_WORDS_PATTERN})(?=先生|女士|小姐|太太))(?=(?:{_TITLES}))"
    )


def readings(clause: str, words: Sequence[tuple[str, str]]) -> dict[int, str]:
    """Pinyin by place in the clause, where these rules say it. words: the clause's words with their tags, in order."""
    found: dict[int, str] = {}
    open_at: set[int] = set()
    position = 0
    before = ""
    for word, tag in words:
        if len(word) == 1 or not _is_phrase(word):
            open_at.update(range(position, position + len(word)))
        if tag == "nr" and 2 <= len(word) <= 4 and not word.startswith(_FOREIGN) and not _is_phrase(word):
            for name in (word[:2], word[:1]):
                if name in _surnames() and len(name) < len(word):
                    found.update({position + i: reading for i, reading in enumerate(_surnames()[name])})
                    break
        if word == "地" and tag == "uv":
            found[position] = "de5"
        after_noun = (
            word[0] == "得"
            and before[:1] in _NOMINAL
            and clause[position - 1] not in _FELT
            and (len(word) == 1 or not _is_phrase(word))
        )
        if after_noun and _DUTY.match(clause, position + 1):
            found[position] = "dei3"
        before = tag
        position += len(word)
    rules = _rules()
    for character in set(clause) & rules.keys():
        pending = {i for i, other in enumerate(clause) if other == character}
        for rule in rules[character]:
            if not pending:
                break
            for match in rule.pattern.finditer(clause):
                place = match.start("it")
                if place in pending and (rule.inside or place in open_at):
                    found[place] = rule.pinyin
                    pending.discard(place)
    if _may_have_name(clause):
        for match in _surname_pattern().finditer(clause):
            name = match[1] or match[2] or match[3]
            start = match.start(match.lastindex or 0)
            whole = match[1] is not None or start in open_at or _heads(words, start)
            if whole:
                found.update({start + i: reading for i, reading in enumerate(_surnames()[name])})
    return found


@lru_cache(maxsize=20_000)
def _is_phrase(word: str) -> bool:
    """True if pypinyin's dictionary has the word, or the part of it that is longer than one character."""
    from pypinyin.constants import PHRASES_DICT

    return word in PHRASES_DICT


@cache
def _name_cue() -> re.Pattern[str]:
    return re.compile(rf"姓|{_TITLES}")


def _may_have_name(clause: str) -> bool:
    return _name_cue().search(clause) is not None


def _heads(words: Sequence[tuple[str, str]], place: int) -> bool:
    """True if a word that names a person begins at `place`."""
    position = 0
    for word, tag in words:
        if position == place:
            return tag.startswith("nr")
        position += len(word)
    return False
