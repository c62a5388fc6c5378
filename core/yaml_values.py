"""Plain values of a YAML document, or what is wrong with it: the part of yaml_document.py that needs the parser."""

from __future__ import annotations

from typing import Any

import yaml

from timbre.core.problems import Problem


def read_values(text: str, where: str) -> tuple[Any, list[Problem]]:
    """What the document says, or None and its problems. where: name of the file for messages."""
    try:
        problems = _tricks(text, where)
        return (None, problems) if problems else (yaml.safe_load(text), [])
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        place = f"line {mark.line + 1}: " if mark is not None else ""
        return None, [Problem(where, f"{place}{reason}", "valid YAML", "correct that line")]


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
