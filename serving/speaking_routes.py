"""Routes that speak: OpenAI's /v1/audio/speech, GPT-SoVITS's /tts, and what of the latter is refused."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from timbre.inference.request import SpeechRequest
from timbre.serving.captioned import CaptionedResponse, Shape
from timbre.serving.delivery import SpokenResponse, take_or_leave
from timbre.serving.encoding import FORMATS
from timbre.serving.errors import ApiError
from timbre.serving.order import Begun, Order
from timbre.serving.ordering import Asked, asked_for
from timbre.serving.schemas import (
    NativeError,
    OpenAIError,
    SpeechBody,
    Timestamps,
    TtsBody,
    TtsQuery,
    ignored_fields,
)
from timbre.serving.server import Server
from timbre.serving.speaking_options import language_code, openai_rate, openai_request, sampling_of, voice_of

_NAME = re.compile(r"[^\W_][\w-]{0,62}(@[A-Za-z0-9_-]{1,40})?")
_REFERENCES = ("spk", "voice", "ref_audio_path", "audio_file")
_RAW = {"raw": "pcm"}

_AUDIO: dict[str, Any] = {
    media: {"schema": {"type": "string", "format": "binary"}}
    for media in sorted({kind.media_type for kind in FORMATS.values()})
}
_CAPTIONED: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["audio", "audio_format", "sample_rate", "voice", "seconds", "timestamps"],
            "properties": {
                "audio": {"type": "string", "format": "byte"}, "audio_format": {"type": "string"},
                "sample_rate": {"type": "integer"}, "voice": {"type": "string"}, "seconds": {"type": "number"},
                "timestamps": {"description": "A list, or for srt and vtt the text of a subtitle file."},
            },
        }
    }
}  # fmt: skip
_ERRORS = (400, 401, 403, 404, 408, 410, 413, 429, 503)
OPENAI_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The spoken text.", "content": {**_AUDIO, "text/event-stream": {}, **_CAPTIONED}},
    **{status: {"model": OpenAIError} for status in _ERRORS},
}
NATIVE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The spoken text.", "content": _AUDIO},
    **{status: {"model": NativeError} for status in _ERRORS},
}
CAPTIONED_RESPONSES = {**NATIVE_RESPONSES, 200: {"description": "Sound and times.", "content": _CAPTIONED}}
_REFUSED: dict[int | str, dict[str, Any]] = {status: {"model": NativeError} for status in (401, 403)}


def speaking_routes(server: Server) -> APIRouter:
    """The routes over one server."""
    router = APIRouter()

    @router.post("/v1/audio/speech", response_class=Response, responses=OPENAI_RESPONSES, tags=["speech"])
    async def speech(
        body: SpeechBody, request: Request, timestamps: Annotated[Timestamps | None, Query()] = None
    ) -> Response:
        """Speak a text, in OpenAI's shape."""
        return await _openai(server, body, request, timestamps or body.timestamps)

    @router.post("/dev/captioned_speech", response_class=Response, responses=CAPTIONED_RESPONSES, tags=["speech"])
    async def captioned(body: SpeechBody, request: Request) -> Response:
        """Sound and the times of its words in one JSON object, in Kokoro-FastAPI's shape; never in parts."""
        plain = body.model_copy(update={"stream_format": "audio"})
        return await _openai(server, plain, request, "words")

    @router.post("/tts", response_class=Response, responses=NATIVE_RESPONSES, tags=["speech"])
    async def tts(body: TtsBody, request: Request) -> Response:
        """Speak a text, in GPT-SoVITS's shape or the short form {text, spk}."""
        return await speak_tts(server, body, request)

    @router.get("/tts", response_class=Response, responses=NATIVE_RESPONSES, tags=["speech"])
    async def tts_query(query: Annotated[TtsQuery, Query()], request: Request) -> Response:
        """The same with its fields in the query."""
        return await speak_tts(server, query, request)

    def refuse(path: str, why: str, instead: str) -> None:
        @router.get(path, responses=_REFUSED, tags=["refused"])
        async def refused() -> None:
            raise ApiError(403, f"{path} is not offered: {why}", instead)

    by_name = "name the voice in each request (spk); new voices come through Git and the registry"
    refuse("/set_gpt_weights", "a request must not choose files to load as programs", by_name)
    refuse("/set_sovits_weights", "a request must not choose files to load as programs", by_name)
    refuse("/set_refer_audio", "a voice is an argument of a request, never state of the server", by_name)
    refuse("/control", "clients do not stop or restart the server", "ask its operator")
    return router


