"""Documentation against the code: links, commands, variables, exit codes, both languages, the site."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest

from timbre.cli.main import COMMANDS, timbre
from timbre.core import errors
from timbre.core.recipe import SECTIONS
from timbre.pipeline.stages.table import STAGES, StageContext

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REFERENCES = [ROOT / "docs" / "reference.md", ROOT / "docs" / "reference.zh.md"]
TWINS = [
    (ROOT / f"{name}.md", ROOT / f"{name}.zh.md")
    for name in ("README", "docs/guide", "docs/reference", "docs/status", "docs/studio")
]
ROOMS = (
    *("core", "audio", "text", "gptsovits", "training", "nano", "inference", "evaluation", "registry", "pipeline"),
    *("serving", "studio", "cli"),
)
_ENDINGS = {"html", "json", "md", "py", "yaml"}


def broken_links(page: Path, text: str) -> list[str]:
    # What stands in a span of code is no link.
    targets = re.findall(r"\]\(([^)#\s]+)", re.sub(r"`[^`\n]*`", "", text))
    return [target for target in targets if "://" not in target and not (page.parent / target).exists()]


def unknown_commands(text: str) -> list[str]:
    """Commands in lines of console examples (`$ timbre x`) and at the start of code spans."""
    return [name for name in re.findall(r"(?:\$ |`)timbre ([a-z][a-z-]*)", text) if name not in COMMANDS]


def unknown_options(text: str) -> list[str]:
    """Subcommands and options of examples (`$ timbre x y --z`, or `timbre x y --z` as a line) that do not exist."""
    found = []
    for line in re.findall(r"^(?:\$ )?timbre ([a-z][a-z-]*(?: .*)?)$", text, re.M):
        words = [word for word in re.sub(r'"[^"]*"', "TEXT", line.partition("#")[0]).split() if word]
        command: click.Command = timbre
        context = click.Context(timbre)
        while isinstance(command, click.Group) and words:
            following = command.get_command(context, words[0])
            if following is None and not command.invoke_without_command:
                found.append(f"{command.name} {words[0]}")
            if following is None:
                break
            command, words = following, words[1:]
        known = {name for option in command.params for name in [*option.opts, *option.secondary_opts]}
        options = (word.partition("=")[0] for word in words if word.startswith("-") and len(word) > 1)
        found += [f"{command.name} {option}" for option in options if option not in known | {"--help"}]
    return found


def unknown_sources(text: str, names: set[str], files: list[str]) -> list[str]:
    """Tests and modules that a page names and that are not there. files: paths, with a slash in front."""
    spans = " ".join(re.findall(r"`([^`\n]+)`", text))
    wrong = [name for name in re.findall(r"\btest_[a-z0-9_]+\b(?!\.py)", spans) if name not in names]
    paths = re.findall(r"(?<![\w*{])[\w/]+\.py\b", spans)
    return wrong + [path for path in paths if not any(file.endswith(f"/{path}") for file in files)]


def unknown_targets(text: str, makefile: str) -> list[str]:
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    return [name for name in re.findall(r"(?:\$ |`)make ([a-z]+)", text) if name not in targets]


def unknown_settings(text: str) -> list[str]:
    """Code spans `section.key` of the recipe's sections whose key the recipe does not know; files are no settings."""
    spans = " ".join(re.findall(r"`([^`\n]+)`", text))
    found = re.findall(rf"(?<![\w./-])(?:recipe\.)?({'|'.join(SECTIONS)})\.([a-z][a-z0-9_]*)", spans)
    known = {name: {item.name for item in fields(section)} for name, section in SECTIONS.items()}
    return [f"{section}.{key}" for section, key in found if key not in known[section] | _ENDINGS]


