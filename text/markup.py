"""Plain text of what people paste: HTML tags and entities, Markdown, lines wrapped at an edge.

Marks that only lay a text out are taken away; the ends of headings, list items and paragraphs stay line breaks, which
end a sentence. What is no markup for sure (2 * 3 * 4, a < b) stays.
"""

from __future__ import annotations

import html
import re

_INLINE = (
    "a abbr b bdi big cite code del em font i img input ins kbd label mark q s samp small span strong sub sup tt u var"
)
_BLOCK = (
    "address article aside blockquote body button center dd div dl dt figcaption figure footer form h1 h2 h3 h4 h5 "
    "h6 head header hr html li link main meta nav ol option p pre section select table tbody td tfoot th thead title "
    "tr ul"
)
_ATTRIBUTES = r"(?:\s+[\w:@-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>]+))*(?:\s+(?:checked|disabled|hidden))?\s*/?"
_INLINE_TAG = re.compile(rf"</?(?:{'|'.join(_INLINE.split())}){_ATTRIBUTES}>", re.IGNORECASE)
_BLOCK_TAG = re.compile(rf"\s*</?(?:{'|'.join(_BLOCK.split())}){_ATTRIBUTES}>\s*", re.IGNORECASE)
_BREAK_TAG = re.compile(r"\s*<br\s*/?>\s*", re.IGNORECASE)
_UNSPOKEN = re.compile(r"<(script|style)\b[^>]*>.*?</\1\s*>|<!--.*?-->|<!DOCTYPE[^>]*>", re.IGNORECASE | re.DOTALL)
_ENTITY = re.compile(r"&(?:[a-zA-Z][a-zA-Z0-9]{1,31}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")

_LINE_MARKS = re.compile(
    r"^[ \t]*(?:```[\w+-]*|~~~[\w+-]*|(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|={3,})[ \t]*$"
    r"|^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$",
    re.MULTILINE,
)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$", re.MULTILINE)
_QUOTED = re.compile(r"^[ \t]*>+[ \t]?(?![ \t]*[\d=])", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*[-*+•‣◦▪●][ \t]+(?:\[[ xX]\][ \t]+)?(?=\S)", re.MULTILINE)
_ROW = re.compile(r"^[ \t]*\|(.+)\|[ \t]*$", re.MULTILINE)
_LINK = re.compile(
    r"!?\[([^\[\]\n]*)\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+[\"'][^\"'\n]*[\"'])?\)|\[[^\[\]\n]*\])"
)
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^\s<>]+)>")
_SPANS = (
    re.compile(r"(`+)([^`\n]+)\1()"),
    re.compile(r"(\*\*\*|\*\*|~~)(?=\S)(.+?)(?<=\S)\1()"),
    re.compile(r"(?<![\w_])(__)(?=\S)(.+?)(?<=\S)__(?![\w_])()"),
    re.compile(r"(?<![\w*])(\*)(?=[^\s*])([^*\n]*?[^\s*])\*(?![\w*])()"),
    re.compile(r"(?<=[\u3400-\u9fff])(\*)(?=[^\s*])([^*\n]*?[^\s*])\*(?=[\u3400-\u9fff])()"),
    re.compile(r"(?<![\w_])(_)(?=[^\s_])([^_\n]*?[^\s_])_(?![\w_])()"),
)
_NOTE = re.compile(
    r"(?<=[a-z.,!?\"')\u4e00-\u9fff，。！？”’）》])(?<!\b[a-z])"
    r"\[(?:\d{1,3}(?:[-–,，]\s?\d{1,3})*|\^\w+|citation needed|来源请求)\](?!\()"
)
"""The mark of a note after a word: [12], [3-5], [^a]."""
_ESCAPED = re.compile(r"\\([*_`~#|\[\]])")
_OFFSET = 0xE100
_PROTECTED = re.compile("[\ue100-\ue17f]")
"""A mark behind a backslash is itself; it waits in private characters until the marks of the layout are gone."""
_START = "\ue010"
"""Stands at the head of a line that begins something new: an item, what follows a heading, a paragraph."""
_WRAPPED_AT = 40
"""A line of so many letters' worth that ends without a mark was wrapped at an edge, not ended."""


def plain(text: str) -> str:
    """`text` without HTML and Markdown, wrapped lines joined. Text without either comes back as it is."""
    if "<" in text:
        text = re.sub(r"(?<=[\w)])<sup>([-+]?\d*[-+]?)</sup>", r"^\1", text, flags=re.IGNORECASE)
        text = _UNSPOKEN.sub(" ", text)
        text = _BREAK_TAG.sub("\n", _BLOCK_TAG.sub(f"\n{_START}", _INLINE_TAG.sub("", _AUTOLINK.sub(r"\1", text))))
    if "&" in text:
        text = _ENTITY.sub(lambda m: html.unescape(m[0]).replace("\u00a0", " "), text)
    if re.search(r"[#*_`~>|\[•‣◦▪●=+-]", text):
        text = _markdown(text)
    return (_unwrapped(text) if "\n" in text else text).replace(_START, "")


def _markdown(text: str) -> str:
    text = _ESCAPED.sub(lambda m: chr(_OFFSET + ord(m[1])), text)
    text = _LINE_MARKS.sub("", text)
    text = _HEADING.sub(rf"{_START}\1\n{_START}", text)
    text = _ROW.sub(lambda m: ", ".join(cell.strip() for cell in m[1].split("|")), text)
    text = _ITEM.sub(_START, _QUOTED.sub("", text))
    text = _LINK.sub(r"\1", text)
    text = _NOTE.sub("", text)
    for span in _SPANS:
        text = span.sub(r"\2", text)
    return _PROTECTED.sub(lambda m: chr(ord(m[0]) - _OFFSET), text) if _PROTECTED.search(text) else text


def _unwrapped(text: str) -> str:
    """Lines joined where a line break is no end: before a small letter, and after a long line without a mark."""
    lines = [line.rstrip() for line in text.split("\n")]
    result = lines[0]
    last = lines[0].replace(_START, "")
    for line in lines[1:]:
        following = line.lstrip()
        if last and following and re.search(r"[A-Za-z]-$", last) and following[0].islower():
            result += following
        elif last and following and _continues(last, following):
            wide = re.search(r"[\u3040-\u9fff，、；：]$", last) and re.match(r"[\u3040-\u9fff]", following)
            result += ("" if wide else " ") + following
        else:
            result += "\n" + line
        last = following.replace(_START, "")
    return result


def _continues(last: str, following: str) -> bool:
    if re.search(r"[.!?。！？…:：][\"'”’）)」』]*$", last) or re.match(rf"[-*+#>|•{_START}]|\d+[.)、]", following):
        return False
    if re.search(r"[,，、;；(（]$", last) or (following[0].islower() and following[0].isascii()):
        return True
    worth = sum(2 if "\u2e80" <= character <= "\uffef" else 1 for character in last)
    return worth >= _WRAPPED_AT
