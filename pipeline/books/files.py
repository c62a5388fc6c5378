"""A book from a file: plain text or Markdown here, EPUB by epub.py."""

from __future__ import annotations

import re
from pathlib import Path

from timbre.core.errors import InputError
from timbre.pipeline.books.book import Book, made
from timbre.pipeline.books.epub import read_epub
from timbre.text.markup import plain

MAX_BYTES = 64 << 20
_HEADING = re.compile(r"^#{1,2}[ \t]+(.+?)[ \t]*#*$")
_UNDERLINED = re.compile(r"^(?:=+|-+)[ \t]*$")
_NUMBER = (
    r"(?:the )?(?:\d+|[ivxlcdm]+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|"
    r"(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:-\w+)?|first|second|third|fourth|fifth|sixth|seventh|eighth|"
    r"ninth|tenth|last)"
)
_CHAPTER = re.compile(
    rf"^(?:chapter|part|book|canto|letter|act|scene|section)\s+{_NUMBER}\b.{{0,80}}$"
    r"|^(?:prologue|epilogue|preface|introduction|foreword|afterword|appendix)[.:]?.{0,60}$"
    r"|^第[零一二三四五六七八九十百千〇两\d]{1,8}[章回节卷部篇幕][^。！？]{0,40}$|^(?:序章|序言|序|前言|楔子|尾声|后记|附录)$",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[.!?,;。！？，；…]$")


def read_book(path: Path) -> Book:
    """Raises InputError for a file that is no .txt, .md or .epub, cannot be read, or has nothing to speak."""
    suffix = path.suffix.lower()
    if suffix not in (".txt", ".md", ".markdown", ".epub"):
        raise InputError(f"{path}: ends in {suffix or 'nothing'}", "give a .txt, .md or .epub file")
    try:
        size_bytes = path.stat().st_size
        data = path.read_bytes() if size_bytes <= MAX_BYTES else b""
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", "name a book") from error
    if size_bytes > MAX_BYTES:
        raise InputError(f"{path}: {size_bytes} bytes, the limit is {MAX_BYTES}", "split the book")
    if suffix == ".epub":
        book = read_epub(data, str(path))
    else:
        book = _of_text(_decoded(data, path), path.stem, markdown=suffix != ".txt")
    if not any(character.isalnum() for chapter in book.chapters for text in chapter.paragraphs for character in text):
        raise InputError(f"{path}: has nothing that can be spoken", "give a book with text")
    return book


def _decoded(data: bytes, path: Path) -> str:
    for encoding in ("utf-8-sig", "gb18030") if not data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-16",):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
    raise InputError(f"{path}: is no text in UTF-8, UTF-16 or GB 18030", "save the book as UTF-8")


def _of_text(text: str, name: str, *, markdown: bool) -> Book:
    parts: list[tuple[str, list[str]]] = [("", [])]
    for block in re.split(r"\n[ \t\u3000]*\n+", text):
        for heading, body in _pieces(block.strip(" \t\n\u3000"), markdown):
            if heading:
                parts.append((heading, []))
            if body:
                parts[-1][1].append(body)
    return made(name, "", parts)


def _pieces(block: str, markdown: bool) -> list[tuple[str, str]]:
    """(heading, paragraph) of a block of lines, either "" where there is none."""
    lines = block.split("\n")
    first = lines[0].strip()
    if markdown and (match := _HEADING.match(first)):
        return [(plain(match[1]), ""), *_pieces("\n".join(lines[1:]).strip(), markdown)] if block else []
    if markdown and len(lines) > 1 and first and _UNDERLINED.match(lines[1].strip()):
        return [(plain(first), ""), *_pieces("\n".join(lines[2:]).strip(), markdown)]
    if len(first) <= 100 and _CHAPTER.match(first) and (not _ENDS.search(first) or len(first.split()) <= 3):
        return [(first.rstrip(".:"), ""), *_pieces("\n".join(lines[1:]).strip(), markdown)]
    body = plain(block).strip() if markdown else " ".join(line.strip() for line in lines).strip()
    if not markdown:
        body = re.sub(r"(?<=[\u3040-\u9fff，。！？；：]) (?=[\u3040-\u9fff])", "", body)
    return [("", body)] if body else []