async def _openai(server: Server, body: SpeechBody, request: Request, timestamps: Shape | None) -> Response:
    sse = body.stream_format == "sse"
    whole = not body.stream or (timestamps is not None and not sse)
    owner = str(request.scope["state"]["owner"])
    asked = await asked_for(
        server, body.input, voice_of(body), openai_request(body), field="input", whole=whole, owner=owner
    )
    return await _answer(
        server, request, asked, body.response_format, openai_rate(body),
        whole=whole, sse=sse, ignored=ignored_fields(body, "instructions"), timestamps=timestamps,
    )  # fmt: skip


async def speak_tts(server: Server, body: TtsBody | TtsQuery, request: Request) -> Response:
    """Answers a request in GPT-SoVITS's shape."""
    reference, beside = await _references(server, body)
    whole = body.streaming_mode in (False, 0)
    like = SpeechRequest(
        "", language=language_code(body.text_lang), speed=body.speed_factor, sampling=sampling_of(body),
        pause_s=body.fragment_interval,
    )  # fmt: skip
    owner = str(request.scope["state"]["owner"])
    asked = await asked_for(server, body.text, reference, like, field="text", whole=whole, owner=owner)
    media = _RAW.get(body.media_type, body.media_type)
    ignored = ignored_fields(body, *beside)
    return await _answer(server, request, asked, media, body.sample_rate, whole=whole, sse=False, ignored=ignored)


async def _references(server: Server, body: TtsBody | TtsQuery) -> tuple[str, list[str]]:
    """The voice that a request names ("" for none), and the fields that name one beside it, which have no effect.

    api_v2 has paths where a voice's name may stand: a file of the operator's folder, where there is one. Raises
    ApiError 403 for anything else that could be a path, whatever other field names the voice.
    """
    opened = server.references
    for field in ("ref_audio_path", "audio_file"):
        value = getattr(body, field)
        if value and not _NAME.fullmatch(value) and not (opened is not None and opened.names(value)):
            raise _path_refused(field, opened is not None)
    if any(body.aux_ref_audio_paths or ()):
        raise _path_refused("aux_ref_audio_paths", opened is not None)
    given = [field for field in _REFERENCES if getattr(body, field)]
    beside = [*given[1:], *(field for field in ("prompt_text", "prompt_lang") if getattr(body, field))]
    if not given:
        return "", beside
    named = str(getattr(body, given[0]))
    if opened is None or given[0] in ("spk", "voice") or not opened.names(named):
        return named, beside
    language = language_code(body.prompt_lang or "auto")
    voice = await opened.voice(named, body.prompt_text or "", "" if language == "auto" else language, given[0])
    return voice, given[1:]


def _path_refused(field: str, opened: bool) -> ApiError:
    there = "name a file of the operator's folder `references`, without a path" if opened else "give a voice's name"
    return ApiError(
        403, f"{field}: file paths are refused, a request cannot make the server read files",
        f"{there} instead; new voices come through Git", code="path_refused", param=field,
    )  # fmt: skip


async def _answer(
    server: Server,
    request: Request,
    asked: Asked,
    media: str,
    rate_hz: int | None,
    *,
    whole: bool,
    sse: bool,
    ignored: list[str],
    timestamps: Shape | None = None,
) -> Response:
    order = Order(asked.parts, media, rate_hz, whole, request.url.path, timed=timestamps is not None)
    request.scope["state"]["voice"] = order.label
    delivery = server.deliver(order)
    first = await take_or_leave(delivery, request.receive)
    if first is None:
        server.metrics.cancelled.labels("disconnected").inc()
        return Response(status_code=499)
    if isinstance(first, ApiError):
        raise first
    assert isinstance(first, Begun), "nothing comes before Begun but an error"
    without_effect = [*ignored, *asked.ignored]
    headers = {"x-timbre-ignored": ", ".join(without_effect)} if without_effect else {}
    if timestamps is not None and not sse:
        return CaptionedResponse(delivery, first, timestamps, headers)
    return SpokenResponse(delivery, first, server.metrics, sse=sse, characters=order.characters, headers=headers)
