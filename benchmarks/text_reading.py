"""How much of a list of texts the front end reads as a person would, by kind.

    python -m benchmarks.text_reading [FILE ...] [--wrong] [--speed]

Each FILE has lines `text => what a person says`, where `{this|that}` and ` | ` divide readings that are all right; its
name says the language (en*, zh*). Without FILE the lists of tests/text/readings are read. Exit status 1 if a list is
below its limit: 97 % (homographs 24 of 27, polyphones 114 of 120).
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from timbre.core.errors import InputError
from timbre.text.frontend import phonemize
from timbre.text.mandarin_pinyin import syllable

LISTS = Path(__file__).parents[1] / "tests" / "text" / "readings"
LIMITS = {"en-homographs": 24 / 27, "zh-polyphones": 114 / 120}
SPEED_LIMIT = 20_000


@dataclass(frozen=True)
class Case:
    """One line of a list. wanted: readings that are all right; /.../ in it are phones or pinyin."""

    kind: str
    text: str
    wanted: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What was said for a case."""

    case: Case
    said: str
    phones: tuple[str, ...]
    right: bool


def cases(path: Path) -> list[Case]:
    """Lines of a list; `[kind]` begins a kind, `\\n` in a text is a line break."""
    found: list[Case] = []
    kind = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.fullmatch(r"\[[^\]]+\]", line):
            kind = line.strip("[]")
        elif kind and " =>" in line:
            text, _, wanted = line.partition(" =>")
            readings = tuple(one for part in wanted.split(" | ") for one in alternatives(part.strip()))
            found.append(Case(kind, text.replace("\\n", "\n"), readings))
    return found


def alternatives(wanted: str) -> tuple[str, ...]:
    """All readings of a line with `{this|that}` in it: '{a|}b{c|d}' -> abc, abd, bc, bd."""
    parts = [part.split("|") if place % 2 else [part] for place, part in enumerate(re.split(r"[{}]", wanted))]
    return tuple("".join(chosen) for chosen in product(*parts))


def words(spoken: str) -> str:
    """What of a spoken form counts: words, single Chinese characters and stops; no case, commas, hyphens, last stop."""
    spoken = re.sub(r"([\u4e00-\u9fff])", r" \1 ", spoken.lower().replace("-", " "))
    return " ".join(re.findall(r"[\w']+|[.?!]", spoken)).rstrip(" .")


def _has(phones: tuple[str, ...], wanted: str, language: str) -> bool:
    """True if the phones hold the wanted ones one after another; a third tone may have become a second."""
    parts = wanted.strip("/").split()
    if language == "zh":
        found = (syllable(part) for part in parts)
        parts = [phone for part, one in zip(parts, found, strict=True) for phone in (one.phones if one else (part,))]
        alternatives = [{part, part[:-1] + "2"} if part.endswith("3") else {part} for part in parts]
    else:
        alternatives = [{part} for part in parts]
    size = len(parts)
    return any(
        all(phones[start + index] in alternatives[index] for index in range(size))
        for start in range(len(phones) - size + 1)
    )


def _phones(wanted: str) -> tuple[str, ...]:
    try:
        return phonemize(wanted, "en").phones
    except InputError:
        return ()


def _sound(phones: tuple[str, ...]) -> tuple[str, ...]:
    """Phones without commas and the last stop: FBI sounds like F B I."""
    kept = [phone for phone in phones if phone != ","]
    return tuple(kept[:-1] if kept[-1:] == ["."] else kept)


def judge(case: Case, language: str) -> Outcome:
    """Reads a case and compares."""
    try:
        found = phonemize(case.text, language)
        said, phones = found.normalized, found.phones
        if language == "zh":
            said = "".join(f" {s.normalized} " if s.language == "en" else s.normalized for s in found.segments)
    except InputError:
        said, phones = "", ()
    right = any(
        _has(phones, wanted, language)
        if wanted.startswith("/")
        else words(said) == words(wanted) or (language == "en" and _sound(phones) == _sound(_phones(wanted)))
        for wanted in case.wanted
    )
    return Outcome(case, said, phones, right)


def outcomes(path: Path) -> list[Outcome]:
    """All cases of a list."""
    return [judge(case, path.stem[:2]) for case in cases(path)]


def _read(texts: Sequence[str], language: str) -> float:
    """Seconds of processor time that the front end takes for all of them."""
    start = time.process_time()
    for text in texts:
        with suppress(InputError):
            phonemize(text, language)
    return time.process_time() - start


def speed(language: str, passes: int = 5) -> float:
    """Characters a second of processor time of a warm front end: the best of `passes`, each over new pairs of texts.

    Processor time and the best pass, because other work on the machine slows a pass down and never speeds one up. Warm
    is a front end that has read the sets: rules are compiled then, and most words of the texts are still new to it.
    """
    _read([case.text for case in cases(LISTS / f"{language}-sets.txt")], language)
    texts = [case.text for case in cases(LISTS / f"{language}.txt")]
    rates = []
    for apart in range(7, 7 + passes):
        pairs = [*texts, *(f"{a} {b}" for a, b in zip(texts, texts[apart:], strict=False))]
        rates.append(sum(map(len, pairs)) / _read(pairs, language))
    return max(rates)


def main() -> int:
    """Print right of all for each kind of each list; 1 if a list is below its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--wrong", action="store_true", help="print every text that is read wrong")
    parser.add_argument("--speed", action="store_true", help="measure characters a second too")
    arguments = parser.parse_args()
    enough = True
    for path in arguments.files or sorted(LISTS.glob("*.txt")):
        results = outcomes(path)
        right = sum(result.right for result in results)
        limit = LIMITS.get(path.stem, 0.97)
        enough = enough and right / len(results) >= limit
        print(f"{path.stem:15s} {right:4d} of {len(results):4d} = {100 * right / len(results):5.1f} %")
        for kind in dict.fromkeys(result.case.kind for result in results):
            of_kind = [result.right for result in results if result.case.kind == kind]
            print(f"    {kind:36s} {sum(of_kind):4d} of {len(of_kind):4d}")
        for result in results:
            if arguments.wrong and not result.right:
                said = " ".join(result.phones) if result.case.wanted[0].startswith("/") else result.said
                print(f"  {result.case.text!r}\n    said   {said}\n    wanted {' | '.join(result.case.wanted)}")
    if arguments.speed:
        for language in ("en", "zh"):
            rate = speed(language)
            enough = enough and rate >= SPEED_LIMIT
            print(f"speed {language}: {rate:,.0f} characters a second of processor time (limit {SPEED_LIMIT:,})")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
