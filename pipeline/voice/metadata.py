"""metadata.csv: which recording says what.

bytes -> lines `file|text` or `file|text|language` -> Row and every problem found
"""

from __future__ import annotations

from dataclasses import dataclass

from timbre.core.languages import LANGUAGES
from timbre.core.near_names import nearest
from timbre.core.problems import Problem
from timbre.pipeline.voice.folder_paths import path_problem
from timbre.text.scripts import normalised, unprintable, wrong_script

FILE = "metadata.csv"
HEADERS = (("file", "text"), ("file", "text", "language"))
MAX_BYTES = 64 * 1024 * 1024
_MAX_TEXT = 500_000
# What Chinese keyboards write for `|`.
_WIDE_BAR = "｜"
_MAX_LISTED = 25


@dataclass(frozen=True)
class Row:
    """One recording, as its line names it."""

    file: str
    """Relative to the folder, with `/`."""
    text: str
    """As spoken, in normalised Unicode."""
    language: str
    """The row's own or the voice's; empty where neither is usable."""
    line: int
    """Line of metadata.csv, from 1."""


@dataclass(frozen=True)
class Metadata:
    """metadata.csv as read."""

    rows: tuple[Row, ...]
    """The usable ones."""
    named: frozenset[str] | None
    """Every file that a row names, None when that is not known."""
    problems: tuple[Problem, ...]
    """All found."""


def read_metadata(data: bytes, language: str, max_rows: int) -> Metadata:
    """The usable rows of metadata.csv and everything that is wrong with it.

    language: that of rows without one; empty when voice.yaml names none, then scripts are not checked.
    Fields are split at `|` and not quoted: a text may hold quotation marks and commas, but no `|`.
    """
    if len(data) > MAX_BYTES:
        limit = f"at most {MAX_BYTES}"
        return _unusable(Problem(FILE, f"{len(data)} bytes", limit, "one row for each recording, nothing else"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = data.count(b"\n", 0, error.start) + 1
        problem = Problem(f"{FILE}, line {at}", "not UTF-8", "UTF-8 text", "save the file as UTF-8 (not ANSI or GBK)")
        return _unusable(problem)
    if "\x00" in text:
        return _unusable(Problem(FILE, "NUL bytes", "UTF-8 text", "save the file as UTF-8 (not UTF-16)"))
    # Only line ends that editors write; str.splitlines would also split at U+2028 or form feeds inside a text.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    header = tuple(part.strip().lower() for part in lines[0].split("|"))
    if header not in HEADERS:
        remedy = "make the first line `file|text`, with `|` between the columns of every row too"
        if _WIDE_BAR in lines[0]:
            remedy += f" (not the full-width `{_WIDE_BAR}`)"
        if any(mark in lines[0] for mark in (",", ";", "\t")) or lines[0].count("|") == 3 or ("|" in lines[0]):
            remedy += "; or bring the list in as it is with: timbre voices import LIST NAME"
        limit = "`file|text` or `file|text|language`"
        return _unusable(Problem(f"{FILE}, line 1", repr(lines[0][:80]), limit, remedy))
    count = sum(1 for line in lines[1:] if line.strip())
    if count > max_rows:
        remedy = "keep the best one to five minutes"
        return _unusable(Problem(FILE, f"{count} rows", f"at most {max_rows}", remedy))
    if count == 0:
        remedy = "add lines such as `wavs/0001.wav|What is said.`"
        return Metadata((), frozenset(), (Problem(FILE, "no row", "one row for each recording", remedy),))
    rows: list[Row] = []
    problems: list[Problem] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            row, found = _row(line, number, len(header), language, first_line)
            problems += found
            if row is not None:
                rows.append(row)
    bars = (line.replace(_WIDE_BAR, "|", 1) if "|" not in line else line for line in lines[1:] if line.strip())
    named = frozenset(line.split("|")[0].strip().removeprefix("./") for line in bars)
    return Metadata(tuple(rows), named, tuple(shortened(problems)))


def _unusable(problem: Problem) -> Metadata:
    return Metadata((), None, (problem,))


def shortened(problems: list[Problem], most: int = _MAX_LISTED) -> list[Problem]:
    """At most `most` problems; a last one counts those left out."""
    if len(problems) <= most:
        return problems
    rest = len(problems) - most
    return [*problems[:most], Problem(FILE, f"{rest} more problems of this kind", "none", "fix those above first")]


def _row(
    line: str, number: int, columns: int, language: str, first_line: dict[str, int]
) -> tuple[Row | None, list[Problem]]:
    where = f"{FILE}, line {number}"
    parts = line.split("|")
    third = parts[2].strip() if len(parts) == 3 else ""
    # The third column is optional, in the first line too, as long as it can be nothing but a language.
    if len(parts) not in (2, columns) and not (len(parts) == 3 and (not third or third in LANGUAGES)):
        remedy = "separate columns with exactly one `|`; texts cannot contain `|`"
        if len(parts) == 4:
            remedy = "a list of another program? bring it in with: timbre voices import LIST NAME"
        if len(parts) == 1 and _WIDE_BAR in line:
            remedy = f"write `|` instead of the full-width `{_WIDE_BAR}` between the columns"
        elif len(parts) == 1 and line.lstrip().startswith("#"):
            remedy = "delete the line: the list has no comments"
        value = f"{len(parts)} column" + ("s" if len(parts) > 1 else "")
        return None, [Problem(where, value, f"{columns}, as in the first line", remedy)]
    file, text = parts[0].strip().removeprefix("./"), normalised(parts[1])
    problems = []
    if problem := path_problem(where, file):
        return None, [problem]
    # Names that differ in case only are one file on many machines.
    if (earlier := first_line.setdefault(file.casefold(), number)) != number:
        problems.append(Problem(where, f"{file!r} again, first in line {earlier}", "each file once", "delete one row"))
    own = third or language
    if own and own not in LANGUAGES:
        guess = nearest(own.split("-")[0].lower(), LANGUAGES)
        remedy = f"did you mean `{guess}`?" if guess else "leave the column empty for the voice's own language"
        problems.append(Problem(where, f"language {own!r}", "one of " + ", ".join(LANGUAGES), remedy))
        own = ""
    problems += _text_problems(where, file, text, own)
    return (None if problems else Row(file, text, own, number)), problems


def _text_problems(where: str, file: str, text: str, language: str) -> list[Problem]:
    if not text:
        limit = "what is said in the recording"
        return [Problem(where, f"no text for {file!r}", limit, "write what is spoken")]
    if len(text) > _MAX_TEXT:
        remedy = "split the recording into sentences"
        return [Problem(where, f"text of {len(text)} characters", f"at most {_MAX_TEXT}", remedy)]
    if hidden := unprintable(text):
        return [Problem(where, f"invisible character {hidden}", "visible text", "delete it and type the text again")]
    if language and (wrong := wrong_script(text, language)):
        remedy = "correct the text, or give the row its own language in a third column"
        return [Problem(where, f"{text[:40]!r}: {wrong}", f"text in {language}", remedy)]
    return []
