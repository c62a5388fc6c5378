"""MkDocs hook: links that leave docs/ work on the site too.

Pages link to files of the repository (../recipes/default.yaml, ../README.md); the site contains docs/ only. This hook
adds every linked file to the site and rewrites the links. A link to a folder becomes a link to a list of its files. A
target that does not exist stays as it is, and `mkdocs build --strict` fails on it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from urllib.parse import quote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "README.zh.md", "CHANGELOG.md", "CONTRIBUTING.md")
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#\s]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the repository's root and every file that a page links to."""
    for name in PAGES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for source in [*files.documentation_pages()]:
        for target in _targets(source.src_uri, source.content_string):
            _add(target, files, config)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page's text with links to files of the repository replaced by links to their copies on the site."""

    def replaced(match: re.Match[str]) -> str:
        path = _repository_path(page.file.src_uri, match[2])
        place = None if path is None else _site_path(path)
        if place is None or files.get_file_from_path(place) is None:
            return match[0]
        start = posixpath.dirname(page.file.src_uri) or "."
        return f"{match[1]}{quote(posixpath.relpath(place, start))}{match[3]}"

    return _LINK.sub(replaced, markdown)


def _targets(src_uri: str, markdown: str) -> list[str]:
    found = (_repository_path(src_uri, match[2]) for match in _LINK.finditer(markdown))
    return [path for path in found if path is not None]


def _repository_path(src_uri: str, link: str) -> str | None:
    """The path below the repository that a link means; None for addresses and for what does not exist."""
    if "://" in link or link.startswith(("/", "mailto:")):
        return None
    folder = "" if src_uri in PAGES else posixpath.join("docs", posixpath.dirname(src_uri))
    path = posixpath.normpath(posixpath.join(folder, link))
    return path if not path.startswith("..") and (ROOT / path).exists() else None


def _site_path(path: str) -> str:
    """Where a file of the repository is on the site: root pages and docs/ at the root, everything else in files/."""
    if path in PAGES:
        return path
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"files/{path}/index.md" if (ROOT / path).is_dir() else f"files/{path}"


def _add(path: str, files: Files, config: MkDocsConfig) -> None:
    place = _site_path(path)
    if files.get_file_from_path(place) is not None or path.startswith("docs/"):
        return
    source = ROOT / path
    if not source.is_dir():
        files.append(_unlisted(config, place, source))
        return
    inner = sorted(item for item in source.iterdir() if item.is_file())
    for item in inner:
        files.append(_unlisted(config, f"files/{path}/{item.name}", item))
    lines = [_entry(item) for item in inner if item.suffix != ".md"]
    text = f"# {path}\n\n" + "\n".join(lines) + "\n"
    files.append(File.generated(config, place, content=text, inclusion=InclusionLevel.NOT_IN_NAV))


def _unlisted(config: MkDocsConfig, place: str, source: Path) -> File:
    """A file that pages link to and the navigation does not list."""
    return File.generated(config, place, abs_src_path=str(source), inclusion=InclusionLevel.NOT_IN_NAV)


def _entry(item: Path) -> str:
    """A line of a folder's list; sounds can be played."""
    if item.suffix in (".ogg", ".wav", ".flac", ".mp3"):
        return f'<p>{item.stem}<br><audio controls preload="none" src="{quote(item.name)}"></audio></p>'
    if item.suffix in (".png", ".svg"):
        return f"![{item.stem}]({quote(item.name)})"
    return f"- [{item.name}]({quote(item.name)})"
