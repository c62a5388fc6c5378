"""An import inside a function loads something heavy, optional or absent from a server, or it stands at the top of the
module.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.test_house import ROOMS
from timbre.core.extras import NOT_FOR_SERVERS

ROOT = Path(__file__).resolve().parents[1]
LIGHT = {*sys.stdlib_module_names, "click", "filelock"}
"""What any module may load when it is imported; everything else is heavy, or comes with an optional extra."""
ON_SERVERS = ("serve", "say", "registry", "status", "audit", "history", "keys", "policy", "sign", "prune")
"""Commands that those images run."""
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


def absent(modules: Iterable[Path]) -> list[str]:
    """Those of the modules that a server lacks."""
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules)
    return sorted(name for name in names if any(f"{name}.".startswith(f"{left}.") for left in NOT_FOR_SERVERS))


def light(modules: list[str]) -> bool:
    found = [reached(module) for module in modules]
    return all(packages <= LIGHT and not absent(seen) for packages, seen in found)


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
    assert not light(["timbre.studio.errors"]), "it loads nothing heavy, but a server lacks it"
    assert set(
        at_top(ast.parse("if TYPE_CHECKING:\n    import torch\ntry:\n    import av\nexcept E:\n    x\n").body)
    ) == {"av"}


def test_who_gives_a_command_is_known_without_audio() -> None:
    assert reached("timbre.pipeline.ci.actor")[0] <= LIGHT


@pytest.mark.parametrize("command", ON_SERVERS)
def test_commands_of_a_server_load_what_its_image_has(command: str) -> None:
    assert absent(reached(f"timbre.cli.commands.{command}")[1]) == []


def test_what_a_server_lacks_is_what_its_image_leaves_out() -> None:
    script = (ROOT / "docker" / "install.sh").read_text("utf-8")
    block = script[script.index('rm -rf "$own/gptsovits"') : script.index("# Bytecode is there")]
    commands = re.search(r"for command in (.*);", block)
    assert commands is not None
    found = {name.removesuffix(".py").replace("/", ".") for name in re.findall(r'"\$own/([\w/.]+)"', block)}
    assert found | {f"cli.commands.{name}" for name in commands[1].split()} == set(NOT_FOR_SERVERS)
