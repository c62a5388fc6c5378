"""One home for each concept: what a module must not do for itself, because another does it for all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = (
    *("api", "audio", "cli", "core", "evaluation", "gptsovits", "inference", "nano", "pipeline", "registry"),
    *("serving", "studio", "text", "training"),
)

# Expression -> the only modules that may hold it.
HOMES: dict[str, tuple[str, ...]] = {
    "difflib.get_close_matches": ("core/near_names.py",),
    # sample_run.py rewrites a voice.yaml of its own.
    "yaml.safe_load": ("core/yaml_values.py", "cli/sample_run.py"),
    "os.environ": (
        "cli/main.py",
        "cli/invocation.py",
        # The library's front door, for programs without a command line, and the probe of a container.
        "api/pipeline.py",
        "api/voices.py",
        "serving/probe.py",
        # These do not read settings: libraries are told to send nothing, and git gets what this process has.
        "core/telemetry.py",
        "pipeline/ci/git.py",
    ),
    "os.getenv": (),
}


def modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def dataclasses_in(source: str) -> Iterator[ast.ClassDef]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(mark) for mark in node.decorator_list):
            yield node


def in_paragraph(source: str) -> list[str]:
    """CLASS.FIELD for fields that the docstring of their dataclass explains: `name: meaning` or `name [B, T]`."""
    found = []
    for node in dataclasses_in(source):
        text = ast.get_docstring(node) or ""
        for line in node.body:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                name = re.escape(line.target.id)
                if re.search(rf"(?<![\w.-])`*{name}`*(?:(?:,| and) `*\w+`*)*(?::(?=\s)| \[)", text):
                    found.append(f"{node.name}.{line.target.id}")
    return found


def without_docstring(source: str) -> list[str]:
    """CLASS.FIELD for public fields of public dataclasses with no docstring below; `setting(...)` has its own."""
    found = []
    for node in dataclasses_in(source):
        for line, following in zip(node.body, [*node.body[1:], None], strict=True):
            if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
                continue
            explained = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            explained |= isinstance(line.value, ast.Call) and ast.unparse(line.value.func) == "setting"
            if not explained and not node.name.startswith("_") and not line.target.id.startswith("_"):
                found.append(f"{node.name}.{line.target.id}")
    return found


def test_no_paragraph_explains_the_fields_of_a_dataclass() -> None:
    """A field is explained in a docstring below it, where a reader of the field finds it."""
    found = {str(path.relative_to(ROOT)): in_paragraph(path.read_text("utf-8")) for path in modules()}
    assert {path: fields for path, fields in found.items() if fields} == {}


def test_every_field_has_a_docstring() -> None:
    found = {str(path.relative_to(ROOT)): without_docstring(path.read_text("utf-8")) for path in modules()}
    assert {path: fields for path, fields in found.items() if fields} == {}


def test_the_checks_of_docstrings_can_fail() -> None:
    fields = '    b: int\n    c: int\n    d: int\n    """Two."""\n'
    source = f'@dataclass\nclass A:\n    """It. b: one; c, d: two."""\n{fields}'
    assert in_paragraph(source) == ["A.b", "A.c", "A.d"]
    assert in_paragraph(source.replace("It. b: one; c, d: two.", "It has b.")) == []
    assert without_docstring(source) == ["A.b", "A.c"]


def uses(source: str) -> set[str]:
    """Dotted names that a module reads, `from os import environ` as os.environ."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            found.add(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("expression", sorted(HOMES))
def test_one_home(expression: str) -> None:
    users = {str(path.relative_to(ROOT)) for path in modules() if expression in uses(path.read_text("utf-8"))}
    assert users == set(HOMES[expression])


def test_the_check_sees_every_way_of_reading() -> None:
    assert "os.environ" in uses("import os\nvalue = os.environ.get('A')")
    assert "os.environ" in uses("from os import environ\n")
    assert "os.getenv" in uses("def f():\n    import os\n    return os.getenv('A')")
    assert "os.environ" not in uses('"""Reads os.environ."""')
