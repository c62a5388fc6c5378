"""YAML as settings files need it: a mapping of plain values, without tags (code), aliases (bombs) or keys given twice.

bytes -> size, UTF-8 and nesting -> no tags, no aliases, no double keys -> plain values, or every problem found

One reader for voice.yaml, recipes, base.yaml, weights.yaml, gates.yaml and the server's settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from timbre.core.errors import ConfigurationError
from timbre.core.problems import Problem

MAX_BYTES = 64 * 1024
_MAX_LINE = 4000
_MAX_BRACKETS = 200


def read_mapping(path: Path, missing: str, empty: bool = False) -> tuple[dict[Any, Any] | None, list[Problem]]:
    """`parse_mapping` of a file. missing: the remedy where it does not exist or cannot be opened, which raises
    ConfigurationError.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})", missing) from error
    return parse_mapping(data, str(path), empty)


def parse_mapping(
    data: bytes, where: str, empty: bool = False, start: str = "write `key: value` lines"
) -> tuple[dict[Any, Any] | None, list[Problem]]:
    """The mapping in the bytes, or None and what is wrong. where: file name for messages; empty: a document without
    content is an empty mapping; start: the remedy for a document that is none.
    """
    if len(data) > MAX_BYTES:
        return None, [Problem(where, f"{len(data)} bytes", f"at most {MAX_BYTES}", "keep only the documented keys")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return None, [Problem(where, f"byte {error.start} is not UTF-8", "UTF-8 text", "save the file as UTF-8")]
    # The parser needs quadratic time for deep nesting, so this is asked before it reads.
    if text.count("[") + text.count("{") > _MAX_BRACKETS or max(map(len, text.split("\n"))) > _MAX_LINE:
        limit = f"at most {_MAX_BRACKETS} brackets, and {_MAX_LINE} characters a line"
        return None, [Problem(where, "deep nesting or a very long line", limit, "keep only the documented keys")]
    # Most servers start without a settings file, and the parser takes an eightieth of a start to import.
    from timbre.core.yaml_values import read_values

    values, problems = read_values(text, where)
    if problems:
        return None, problems
    if values is None and empty:
        return {}, []
    if not isinstance(values, dict):
        found = "nothing" if values is None else f"a {type(values).__name__}"
        return None, [Problem(where, found, "lines of `key: value`", start)]
    return values, []
