"""The addresses that the page calls. Work on files and networks runs in threads, bodies are raw recordings or JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import PurePosixPath
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from timbre.core.errors import TimbreError
from timbre.core.languages import LANGUAGES
from timbre.core.recipe import ValidateRecipe
from timbre.studio.desk import Desk, NewVoiceForm
from timbre.studio.door import BodyTooLargeError
from timbre.studio.errors import StudioError, error_answer
from timbre.studio.imports import Imports
from timbre.studio.quiet import SHORTEST_S, measure
from timbre.studio.sound import as_file, as_waveform

MEDIA = {".flac": "audio/flac", ".wav": "audio/wav", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".m4a": "audio/mp4"}
Handler = Callable[[Request], Awaitable[Response]]


def studio_routes(desk: Desk, imports: Imports, may: frozenset[str], repository: str) -> list[Route]:
    """Every route below /api. may: roles of the person, for the page to show what they can do. repository: its name."""
    calls = Calls(desk, imports, may, repository)
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/api/state", calls.state),
        ("POST", "/api/voices", calls.make),
        ("GET", "/api/voices/{voice}", calls.view),
        ("POST", "/api/voices/{voice}/rights", calls.rights),
        ("PUT", "/api/voices/{voice}/takes/{line}", calls.take),
        ("GET", "/api/voices/{voice}/takes/{line}", calls.listen),
        ("DELETE", "/api/voices/{voice}/takes/{line}", calls.delete),
        ("POST", "/api/voices/{voice}/takes/{line}/judge", calls.judge),
        ("POST", "/api/voices/{voice}/takes/{line}/back", calls.bring_back),
        ("PUT", "/api/voices/{voice}/consent", calls.statement),
        ("GET", "/api/voices/{voice}/consent", calls.listen_statement),
        ("DELETE", "/api/voices/{voice}/consent", calls.withdraw),
        ("POST", "/api/quiet", calls.quiet),
        ("POST", "/api/imports", calls.begin_import),
        ("PUT", "/api/imports/{number}/file", calls.add_import),
        ("POST", "/api/imports/{number}", calls.finish_import),
        ("DELETE", "/api/imports/{number}", calls.drop_import),
    ]
    return [Route(path, guarded(handler), methods=[method]) for method, path, handler in table]


class Calls:
    """The handlers."""

    def __init__(self, desk: Desk, imports: Imports, may: frozenset[str], repository: str) -> None:
        self._desk = desk
        self._repository = repository
        self._may = sorted(may)
        self._imports = imports

    async def state(self, _: Request) -> Response:
        voices, bases = await run_in_threadpool(lambda: (self._desk.voices(), self._desk.bases()))
        about = {"voices": voices, "bases": bases, "languages": list(LANGUAGES), "repository": self._repository}
        return JSONResponse({**about, "may": self._may})

    async def make(self, request: Request) -> Response:
        form = NewVoiceForm.read(await json_body(request))
        book = await run_in_threadpool(self._desk.make, form)
        return await self._shown(book.name, 201)

    async def view(self, request: Request) -> Response:
        voice = request.path_params["voice"]
        if request.query_params.get("since") == str((await run_in_threadpool(self._desk.book, voice)).revision):
            return Response(status_code=204)
        return await self._shown(voice)

    async def rights(self, request: Request) -> Response:
        values = await json_body(request)
        base = {"name": "x", "language": "x", "base": "x"}
        form = NewVoiceForm.read({**values, **base} if isinstance(values, dict) else None)
        await run_in_threadpool(self._desk.set_rights, request.path_params["voice"], form.speaker, form.purpose)
        return await self._shown(request.path_params["voice"])

    async def take(self, request: Request) -> Response:
        """Stores first, judges afterwards: what the person said is safe whatever the judge does."""
        voice, key = request.path_params["voice"], request.path_params["line"]
        body = await request.body()

        def work() -> float:
            book = self._desk.book(voice)
            book.take(key, as_file(body))
            started = time.perf_counter()
            self._desk.judges.judge(book, book.line(key))
            return time.perf_counter() - started

        judged_s = await run_in_threadpool(work)
        return await self._shown(voice, judged_s=round(judged_s, 3))

    async def judge(self, request: Request) -> Response:
        voice, key = request.path_params["voice"], request.path_params["line"]

        def work() -> None:
            book = self._desk.book(voice)
            line = book.line(key)
            if line.file:
                self._desk.judges.judge(book, line)

        await run_in_threadpool(work)
        return await self._shown(voice)

    async def listen(self, request: Request) -> Response:
        book = await run_in_threadpool(self._desk.book, request.path_params["voice"])
        line = await run_in_threadpool(book.line, request.path_params["line"])
        if not line.file:
            raise StudioError(404, "no-take", f"line {line.id}: no take", line=line.id)
        return await self._sound(request.path_params["voice"], line.file)

    async def listen_statement(self, request: Request) -> Response:
        book = await run_in_threadpool(self._desk.book, request.path_params["voice"])
        return await self._sound(request.path_params["voice"], book.statement)

    async def delete(self, request: Request) -> Response:
        voice = request.path_params["voice"]
        await run_in_threadpool(self._desk.book(voice).delete, request.path_params["line"])
        return await self._shown(voice)

    async def bring_back(self, request: Request) -> Response:
        voice, key = request.path_params["voice"], request.path_params["line"]

        def work() -> None:
            book = self._desk.book(voice)
            book.bring_back(key)
            line = book.line(key)
            if self._desk.judges.known(book, line) is None:
                self._desk.judges.judge(book, line)

        await run_in_threadpool(work)
        return await self._shown(voice)

    async def statement(self, request: Request) -> Response:
        voice = request.path_params["voice"]
        body = await request.body()

        def work() -> None:
            book = self._desk.book(voice)
            suffix = PurePosixPath(book.statement).suffix.lower()
            if suffix not in (".flac", ".wav"):
                message = f"voice.yaml: consent.statement {book.statement!r}: expected a WAV or FLAC file"
                raise StudioError(409, "settings", message, "name consent.flac there", voice=voice)
            book.keep_statement(as_file(body, suffix))

        await run_in_threadpool(work)
        return await self._shown(voice)

    async def withdraw(self, request: Request) -> Response:
        """The name of the voice has to be given again: this cannot be undone."""
        voice = request.path_params["voice"]
        values = await json_body(request)
        if not isinstance(values, dict) or values.get("voice") != voice:
            raise StudioError(400, "field", "voice: expected the name of the voice", "type it again", field="voice")
        removed = await run_in_threadpool(self._desk.withdraw, voice)
        return await self._shown(voice, removed=removed)

    async def quiet(self, request: Request) -> Response:
        wave = await run_in_threadpool(as_waveform, await request.body())
        if wave.duration_s < SHORTEST_S:
            raise StudioError(400, "too-short", f"{wave.duration_s:.1f} s of sound", "record two seconds of silence")
        found = await run_in_threadpool(measure, wave, ValidateRecipe())
        return JSONResponse(
            {"level_dbfs": found.level_dbfs, "snr_db": found.snr_db, "verdict": found.verdict, "advice": found.advice}
        )

    async def begin_import(self, _: Request) -> Response:
        return JSONResponse({"number": await run_in_threadpool(self._imports.begin)}, 201)

    async def add_import(self, request: Request) -> Response:
        name = request.query_params.get("name", "")
        await self._imports.add(request.path_params["number"], name, request.stream())
        return Response(status_code=204)

    async def finish_import(self, request: Request) -> Response:
        values = await json_body(request)
        known = values if isinstance(values, dict) else {}
        name, language, base = (str(known.get(key, ""))[:100] for key in ("name", "language", "base"))
        made = await run_in_threadpool(self._imports.finish, request.path_params["number"], name, language, base)
        return await self._shown(name, 201, rows=made.rows, notes=made.notes)

    async def drop_import(self, request: Request) -> Response:
        await run_in_threadpool(self._imports.drop, request.path_params["number"])
        return Response(status_code=204)

    async def _shown(self, voice: str, status: int = 200, **more: Any) -> Response:
        return JSONResponse({**await run_in_threadpool(self._desk.view, voice), **more}, status)

    async def _sound(self, voice: str, file: str) -> Response:
        data = await run_in_threadpool(self._desk.book(voice).files.read, file)
        return Response(data, media_type=MEDIA.get(PurePosixPath(file).suffix.lower(), "application/octet-stream"))


async def json_body(request: Request) -> Any:
    """The body as JSON. Raises StudioError."""
    try:
        return json.loads(await request.body())
    except ValueError:
        raise StudioError(400, "no-json", "the body is not JSON", "reload the page") from None


def guarded(handler: Handler) -> Handler:
    """Errors as JSON: code for the page, words for everybody else."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except StudioError as error:
            return error_answer(error.status, error.code, error.message, error.remedy, error.values)
        except TimbreError as error:
            return error_answer(409, "refused", error.message, error.remedy)
        except BodyTooLargeError:
            return error_answer(413, "too-large", "more bytes than a recording has", "record one line at a time")
        except ClientDisconnect:
            return Response(status_code=499)

    return answer
