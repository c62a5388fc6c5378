"""Multipart bodies: fields as text, recordings as bytes, within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from timbre.serving.errors import ApiError
from timbre.serving.leniency import encodable

MULTIPART = "multipart/form-data"
VOICES, TTS_FORM = "/v1/audio/voices", "/tts/form"
UPLOADS = (VOICES, TTS_FORM)
"""Routes that take recordings."""
_MOST_FIELDS, _MOST_FILES = 40, 4
_MOST_TEXT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Form:
    """What was sent; of a name that comes twice the last one."""

    texts: dict[str, str]
    """Name -> value."""
    files: dict[str, bytes]
    """Name -> content."""

    def file(self, *names: str) -> bytes:
        """The first of these that was sent. Raises ApiError 400 without any."""
        for name in names:
            if name in self.files:
                return self.files[name]
        sent = " (it was sent as text)" if any(name in self.texts for name in names) else ""
        raise ApiError(
            400, f"{names[0]}: no file was sent{sent}", f"send it as a file: curl -F {names[0]}=@recording.wav",
            param=names[0],
        )  # fmt: skip


async def read_form(request: Request) -> Form:
    """Raises ApiError 400 for a body that is no multipart form, and what reading the body raises (413, 408)."""
    if find_spec("python_multipart") is None:
        raise ApiError(
            503, "this server has no package for uploads", "pip install 'timbre[zero-shot]' on the server",
            code="package_missing",
        )  # fmt: skip
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith(MULTIPART):
        raise ApiError(400, "the body is not multipart/form-data", "send it with curl -F, or FormData in a browser")
    try:
        form = await _InMemory(
            request.headers, request.stream(), max_files=_MOST_FILES, max_fields=_MOST_FIELDS,
            max_part_size=_MOST_TEXT_BYTES,
        ).parse()  # fmt: skip
    except MultiPartException as error:
        raise ApiError(400, f"the form is broken: {error.message[:200]}", "send it with curl -F") from None
    texts: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files[name] = await value.read()
        else:
            # A charset of the client's choice may decode to lone surrogates.
            texts[encodable(name)] = encodable(value)
    await form.close()
    return Form(texts, files)


class _InMemory(MultiPartParser):
    spool_max_size = 0
    """Never on disk: the middleware bounds the body."""
