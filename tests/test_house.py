"""One home for each concept: what a module must not do for itself, because another does it for all."""

from __future__ import annotations

import ast
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
    "yaml.safe_load": ("core/yaml_document.py", "cli/sample_run.py"),
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
