"""A client's text -> the parts of an order: marks read, voices looked up, long texts cut."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from timbre.core.errors import InputError
from timbre.inference.request import SpeechRequest
from timbre.inference.scripted import spoken_turns
from timbre.serving.errors import ApiError
from timbre.serving.order import Part
from timbre.serving.server import Server
from timbre.text.marked_text import read_script
from timbre.text.ssml import is_ssml
from timbre.text.turns import Script

_MOST_VOICES = 20
_LONG = 10_000
"""Characters: a longer text is read off the event loop."""


@dataclass(frozen=True)
class Asked:
    """A text as parts of an order."""

    parts: tuple[Part, ...]
    """At least one."""
    ignored: tuple[str, ...] = ()
    """Elements of the text that have no effect."""
    voice_after: str = ""
    """Voice of plain text that follows, "" where no mark changed it."""


async def asked_for(
    server: Server, text: str, reference: str, like: SpeechRequest, *, field: str, whole: bool, owner: str = ""
) -> Asked:
    """As `asked`, without holding up other requests. Raises ApiError 413 for a text that is too long."""
    settings = server.settings
    most = settings.max_characters if whole else max(settings.max_characters, settings.max_stream_characters)
    if len(text) > most:
        remedy = "ask for a streamed answer, or send it in several requests" if whole else "send it in several requests"
        raise ApiError(413, f"{field}: {len(text)} characters, the limit is {most}", remedy, param=field)
    if len(text) > _LONG:
        return await asyncio.to_thread(asked, server, text, reference, like, field=field, owner=owner)
    return asked(server, text, reference, like, field=field, owner=owner)


def asked(server: Server, text: str, reference: str, like: SpeechRequest, *, field: str, owner: str = "") -> Asked:
    """reference: the voice of what names none. like: the request, all but its text. owner: whose request it is.

    Raises ApiError: 400 for an empty text, for SSML or marks that cannot be understood, and for too many voices; and
    what Library.check raises.
    """
    if not text.strip():
        raise ApiError(400, f"{field}: it is empty", "send at least one word", param=field)
    most = server.settings.max_characters
    try:
        script = read_script(text)
        turns = spoken_turns(script, replace(like, longest_s=server.settings.max_audio_s), most)
    except InputError as error:
        raise ApiError(400, f"{field}: {error.message}", error.remedy, param=field) from None
    if len(script.voices) > _MOST_VOICES:
        raise ApiError(
            400, f"{field}: {len(script.voices)} voices, the limit is {_MOST_VOICES}", "send it in several requests",
            param=field,
        )  # fmt: skip
    found = {voice: server.library.check(voice or reference, owner) for voice in script.voices}
    parts = tuple(Part(*found[turn.voice], turn.request) for turn in turns)
    return Asked(parts, script.unheard, _voice_after(text, script))


def _voice_after(text: str, script: Script) -> str:
    """An element of SSML ends with its document; a mark in plain text counts on."""
    return "" if is_ssml(text) else script.turns[-1].voice
