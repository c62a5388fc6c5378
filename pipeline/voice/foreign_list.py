"""Lists of recordings and texts as other programs write them.

bytes -> text (UTF-8, UTF-16, or the code page of the language) -> table -> rows with `file`, `text`, perhaps `language`

No row loses a part of its text or takes a speaker's name for it: what the other rows do not settle is refused.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from timbre.core.errors import InputError
from timbre.core.languages import LANGUAGES
from timbre.core.printable import printable

UPSTREAM_LANGUAGES = {"ZH": "zh", "EN": "en", "JA": "ja", "JP": "ja", "KO": "ko", "YUE": "yue"}
MAX_LIST_BYTES = 64 << 20
_HEADINGS = {
    "file": (
        "file", "filename", "file name", "file_name", "filepath", "file_path", "path", "audio", "audio_file",
        "audio_path", "audio_filepath", "wav", "wav_path", "wav_file", "clip", "id", "文件", "文件名", "音频",
    ),
    "text": (
        "text", "transcript", "transcription", "sentence", "utterance", "normalized", "normalised", "文本", "内容",
    ),
    "language": ("language", "lang", "语言"),
    "speaker": ("speaker", "spk", "speaker_id", "speaker_name", "说话人"),
}  # fmt: skip
_MARKS = "|\t;,"
_NAME_COLUMNS = "add a first line that names the columns, such as file|speaker|language|text"
# What Windows saves without asking, by the language of the voice; the first in which the list makes sense.
_CODE_PAGES = {
    "ja": ("cp932", "euc_jp"),
    "ko": ("cp949",),
    "yue": ("big5hkscs", "gb18030"),
    "": ("gb18030", "cp1252"),
}
_NAMED_LANGUAGE = re.compile(rb"\|(ja|jp|ko|yue)\|", re.IGNORECASE)
_HAN = re.compile("[\u3400-\u9fff]")
_BESIDE_HAN = re.compile("[\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]")
_HALF_WIDTH_KANA = re.compile("[\uff61-\uff9f]")


def read_list(data: bytes, language: str = "") -> list[dict[str, str]]:
    """Rows of a list as columns `file`, `text` and perhaps `language` and `speaker`, whatever program wrote it.

    language: of the voice, "" where nobody says. Knows UTF-8, UTF-16 and the code pages of Windows; `|`, tab, semicolon
    and comma; headings in any case, or none. Raises InputError, also where a row's text cannot be told from the rest.
    """
    text = decoded(data, language)
    lines = [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip()]
    if not lines:
        raise InputError("the list is empty", "name a list with one row for each recording")
    mark = max(_MARKS, key=lambda item: (_fields(lines[0], item) > 1, _MARKS.index(item) == 0, _fields(lines[0], item)))
    if _fields(lines[0], mark) < 2:
        message = f"{lines[0][:60]!r}: no `|`, tab, semicolon or comma between file and text"
        raise InputError(message, "export it as CSV, with the columns file and text")
    table = _table(lines, mark)
    head = [cell.strip().casefold() for cell in table[0]]
    columns = {key: next((head.index(word) for word in words if word in head), -1) for key, words in _HEADINGS.items()}
    if columns["file"] >= 0 and columns["text"] >= 0:
        return [_cells(_folded(row, len(head), columns["text"], mark), columns) for row in table[1:]]
    return _without_headings(table, mark)


def decoded(data: bytes, language: str = "") -> str:
    """The text of a list or name of a file in UTF-8, UTF-16 or the code page of that language. Raises InputError."""
    if len(data) > MAX_LIST_BYTES:
        raise InputError(f"a list of {len(data)} bytes, expected at most {MAX_LIST_BYTES}", "name the list itself")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if data[1:2] == b"\0" or data[:1] == b"\0":
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", errors="replace")
    if not language and (named := _NAMED_LANGUAGE.search(data)):
        language = UPSTREAM_LANGUAGES[named[1].decode().upper()]
    for encoding in ("utf-8-sig", *_CODE_PAGES.get(language, _CODE_PAGES[""])):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8-sig" or _makes_sense(text):
            return text
    raise InputError("the list is in no encoding that Timbre knows", "save it as UTF-8")


def _makes_sense(text: str) -> bool:
    """Chinese characters stand together. One by one among other letters they are the accents and quotation marks of
    another code page, as half-width kana are the bytes of one.
    """
    if len(_HALF_WIDTH_KANA.findall(text)) > len(text) // 10:
        return False
    places = [found.start() for found in _HAN.finditer(text)]
    alone = sum(
        not _BESIDE_HAN.match(text[at - 1 : at]) and not _BESIDE_HAN.match(text[at + 1 : at + 2]) for at in places
    )
    return 2 * alone <= len(places)


def _table(lines: Sequence[str], mark: str) -> list[list[str]]:
    if mark == "|":
        return [line.split("|") for line in lines]
    table = [row for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=mark) if any(row)]
    if any("\n" in cell for row in table for cell in row):
        # A quotation mark that is never closed swallows rows.
        bare = [row for row in csv.reader(lines, delimiter=mark, quoting=csv.QUOTE_NONE) if any(row)]
        if min(map(len, bare)) > 1:
            return bare
    return table


def _folded(row: Sequence[str], columns: int, text: int, mark: str) -> list[str]:
    """A row with as many cells as columns: what a mark within the text cut off belongs to it, if it comes last."""
    if len(row) <= columns:
        return list(row)
    if text != columns - 1:
        if not any(cell.strip() for cell in row[columns:]):
            return list(row[:columns])
        shown = printable(mark.join(row))[:80]
        message = f"{shown!r}: {len(row)} columns, expected {columns} as in the first line"
        raise InputError(message, "put texts in quotation marks, or move the column of texts to the end")
    return [*row[:text], mark.join(row[text:])]


def _without_headings(table: Sequence[Sequence[str]], mark: str) -> list[dict[str, str]]:
    """`path|speaker|language|text` (GPT-SoVITS), `id|text|normalised text` (LJSpeech), `path|speaker|text` (VITS),
    `path|text|speaker`, `path|text|language`, `path|text`.
    """
    if mark in ";," and len({len(row) for row in table}) > 1:
        # Marks within texts, not columns.
        return [_cells(_folded(row, 2, 1, mark), {"file": 0, "text": 1}) for row in table]
    three = [row for row in table if len(row) == 3]
    labels = {at for at in (1, 2) if _is_label([row[at].strip() for row in three])}
    return [_cells(*_usual(row, labels, mark)) for row in table]


def _is_label(cells: Sequence[str]) -> bool:
    """Few values again and again, or numbers: speakers."""
    return bool(cells) and (all(cell.isdigit() for cell in cells) or 2 * len(set(cells)) <= len(cells))


def _usual(row: Sequence[str], labels: set[int], mark: str) -> tuple[Sequence[str], dict[str, int]]:
    if len(row) >= 4:
        if row[2].strip().upper() in (*UPSTREAM_LANGUAGES, ""):
            return _folded(row, 4, 3, mark), {"file": 0, "speaker": 1, "language": 2, "text": 3}
        shown = printable(mark.join(row))[:80]
        raise InputError(f"{shown!r}: which of {len(row)} columns is the text?", _NAME_COLUMNS)
    if len(row) < 3:
        return row, {"file": 0, "text": 1}
    if row[2].strip().lower() in LANGUAGES:
        return row, {"file": 0, "text": 1, "language": 2}
    if len(labels) == 1:
        return row, {"file": 0, "text": 3 - min(labels), "speaker": min(labels)}
    if mark in ";," and row[2].strip():
        raise InputError(f"{printable(mark.join(row))[:80]!r}: which of 3 columns is the text?", _NAME_COLUMNS)
    # LJSpeech's last column has numbers and abbreviations written out, as they are spoken.
    return row, {"file": 0, "text": 2 if row[2].strip() else 1}


def _cells(row: Sequence[str], columns: dict[str, int]) -> dict[str, str]:
    return {key: row[at].strip() if 0 <= at < len(row) else "" for key, at in columns.items()}


def _fields(line: str, mark: str) -> int:
    return len(next(csv.reader([line], delimiter=mark), [])) if mark != "|" else line.count("|") + 1
