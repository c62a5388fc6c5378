"""EPUB: a zip of XHTML pages in the order of a spine.

Everything is read with the standard library's HTML parser, which knows no entities but the named characters and opens
no other file: what makes XML expand without end does not exist for it.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from html.parser import HTMLParser
from urllib.parse import unquote

from timbre.core.errors import InputError
from timbre.pipeline.books.book import Book, made

_MOST_PAGE_BYTES = 16 << 20
_MOST_TEXT_BYTES = 128 << 20
_MOST_PAGES = 5_000
_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "body", "br", "center", "dd", "div", "dl", "dt", "figcaption"),
        *("figure", "footer", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "td", "th"),
        *("tr", "ul", "h1", "h2", "h3", "h4", "h5", "h6"),
    )
)
_HEADINGS = frozenset(("h1", "h2", "h3"))
_UNSPOKEN = frozenset(["head", "math", "nav", "noscript", "rp", "rt", "script", "style", "svg"])


def read_epub(data: bytes, where: str) -> Book:
    """Raises InputError for what is no EPUB, is encrypted, or grows beyond its limits when unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _Reader(archive, where).book()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{where}: is no EPUB that can be read ({error})", "export the book again") from error


class _Reader:
    def __init__(self, archive: zipfile.ZipFile, where: str) -> None:
        self._archive = archive
        self._where = where
        self._read_bytes = 0

    def book(self) -> Book:
        names = set(self._archive.namelist())
        if "META-INF/rights.xml" in names:
            raise InputError(f"{self._where}: is locked (digital rights)", "give a book without a lock")
        container = _Tags(self._text("META-INF/container.xml"))
        paths = [found.get("full-path", "") for tag, found in container.tags if tag == "rootfile"]
        path = paths[0] if paths else ""
        package = _Tags(self._text(path))
        folder = posixpath.dirname(path)
        items = {
            found["id"]: posixpath.normpath(posixpath.join(folder, unquote(found["href"])))
            for tag, found in package.tags
            if tag in ("item", "opf:item") and "id" in found and "href" in found
            and "nav" not in found.get("properties", "").split()
        }  # fmt: skip
        spine = [
            items[found["idref"]]
            for tag, found in package.tags
            if tag in ("itemref", "opf:itemref") and found.get("idref") in items and found.get("linear") != "no"
        ]
        if not spine:
            raise InputError(f"{self._where}: names no pages (spine)", "export the book again")
        if len(spine) > _MOST_PAGES:
            raise InputError(f"{self._where}: {len(spine)} pages, the limit is {_MOST_PAGES}", "split the book")
        parts: list[tuple[str, list[str]]] = []
        for page in spine:
            for heading, paragraphs in _Page(self._text(page)).parts:
                if heading or not parts:
                    parts.append((heading, list(paragraphs)))
                else:
                    parts[-1][1].extend(paragraphs)
        return made(package.first("dc:title"), package.first("dc:creator"), parts)

    def _text(self, name: str) -> str:
        data = self._member(name)
        match = re.match(rb"\s*<\?xml[^>]*encoding=[\"']([A-Za-z0-9_-]{1,40})", data[:200])
        try:
            return data.decode(match[1].decode() if match else "utf-8-sig")
        except (UnicodeDecodeError, LookupError):
            return data.decode("utf-8", errors="replace")

    def _member(self, name: str) -> bytes:
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            raise InputError(f"{self._where}: has no {name or 'package'}", "export the book again") from None
        with self._archive.open(info) as file:
            data = file.read(_MOST_PAGE_BYTES + 1)  # the size in the directory may lie
        self._read_bytes += len(data)
        if len(data) > _MOST_PAGE_BYTES or self._read_bytes > _MOST_TEXT_BYTES:
            raise InputError(
                f"{self._where}: {name} and what was read before it exceed {_MOST_TEXT_BYTES} bytes unpacked",
                "split the book",
            )
        return data


class _Tags(HTMLParser):
    """All elements of a document in order, and the text of the first of each name."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._texts: dict[str, str] = {}
        self._open = ""
        self.feed(text)
        self.close()

    def first(self, tag: str) -> str:
        return " ".join(self._texts.get(tag, "").split())[:300]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._open = tag if tag not in self._texts else ""

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self._texts[self._open] = self._texts.get(self._open, "") + data


class _Page(HTMLParser):
    """(heading, paragraphs) of a page; the first part may have no heading."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[tuple[str, list[str]]] = [("", [])]
        self._pieces: list[str] = []
        self._heading: list[str] | None = None
        self._silent: list[str] = []
        self.feed(text)
        self.close()
        self._end_paragraph()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._silent or tag in _UNSPOKEN:
            self._silent.append(tag)
        elif tag in _HEADINGS:
            self._end_paragraph()
            self._heading = []
        elif tag in _BLOCKS and self._heading is None:
            self._end_paragraph()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._silent and tag in _BLOCKS:
            self._end_paragraph() if self._heading is None else self._heading.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            # What is left open inside ends with it.
            if tag in self._silent:
                del self._silent[self._silent.index(tag) :]
        elif tag in _HEADINGS and self._heading is not None:
            heading = " ".join("".join(self._heading).split())
            self._heading = None
            if heading:
                self.parts.append((heading, []))
        elif tag in _BLOCKS and self._heading is None:
            self._end_paragraph()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            (self._pieces if self._heading is None else self._heading).append(data)

    def _end_paragraph(self) -> None:
        text = " ".join("".join(self._pieces).split())
        self._pieces.clear()
        if text:
            self.parts[-1][1].append(text)
