"""An import inside a function loads something heavy or optional, or it stands at the top of the module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.test_house import ROOMS

ROOT = Path(__file__).resolve().parents[1]
LIGHT = {*sys.stdlib_module_names, "click", "filelock", "yaml"}
"""What any module may load when it is imported; everything else is heavy, or comes with an optional extra."""
START = "cli/main.py"
"""`timbre --help` loads this module and as little else as possible."""


def named(node: ast.stmt) -> Iterator[str]:
    """Modules that an import statement loads; `from a import b` may load a.b."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield str(node.module)
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_top(body: list[ast.stmt]) -> Iterator[str]:
    """Modules that a module loads when it is imported: not inside functions, nor for type checkers alone."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from at_top([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from at_top([*node.body, *node.orelse, *node.finalbody])
        else:
            yield from named(node)


def file_of(module: str) -> Path | None:
    """timbre.a.b -> a/b.py or a/b/__init__.py; None for a name within a module, and for other packages."""
    path = ROOT.joinpath(*module.split(".")[1:])
    places = (path.with_suffix(".py"), path / "__init__.py")
    return next((place for place in places if module.startswith("timbre.") and place.is_file()), None)


@cache
def loads(path: Path) -> frozenset[str]:
    return frozenset(at_top(ast.parse(path.read_text("utf-8")).body))


def reached(module: str) -> tuple[set[str], set[Path]]:
    """Other packages, and modules of Timbre, that importing a module loads by itself and through others."""
    packages, seen, left = set(), set(), [module]
    while left:
        name = left.pop()
        if not name.startswith("timbre."):
            packages.add(name.split(".")[0])
        elif (path := file_of(name)) is not None and path not in seen:
            seen.add(path)
            left += [*loads(path), *(name.rsplit(".", count)[0] for count in range(1, name.count(".")))]
    return packages - {"timbre"}, seen


def inside_functions(source: str) -> Iterator[tuple[int, list[str]]]:
    """Line and modules of every import inside a function."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield node.lineno, list(named(node))


def light(modules: list[str]) -> bool:
    return all(reached(module)[0] <= LIGHT for module in modules)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_inside_functions_load_something_heavy(room: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}": modules[0]
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, modules in inside_functions(path.read_text("utf-8"))
        if str(path.relative_to(ROOT)) != START and light(modules)
    }
    assert found == {}, "import it at the top"


def test_the_check_can_fail() -> None:
    assert [modules for _, modules in inside_functions("def f():\n    import json\n")] == [["json"]]
    assert light(["json"])
    assert light(["timbre.core.errors", "timbre.core.errors.TimbreError"])
    assert not light(["timbre.gptsovits.files.checkpoints"])
    assert set(
        at_top(ast.parse("if TYPE_CHECKING:\n    import torch\ntry:\n    import av\nexcept E:\n    x\n").body)
    ) == {"av"}


def test_who_gives_a_command_is_known_without_audio() -> None:
    assert reached("timbre.pipeline.ci.actor")[0] <= LIGHT
