"""Languages of the front end, and which of them a run of characters is in: by script, and by words where scripts are
shared.

Kana is Japanese and Hangul Korean. Chinese characters are what the text's language says; in a Mandarin or English text
they are Japanese where they stand in a clause of kana, and Cantonese where the sentence has characters that only
written Cantonese has.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from timbre.core.errors import InputError
from timbre.core.languages import LANGUAGES

IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
"""Characters with a reading of their own; as HAN, KANA and HANGUL for a class of a regular expression."""
HAN = f"\u3005\u3007{IDEOGRAPHS}"
"""With the sign that repeats one, and the round zero."""
KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9f"
HANGUL = "\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e"
# Written Cantonese alone has these; one in a sentence is enough.
_CANTONESE = re.compile("[嘅咗喺嚟佢哋冇啲嗰唔咁噉嘢嗌嚿畀啱攞睇揾搵嘥噚嚡瞓㗎喎啩嘞咩乜嗱嬲諗谂冧靚掟]")
# Mandarin and Cantonese have these where Japanese has no such word by itself.
_CHINESE = re.compile("[你您她它们們这這哪吃很吗嗎吧呢啊没沒给給咗嘅佢爸妈媽姐哥]|[我他]")
_RUN = re.compile(rf"(?P<kana>[{KANA}]+)|(?P<hangul>[{HANGUL}]+)|(?P<han>[{HAN}]+)")
_CLAUSE = re.compile(r"[^，。！？、,!?;；\n]*[，。！？、,!?;；\n]*")


def check_language(language: str) -> None:
    """Raise InputError, which names the language, unless there is a front end for it."""
    if language not in LANGUAGES:
        raise InputError(
            f"language {language!r} has no front end; there are "
            + ", ".join(f"{code} ({name})" for code, name in LANGUAGES.items()),
            remedy="set `language` to one of these",
        )


def han_language(clause: str, language: str, speaks: Collection[str]) -> str:
    """Language of the Chinese characters of a clause in a text of `language`."""
    if language in ("ja", "ko", "yue"):
        return language
    kana = "".join(re.findall(f"[{KANA}]", clause))
    if kana and "ja" in speaks and not _CHINESE.search(clause):
        han = "".join(re.findall(f"[{HAN}]", clause))
        if len(kana) * 2 >= len(han) and han.encode("cp932", "ignore").decode("cp932") == han:
            return "ja"
    return "yue" if "yue" in speaks and _CANTONESE.search(clause) else "zh"


def by_script(text: str, language: str, speaks: Collection[str], whole: str) -> list[tuple[str, str]]:
    """Pieces (language, text) of a text without Latin words, in order; joined they are `text`.

    language: that of the whole text, which digits and marks without letters beside them have. speaks: languages that
    Chinese characters may be taken for. whole: the text that this is a part of, where Cantonese characters may stand.
    """
    cantonese = bool(_CANTONESE.search(whole)) and "yue" in speaks and language in ("zh", "en")
    pieces: list[tuple[str, str]] = []
    for clause in _CLAUSE.findall(text):
        position = 0
        for run in _RUN.finditer(clause):
            if run.lastgroup == "kana":
                found = "ja"
            elif run.lastgroup == "hangul":
                found = "ko"
            else:
                found = han_language(clause, language, speaks)
                found = "yue" if cantonese and found == "zh" else found
            if pieces and pieces[-1][0] == found:
                pieces[-1] = (found, pieces[-1][1] + clause[position : run.end()])
            else:
                between = clause[position : run.start()]
                marks = re.match(r"[\s，。！？、,!?;；…]*", between)
                if pieces and marks and marks[0]:
                    pieces[-1] = (pieces[-1][0], pieces[-1][1] + marks[0])
                    between = between[marks.end() :]
                pieces.append((found, between + clause[run.start() : run.end()]))
            position = run.end()
        if rest := clause[position:]:
            if pieces:
                pieces[-1] = (pieces[-1][0], pieces[-1][1] + rest)
            else:
                pieces.append(("" if len(clause) == len(rest) else language, rest))
    return _settled(pieces, "zh" if language == "en" else language)


def _settled(pieces: list[tuple[str, str]], language: str) -> list[tuple[str, str]]:
    """Pieces of digits and marks alone take the language of what follows, or the text's."""
    result: list[tuple[str, str]] = []
    carried = ""
    for found, piece in pieces:
        if not found:
            carried += piece
        else:
            result.append((found, carried + piece))
            carried = ""
    return [*result, (language, carried)] if carried else result
