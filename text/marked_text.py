"""A text as it was sent -> its script: SSML where it begins with <speak>, else plain text with marks."""

from __future__ import annotations

from timbre.text.inline_marks import read_inline
from timbre.text.ssml import is_ssml, read_ssml
from timbre.text.turns import Script


def read_script(text: str) -> Script:
    """Raises InputError for SSML that is not well-formed or asks for what this engine cannot do, and for a mark that
    cannot be understood.
    """
    return read_ssml(text) if is_ssml(text) else read_inline(text)
