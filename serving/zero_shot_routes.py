"""Routes of voices that are made of one recording, and the form of /tts that brings one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ValidationError

from timbre.serving.errors import ApiError
from timbre.serving.order import ZERO_SHOT
from timbre.serving.schemas import OpenAIError, TtsBody, VoiceGone, VoiceInfo
from timbre.serving.server import Server
from timbre.serving.speaking_routes import NATIVE_RESPONSES, speak_tts
from timbre.serving.uploads import TTS_FORM, VOICES, Form, read_form
from timbre.serving.zero_shot import Record
from timbre.serving.zero_shot_maker import Wanted

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": OpenAIError} for status in (400, 401, 403, 404, 408, 413, 429, 503)
}
_FILE = {"type": "string", "format": "binary"}
_LONGEST_TITLE, _LONGEST_TEXT = 100, 2_000
_AUDIO = ("audio", "audio_sample", "file", "ref_audio")
Id = Annotated[str, Path(max_length=200)]


def _body(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": dict(properties), "required": required}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


_RECORDING = {
    "consent": {**_FILE, "description": "The person's spoken statement of consent, up to 60 s."},
    "consent_language": {"type": "string", "description": "Of the statement; else that of the recording."},
}
_MAKING = {
    "audio": {**_FILE, "description": "3 to 30 s of one person. audio_sample and file are the same."},
    **_RECORDING,
    "text": {"type": "string", "description": "What is said in it; needed where the base continues the recording."},
    "language": {"type": "string", "description": "Of the recording; else that of the statement, as it is heard."},
    "name": {"type": "string", "maxLength": _LONGEST_TITLE, "description": "For people."},
    "model": {"type": "string", "description": "The base, where there are several."},
}
_FORM = {
    "text": {"type": "string"},
    "ref_audio": {**_FILE, "description": "3 to 30 s of one person."},
    **_RECORDING,
    "prompt_text": {"type": "string", "description": "What is said in it."},
    "prompt_lang": {"type": "string", "description": "Its language."},
}


def zero_shot_routes(server: Server) -> APIRouter:
    """The routes over one server."""
    router = APIRouter()

    @router.post(VOICES, responses=_ERRORS, openapi_extra=_body(_MAKING, ["audio", "consent"]), tags=["voices"])
    async def create(request: Request) -> VoiceInfo:
        """Make a voice of one recording, with the consent of the person in it; for this key and a set time."""
        _refuse_closed(server, "voices come through Git and the registry; the operator may allow this (zero_shot)")
        return shown(await _made(server, request, await read_form(request), language="language", text="text"))

    @router.delete(f"{VOICES}/{{name}}", responses=_ERRORS, tags=["voices"])
    async def remove(name: Id, request: Request) -> VoiceGone:
        """Remove a voice that this key made of a recording."""
        if not server.zero_shot.names(name):
            if server.library.entries.get(name) is None:
                raise server.library.unknown(name, "name")
            raise ApiError(
                403, f"voice {name[:63]!r} is one of the registry", "delete its folder in Git, or: timbre retire",
                param="name",
            )  # fmt: skip
        record = server.zero_shot.get(name, owner_of(request))
        if record.owner is None:
            raise ApiError(403, f"voice {name[:63]!r} is the operator's", "ask the operator", param="name")
        server.zero_shot.remove(record)
        server.log.info("a voice of one recording was removed", extra={"voice": record.id})
        return VoiceGone(id=record.id)

    @router.post(
        TTS_FORM, response_class=Response, responses=NATIVE_RESPONSES, openapi_extra=_body(_FORM, ["text"]),
        tags=["speech"],
    )  # fmt: skip
    async def tts_form(request: Request) -> Response:
        """POST /tts as a form: its fields, and a recording to speak like, which is kept as POST /v1/audio/voices."""
        form = await read_form(request)
        body = _tts_body(form)
        if not form.files:
            return await speak_tts(server, body, request)
        _refuse_closed(server, "new voices come through Git; the operator may allow this (zero_shot)")
        record = await _made(server, request, form, language="prompt_lang", text="prompt_text")
        return await speak_tts(server, body.model_copy(update=_only(record.id)), request)

    return router


def owner_of(request: Request) -> str:
    """Whose request it is, as Authenticator.owner says."""
    return str(request.scope["state"]["owner"])


def shown(record: Record) -> VoiceInfo:
    """As lists show it."""
    return VoiceInfo(
        id=record.id, name=record.title or record.id, kind="zero_shot", state="ready", version=ZERO_SHOT,
        aliases={}, languages=[record.language], base=record.base, rights=None, versions=[], problem=None,
        created_at=int(record.created_s), expires_at=int(record.expires_s), consent=record.consent,
    )  # fmt: skip


def _refuse_closed(server: Server, why: str) -> None:
    if not server.settings.zero_shot:
        raise ApiError(
            403, f"voices of one recording are not offered here: {why}", "name a voice of GET /v1/audio/voices",
            code="zero_shot_closed",
        )  # fmt: skip


async def _made(server: Server, request: Request, form: Form, *, language: str, text: str) -> Record:
    for name, longest in (("name", _LONGEST_TITLE), (text, _LONGEST_TEXT)):
        if len(form.texts.get(name, "")) > longest:
            raise ApiError(
                413, f"{name}: {len(form.texts[name])} characters, the limit is {longest}", "shorten it", param=name
            )
    recording = form.file(*_AUDIO)
    if "consent" not in form.files:
        raise ApiError(
            403, "consent: no statement was sent",
            "send a recording in which the same person agrees, as the file `consent`",
            code="consent_missing", param="consent",
        )  # fmt: skip
    title = "".join(letter for letter in form.texts.get("name", "") if letter.isprintable())
    wanted = Wanted(
        owner_of(request), recording, form.files["consent"], language=form.texts.get(language, "").strip().lower(),
        text=form.texts.get(text, ""), title=title, base=form.texts.get("model", "").strip(),
        statement_language=form.texts.get("consent_language", "").strip().lower(),
        recording_field=next(name for name in _AUDIO if name in form.files),
    )  # fmt: skip
    return await server.maker.make(wanted)


def _tts_body(form: Form) -> TtsBody:
    """Raises RequestValidationError as a JSON body would."""
    try:
        return TtsBody.model_validate(
            {name: value for name, value in form.texts.items() if value != "" or name == "text"}
        )
    except ValidationError as error:
        raise RequestValidationError(
            [{**item, "loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
        ) from None


def _only(voice: str) -> dict[str, Any]:
    return {"spk": voice, "voice": None, "ref_audio_path": None, "audio_file": None, "aux_ref_audio_paths": None}
