"""Messages for people: those that docs/troubleshooting.md quotes exist, and what they tell people to run exists too."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from timbre.cli.main import COMMANDS, timbre

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "troubleshooting.md"
ROOMS = (
    *("core", "audio", "text", "gptsovits", "training", "nano", "inference", "evaluation", "registry", "pipeline"),
    *("serving", "cli"),
)
GAP = "…"


def templates(source: str) -> Iterator[str]:
    """Every string of a module, with a gap for each value that is filled in; joined strings count as one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
            yield "".join(str(part) for part in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def known() -> frozenset[str]:
    paths = (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return frozenset(text for path in paths for text in templates(path.read_text(encoding="utf-8")))


def quoted(page: str) -> list[str]:
    """Messages of a page: what stands in code spans of the first column of its tables, without plain words of code."""
    cells = re.findall(r"^\| (.*?) \| ", page, re.M)
    spans = [span for cell in cells for span in re.findall(r"`((?:[^`]|`\w+/`)+)`", cell)]
    return [span for span in spans if " " in span and not span.startswith(("timbre ", "--"))]


def occurs(message: str, texts: frozenset[str]) -> bool:
    """Whether one string holds all parts of the message in order."""
    parts = [part.strip() for part in message.split(GAP) if part.strip(" :")]
    pattern = re.compile(".*?".join(map(re.escape, parts)), re.S)
    return any(pattern.search(text) for text in texts)


def unknown_commands(texts: frozenset[str]) -> list[str]:
    """Commands after `: timbre` (run: timbre x y) that do not exist."""
    wrong = []
    for text in texts:
        for name, following in re.findall(r": timbre ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", text):
            command = timbre.get_command(click.Context(timbre), name) if name in COMMANDS else None
            if command is None:
                wrong.append(name)
            elif isinstance(command, click.Group) and following and following not in command.commands:
                wrong.append(f"{name} {following}")
    return sorted(set(wrong))


def unknown_extras(texts: frozenset[str]) -> list[str]:
    """Extras after timbre[ or .[ that pyproject.toml does not have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {
        name.strip()
        for text in texts
        for found in re.findall(r"(?:timbre|'\.)\[([a-z, -]+)\]", text)
        for name in found.split(",")
    }
    return sorted(named - set(project["optional-dependencies"]))


def test_the_checks_can_fail() -> None:
    source = 'x = f"registry {a}: cannot " f"{b} it"; y = "run: timbre bake cake"; z = "timbre[jam]"'
    texts = frozenset(templates(source))
    assert occurs("registry … cannot … it", texts)
    assert not occurs("cannot … registry", texts)
    assert unknown_commands(texts | {"run: timbre base brew"}) == ["bake", "base brew"]
    assert unknown_extras(texts) == ["jam"]
    assert quoted("| `a b …` and `c d` | cause | do |\n| `word` | x | y |") == ["a b …", "c d"]


@pytest.mark.parametrize("message", quoted(PAGE.read_text(encoding="utf-8")))
def test_messages_of_the_page_exist(message: str) -> None:
    foreign = {"Read-only file system", "No space left on device"}
    assert message in foreign or occurs(re.sub(": No space left on device", "", message), known())


def test_the_page_quotes_enough_to_be_of_use() -> None:
    assert len(quoted(PAGE.read_text(encoding="utf-8"))) > 40


def test_remedies_name_commands_and_extras_that_exist() -> None:
    assert unknown_commands(known()) == []
    assert unknown_extras(known()) == []