def test_the_checks_can_fail() -> None:
    assert broken_links(ROOT / "README.md", "[x](no/such.md) [y](https://example.com)") == ["no/such.md"]
    assert unknown_commands("`timbre dance` and\n$ timbre run ada") == ["dance"]
    examples = '$ timbre run ada --fast\ntimbre base brew x  # no\n$ timbre say ada "a --b" -o x.wav'
    assert unknown_options(examples) == ["run --fast", "base brew"]
    spans = "`a/b.py::test_x` `test_y`, `c.py`"
    assert unknown_sources(spans, {"test_x"}, ["/a/b.py", "/a/bc.py"]) == ["test_y", "c.py"]
    spans = "`finetune.steps`, `recipe.publish.colour`, `finetune.max_steps`, `extract.json`, `a/validate.md`"
    assert unknown_settings(spans) == ["finetune.steps", "publish.colour"]
    assert unknown_targets("`make coffee`, `make test`", "test: x\n") == ["coffee"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_commands_and_targets_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert broken_links(page, text) == []
    assert unknown_commands(text) == []
    assert unknown_options(text) == []
    assert unknown_targets(text, (ROOT / "Makefile").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_settings_exist(page: Path) -> None:
    assert unknown_settings(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_tests_and_modules_exist(page: Path) -> None:
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    names = {name for text in tests for name in re.findall(r"^ *def (test_\w+)", text, re.M)}
    sources = [path for room in (*ROOMS, "benchmarks", "tests") for path in (ROOT / room).rglob("*.py")]
    files = [f"/{path.relative_to(ROOT).as_posix()}" for path in sources]
    assert unknown_sources(page.read_text(encoding="utf-8"), names, files) == []


@pytest.mark.parametrize("page", REFERENCES, ids=lambda page: page.name)
def test_reference_names_every_variable(page: Path) -> None:
    sources = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    used = {name for path in sources for name in re.findall(r"\bTIMBRE_[A-Z_]+\b", path.read_text(encoding="utf-8"))}
    documented = set(re.findall(r"\bTIMBRE_[A-Z_]+\b", page.read_text(encoding="utf-8")))
    assert documented == used


@pytest.mark.parametrize("page", REFERENCES, ids=lambda page: page.name)
def test_reference_names_every_exit_code(page: Path) -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    rows = re.findall(r"^\| (\d+) \|", page.read_text(encoding="utf-8"), re.M)
    assert {int(row) for row in rows} == codes


@pytest.mark.parametrize("twins", TWINS, ids=lambda twins: twins[0].name)
def test_both_languages_say_the_same(twins: tuple[Path, Path]) -> None:
    english, chinese = (page.read_text(encoding="utf-8") for page in twins)
    for pattern in (
        r"^\$ \S+ ?\S*",
        r"^\| `[^|]*`",
        r"^```\w*",
        r"^## ",
        r"^\|",
        r"^- \*\*",
        r"\]\(((?!README)[^)]+)\)",
    ):
        counts = [len(re.findall(pattern, text, re.M)) for text in (english, chinese)]
        assert counts[0] == counts[1], pattern


def unknown_anchors(page: Path, text: str) -> list[str]:
    """Links to a heading of a page that has no such heading; places named by `<a id>` count too."""
    found = re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", text)
    return [f"{target}#{anchor}" for target, anchor in found if anchor not in _anchors(page.parent / target, page)]


def _anchors(target: Path, page: Path) -> set[str]:
    text = (target if target.is_file() else page).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)"', text))


def test_anchors_can_be_wrong() -> None:
    text = "# One: two\n[a](#one-two) [b](docs/guide.md#comparison) [c](docs/guide.md#nowhere) [d](https://x.y#z)"
    assert unknown_anchors(ROOT / "README.md", text) == ["#one-two", "docs/guide.md#nowhere"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_anchors_exist(page: Path) -> None:
    assert unknown_anchors(page, page.read_text(encoding="utf-8")) == []


def test_the_site_lists_every_page() -> None:
    named = set(re.findall(r": ([\w.-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M))
    assert named == {page.name for page in PAGES}


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """`--strict` fails on dead links, dead anchors and pages outside the navigation; a planted one proves it."""
    pytest.importorskip("mkdocs", reason="mkdocs wants Python 3.11.5 or newer")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run([*build, "--site-dir", str(tmp_path / "site")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "files" / "bases" / "nano" / "samples" / "index.html").is_file()
    for name in ("docs", "mkdocs.yml", "README.md", "README.zh.md", "CHANGELOG.md", "CONTRIBUTING.md"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    guide = tmp_path / "docs" / "guide.md"
    guide.write_text(guide.read_text(encoding="utf-8") + "\n[nowhere](nowhere.md)\n", encoding="utf-8")
    done = subprocess.run([*build, "--site-dir", str(tmp_path / "bad")], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr


def test_engine_page_names_the_context() -> None:
    page = (ROOT / "docs/engine.md").read_text(encoding="utf-8")
    spans = " ".join(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page, flags=re.M | re.S)))
    unexplained = {"key", "recipe", "sections", "root"}
    for name in set(StageContext.__dataclass_fields__) - unexplained:
        assert re.search(rf"\b{name}\b", spans), name
    assert len(STAGES) == 5
