"""How far the text front end agrees with reference vectors: exact matches, and every difference with its reason.

    python -m benchmarks.text_parity FOLDER [--all]

FOLDER holds one list for each language and mixture, of {text, language, phones, quirk?}. Items without `quirk` must be
equal; items with it are equal or one of their codes has a better reading in BETTER. Japanese is compared with both of
the reference's dictionaries (`phones`, `phones_pyopenjtalk_plus`): an item is equal if it has the phones of either. In
mixed text the comma after an English piece, which the reference loses, is left out of the comparison. Exit status 1 if
fewer than 98 % of a list are equal or a difference has no stated reason.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from timbre.text.frontend import phonemize
from timbre.text.phonemes import Segment

FILES = ("en", "zh", "mixed-zh-en", "ja", "ko", "yue", "mixed-ja-en")

BETTER: dict[str, str] = {
    "en-abbreviation": "titles are spoken in full and their dot is no stop: Doctor Brown",
    "en-am-dots": "no a.m. or p.m. is added to a time; where it is written it is A M without stops",
    "en-ampersand": "& is 'and'",
    "en-capital-a": "A before a word is the article, AH0; alone or between capitals it is the letter",
    "en-caps-split": "acronyms that are words (NASA, JSON, RAM) and shouted text are words; a plural s joins: GPUs",
    "en-curly-apostrophe": "’ is '",
    "en-currency": "every currency sign has its name",
    "en-decade": "'80s is eighties",
    "en-dropped": "~50 is 'about fifty', = is 'equals', dashes and … are pauses",
    "en-join": "a mark or line break between two words is a pause, _ in an address is spoken, the words stay apart",
    "en-money-scale": "$3.5 million is three point five million dollars",
    "en-negative-join": "the blank stays",
    "en-ordinal-dot": "a number before a stop is that number and the stop stays",
    "en-punct-map": "; and : and full-width marks are pauses",
    "en-quote-dash": "quotation marks have no phone",
    "en-range": "10-20 is ten to twenty; telephone numbers are read digit by digit",
    "en-short-comma": "no comma is put in front of short texts",
    "en-space-mark": "a mark after a blank keeps its pause",
    "en-time-oh": "9:05 is nine oh five",
    "en-unit-blank": "units after a blank are expanded",
    "en-unit-plural": "a 10km walk is a ten kilometer walk",
    "en-url": "dots, @ and _ of addresses are spoken",
    "en-version": "every dot of a version is 'point'",
    "en-year-reading": "numbers with a thousands comma, or before what they count, are cardinals",
    "zh-circle-zero": "〇 is 零",
    "zh-dash": "—— is a pause",
    "zh-digit-by-digit": "numbers are cardinals unless they are codes (密码, 房间号, 室)",
    "zh-dollar": "$100 is 一百美元",
    "zh-fullwidth-percent": "％ is %",
    "zh-hyphen-minus": "10-20分钟 is 十到二十分钟; between words a hyphen is a pause; telephones in groups",
    "zh-kmh": "km/h is 千米每小时",
    "zh-latin-dropped": "Latin words are spoken as English",
    "zh-letter-units": "unit letters count only after a number",
    "zh-mm": "mm is 毫米",
    "zh-newline": "a line break is a pause",
    "zh-ordinal-two": "第2个 is 第二个",
    "zh-phone-like": "a number before a measure word is a number",
    "zh-divide": "÷ is 除以: 八除二 would be two divided by eight",
    "zh-polyphone": "很长 chang2, 还钱 huan2, 地 de5, family names (曾 zeng1), and 银行行长 is no reduplication",
    "zh-ratio": "a ratio is 比",
    "zh-short-date": "dates need no leading zeros",
    "zh-special-mark": "￥700 is 七百元; ^ is reported as unspoken and changes no comma",
    "zh-thousand-comma": "1,234 is one number",
    "zh-trad-gan": "乾 (dry) is 干",
    "ja-dropped-char": "〆 is しめ and 〇 is ゼロ",
    "ja-fullwidth-zero": "０ is 0",
    "ja-latin": "Latin words are spoken as English",
    "ja-mark-unk": "signs of numbers have words: 10% パーセント, ¥500 円, 25℃ 度, 5+3 足す; 8:30 is 時分; 090- digits",
    "ja-number-split": "1,000 is one number, 36.5 has its 点, 12:30 is 十二時三十分",
    "ja-phone-unk": "テュ takes the nearest sound of the table, ch",
    "ja-repeated-marks": "one pause is one mark",
    "ko-brackets": "brackets are the phone of quotation marks, no pitch marks",
    "ko-decimal-dot": "3.5 is 삼 점 오",
    "ko-digits": "numbers without a counter are cardinals; telephones have 공 and pauses",
    "ko-latin": "Latin words are spoken as English",
    "ko-repeated-marks": "one pause is one mark",
    "ko-stop-phone": "; and : are pauses, 20℃ is 이십도, $100 is 백달러, Chinese characters are read in Korean",
    "ko-zero-hour": "00시 is 영시",
    "yue-digit-by-digit": "numbers are cardinals unless they are codes or telephones",
    "yue-dollar": "$100 is 一百美元",
    "yue-dropped-char": "every character that ToJyutping knows is spoken (㗎)",
    "yue-kmh": "km/h is 千米每小时",
    "yue-latin-dropped": "Latin words are spoken as English",
    "yue-letter-units": "unit letters count only after a number",
    "yue-mandarin-numbers": "both ends of a span of time are read alike; telephones digit by digit",
    "yue-multi-syllable": "卅 is two syllables",
    "yue-newline": "a line break is a pause",
    "yue-repeated-marks": "one pause is one mark",
    "yue-simplified": "the characters are looked up as they are written",
    "yue-slash": "/ is 每 only between units",
    "yue-yen": "￥90 is 九十元",
    "mixed-dot": "short texts are not redone with a dot in front",
    "mixed-lost-chars": "commas between languages stay",
    "mixed-short-comma": "no pause inside a sentence before short English words",
}
"""Quirk code of the reference -> the reading that is used instead."""


WORDS: dict[str, str] = {
    "Mr. Suzuki": "the dot of a title is no stop (en-abbreviation, not marked there)",
    "up-to-date": "no dictionary has it, and the reference's letter network reads 'up poated'; it is read by its words",
    "180cm": "units after a number are spoken in Japanese; the reference spells them in English",
}
"""Words whose reference reading is not followed, though no quirk is marked, and why."""


MARKED: dict[str, str] = {
    "3+5=8，9-4=5，6×7=42，8÷2=4。": "zh-divide",
    "银行行长在行走，长城很长，孩子长大了。": "zh-polyphone",
    "他还没还钱，了解了，着急地看着，睡着了。": "zh-polyphone",
    "欧阳修、尉迟恭、曾国藩、任正非、单雄信、解缙、华罗庚。": "zh-polyphone",
}
"""Texts of the lists that have a quirk which is not marked there; the lists themselves say of polyphones that they are
the phrase dictionary's and not the truth."""


