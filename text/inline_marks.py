"""Marks inside plain text, in the forms that people know from other engines:

    [pause:1.5s]  [pause:300ms]     silence
    [voice:ada]                     another voice from here on
    [Timbre](/ˈtæmbɚ/)              English IPA of a word
    {T AE1 M B ER0}                 ARPAbet

What only has the shape of a mark ([docs](/docs/), {A}) is text.
"""

from __future__ import annotations

import re

from timbre.text.ipa import from_arpabet, from_ipa, is_arpabet, is_ipa
from timbre.text.marks import Mark, Pause, Sounds
from timbre.text.turns import Builder, Script, Turn

_INLINE = re.compile(
    r"\[pause[: ]\s*(?P<pause>[0-9]{1,6}(?:\.[0-9]{1,4})?)\s*(?P<unit>ms|s|)\]"
    r"|\[voice[: ]\s*(?P<voice>[^\s\[\]]{1,200})\]"
    r"|\[(?P<word>[^\[\]\n]{1,60})\]\(/(?P<ipa>[^/\n()]{1,120})/\)"
    r"|\{(?P<arpabet>[A-Z][A-Z0-2 ]{0,300})\}",
    re.IGNORECASE,
)


def read_inline(text: str) -> Script:
    """The script of a text that is no SSML. Raises InputError for IPA with a letter that is no English sound, for too
    many marks or turns, and for too long pauses.
    """
    builder, voice, start, found = Builder(), Turn(""), 0, False
    for match in _INLINE.finditer(text):
        mark = _mark_of(match)
        if mark is None and match["voice"] is None:
            continue
        found = True
        builder.say(text[start : match.start()], voice)
        start = match.end()
        if mark is None:
            voice = Turn("", voice=match["voice"])
        else:
            builder.mark(mark, voice)
    if not found:
        return Script((Turn(text),))
    builder.say(text[start:], voice)
    return builder.script()


def has_words(text: str) -> bool:
    """Whether something is left to say when pauses and voices are taken away."""
    left = _INLINE.sub(lambda match: "" if match["pause"] or match["voice"] else match[0], text)
    return any(map(str.isalnum, left))


def _mark_of(match: re.Match[str]) -> Mark | None:
    """None for a change of voice, and for what only has the shape of a mark."""
    if match["pause"] is not None:
        return Pause(float(match["pause"]) / (1000 if match["unit"].lower() == "ms" else 1))
    if match["ipa"] is not None and is_ipa(match["ipa"]):
        return Sounds(match["word"].strip(), from_ipa(match["ipa"]), "en")
    if match["arpabet"] is not None and is_arpabet(match["arpabet"]):
        return Sounds(match["arpabet"], from_arpabet(match["arpabet"]), "en")
    return None
