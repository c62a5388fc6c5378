"""YAML as settings files need it: a mapping of plain values, without tags (code), aliases (bombs) or keys given twice.

bytes -> size, UTF-8 and nesting -> no tags, no aliases, no double keys -> plain values, or every problem found

One reader for voice.yaml, recipes, base.yaml, weights.yaml, gates.yaml and the server's settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

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
    try:
        problems = _tricks(text, where)
        if problems:
            return None, problems
        values = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        place = f"line {mark.line + 1}: " if mark is not None else ""
        return None, [Problem(where, f"{place}{reason}", "valid YAML", "correct that line")]
    if values is None and empty:
        return {}, []
    if not isinstance(values, dict):
        found = "nothing" if values is None else f"a {type(values).__name__}"
        return None, [Problem(where, found, "lines of `key: value`", start)]
    return values, []


def _tricks(text: str, where: str) -> list[Problem]:
    """YAML that a settings file has no use for: tags (code), aliases (bombs), keys given twice (hidden values)."""
    problems = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = where if event.start_mark is None else f"{where}, line {event.start_mark.line + 1}"
        tag = getattr(event, "tag", None)
        if tag is not None:
            problems.append(Problem(line, f"YAML tag {tag!r}", "no tags", "write the plain value"))
        if isinstance(event, yaml.AliasEvent):
            problems.append(Problem(line, f"YAML alias *{event.anchor}", "no aliases", "write the value out"))
    if not problems and (root := yaml.compose(text, Loader=yaml.SafeLoader)) is not None:
        problems += _double_keys(root, where)
    return problems


def _double_keys(node: yaml.Node, where: str) -> list[Problem]:
    found = []
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    place = f"{where}, line {key.start_mark.line + 1}"
                    found.append(Problem(place, f"key `{key.value}` twice", "every key once", "delete one of the two"))
                seen.add(key.value)
            found += _double_keys(value, where)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            found += _double_keys(item, where)
    return found