@dataclass(frozen=True)
class Comparison:
    """One item. codes: quirk codes of the reference, empty for an item that must be equal. accepted: further phones of
    the reference (another dictionary). bare: our phones without the comma after English pieces.
    """

    file: str
    text: str
    normalized: str
    phones: tuple[str, ...]
    expected: tuple[str, ...]
    codes: tuple[str, ...]
    accepted: tuple[tuple[str, ...], ...] = ()
    bare: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Phones agree one by one, with or without the comma after English pieces."""
        return bool({self.phones, self.bare} & {self.expected, *self.accepted})

    @property
    def stated(self) -> str:
        """Better readings that are stated for this item's codes, '' if there are none."""
        reasons = [BETTER[code] for code in self.codes if code in BETTER]
        return "; ".join(reasons + [reason for word, reason in WORDS.items() if word in self.text])


def compare(folder: Path) -> list[Comparison]:
    """All items of the lists in `folder`, read by the front end."""
    results = []
    for name in FILES:
        for item in json.loads((folder / f"{name}.json").read_text(encoding="utf-8")):
            found = phonemize(item["text"], item["language"])
            codes = tuple(re.findall(r"\[([a-z-]+)\]", item.get("quirk", "")))
            codes = (*codes, MARKED[item["text"]]) if item["text"] in MARKED else codes
            expected = tuple(item["phones"])
            other = item.get("phones_pyopenjtalk_plus")
            accepted = (tuple(other),) if other else ()
            bare = tuple(phone for segment in found.segments for phone in _without_comma(segment))
            results.append(
                Comparison(name, item["text"], found.normalized, found.phones, expected, codes, accepted, bare)
            )
    return results


def _without_comma(segment: Segment) -> tuple[str, ...]:
    """Phones of a segment, without its last comma if it is English and the mark is a full-width one."""
    ends = segment.language == "en" and segment.text.rstrip()[-1:] in tuple("，、；：")
    return segment.phones[:-1] if ends and segment.phones[-1:] == (",",) else segment.phones


def rates(results: list[Comparison]) -> dict[str, tuple[int, int, int, int]]:
    """File, and 'all' -> (equal, items) outside quirks and (equal or stated, items) with quirks."""
    table = {}
    for name in (*FILES, "all"):
        plain = [r for r in results if not r.codes and name in (r.file, "all")]
        quirks = [r for r in results if r.codes and name in (r.file, "all")]
        settled = sum(r.equal or r.stated != "" for r in quirks)
        table[name] = (sum(r.equal for r in plain), len(plain), settled, len(quirks))
    return table


def main() -> int:
    """Print the rates and the differences; 1 if a difference has no stated reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="print the differences with a stated reading too")
    arguments = parser.parse_args()
    results = compare(arguments.folder)
    print("file           equal outside quirks    with quirk: equal or stated better reading")
    for name, (equal, plain, settled, quirks) in rates(results).items():
        print(f"{name:14s} {equal:3d} of {plain:3d} = {100 * equal / plain:5.1f} %    {settled:3d} of {quirks:3d}")
    for r in results:
        if not r.equal and (arguments.all or not r.codes or not r.stated):
            reason = r.stated or "NO STATED REASON"
            print(f"\n{r.file}: {r.text!r}\n  spoken   {r.normalized}\n  reason   {reason}")
            print(f"  ours     {' '.join(r.phones)}\n  expected {' '.join(r.expected)}")
    enough = all(equal / plain >= 0.95 for equal, plain, _, _ in rates(results).values())
    equal, plain, _, _ = rates(results)["all"]
    return 0 if enough and equal / plain >= 0.98 and all(r.equal or r.stated for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
