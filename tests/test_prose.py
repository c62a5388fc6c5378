"""Prose: phrases that stop a reader are rejected in strings, docstrings, comments, pages and recipes."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_APART = {".git", ".venv", ".typing", ".timbre", "build", "dist", "out", "site", "wheelhouse", "voices", "tests"}
# phrase -> what to write instead
BANNED = {
    r"whoever": "name the person: the caller, the operator",
    r"what (became|comes|came) of": "the result of",
    r"anew": "again",
    r"spoilt|spoiling": "degraded",
    r"nobody may": "must not",
    r"looks without improvement": "evaluations without improvement",
    r"with what each": "what each ... uses",
    r"least level": "minimum level",
    r"there is no way back": "cannot be undone",
    r"reports home": "phones home",
    r"learnt": "learned",
    r"lent for": "how a machine was obtained is not part of the product",
    r"DESIGN, section": "name a page of docs/",
    r"mission": "name a page of docs/",
}
CHINESE = {"基座": "底模", "关卡": "质量门", "界限": "限值", "撤销提交": "还原提交"}


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every string and comment of a module; names are not prose."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not node.value.isidentifier():
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _pattern(phrase: str) -> re.Pattern[str]:
    """The phrase as whole words, also across the end of a line (of a comment too)."""
    return re.compile(r"\b(?:" + phrase.replace(" ", r"[\s#]+") + r")\b", re.I)


def faults(text: str) -> list[str]:
    plain = re.sub(r"`[^`\n]*`", "", text)
    return [phrase for phrase in BANNED if _pattern(phrase).search(plain)] + [word for word in CHINESE if word in plain]


@cache
def sources(*suffixes: str) -> tuple[Path, ...]:
    rooms = [path for path in ROOT.iterdir() if path.name not in _APART]
    files = [path for room in rooms for path in (room.rglob("*") if room.is_dir() else [room])]
    return tuple(sorted(path for path in files if path.name.endswith(suffixes) and "__pycache__" not in path.parts))


def test_the_check_can_fail() -> None:
    module = "# Whoever reads\nx = 'made anew'\nanew = f'{x} is spoilt'\n"
    found = sorted(one for _, text in prose(module) for one in faults(text))
    assert found == [
        "anew",
        "spoilt|spoiling",
        "whoever",
    ]
    assert faults("what became\nof it, `anew`, 基座") == ["what (became|comes|came) of", "基座"]
    assert faults("renewal, permission, learned") == []


@pytest.mark.parametrize("room", sorted({path.relative_to(ROOT).parts[0] for path in sources(".py")}))
def test_code_is_plain(room: str) -> None:
    wrong = []
    for path in sources(".py"):
        if path.relative_to(ROOT).parts[0] == room:
            texts = prose(path.read_text(encoding="utf-8"))
            wrong += [f"{path.relative_to(ROOT)}:{line}: {found}" for line, text in texts for found in faults(text)]
    assert wrong == []


def test_pages_and_files_are_plain() -> None:
    wrong = []
    for path in sources(".md", ".yaml", ".yml", ".js", ".html", ".toml", "Makefile", "Dockerfile", "Jenkinsfile"):
        found = faults(path.read_text(encoding="utf-8"))
        wrong += [f"{path.relative_to(ROOT)}: {one}" for one in found]
    assert wrong == []
