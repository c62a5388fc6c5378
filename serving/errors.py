"""Errors as HTTP responses: a status, a code for programs, a message and a remedy for people.

OpenAI's routes answer in OpenAI's shape, every other route in one shape of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

from timbre.core.cancellation import Interrupted
from timbre.core.errors import ConfigurationError, InfrastructureError, InputError, TimbreError
from timbre.inference.errors import GraphError, TooLongError, VoiceError
from timbre.registry.errors import CorruptError, NotFoundError, RetiredError, RevokedError

OPENAI_PREFIX = "/v1/"
_CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "refused",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    410: "gone",
    413: "too_large",
    421: "wrong_host",
    415: "unsupported_media_type",
    426: "upgrade_required",
    429: "queue_full",
    500: "internal_error",
    503: "unavailable",
}


class ApiError(HTTPException):
    """An error response. param: the invalid field, if any; headers: sent with the response."""

    def __init__(
        self,
        status: int,
        message: str,
        remedy: str = "",
        *,
        code: str = "",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.message = message
        self.remedy = remedy
        self.code = code or _CODES.get(status, "error")
        self.param = param


def explain(error: BaseException) -> ApiError | None:
    """The answer to a user-facing error; None for a bug.

    Details of the operator's machine (paths, stores) are logged, not sent.
    """
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RevokedError):
        return ApiError(410, error.message, error.remedy, code="voice_revoked", param="voice")
    if isinstance(error, RetiredError):
        return ApiError(410, error.message, "use another voice", code="voice_retired", param="voice")
    if isinstance(error, NotFoundError):
        return ApiError(404, error.message, error.remedy, code="voice_not_found", param="voice")
    if isinstance(error, VoiceError | GraphError | CorruptError | ConfigurationError):
        return unavailable("this voice cannot be loaded; the server's log says why")
    if isinstance(error, Interrupted):
        return unavailable("the server is shutting down")
    if isinstance(error, TooLongError):
        return ApiError(413, error.message, error.remedy)
    if isinstance(error, InputError):
        return ApiError(400, error.message, error.remedy)
    if isinstance(error, InfrastructureError | TimbreError):
        return unavailable("the engine could not finish this request")
    if type(error).__module__.startswith("onnxruntime"):
        # Its classes are not public. The device is full or gone, or the graph met a shape that it cannot take.
        return unavailable("the engine could not run this request; the server's log says why", code="engine_failed")
    return None


def bug() -> ApiError:
    """500: the log says what it was."""
    return ApiError(500, "something went wrong inside the server", "its log has the details")


def unavailable(message: str, *, retry_after_s: int = 5, code: str = "unavailable") -> ApiError:
    """503 with Retry-After."""
    remedy = f"try again in {retry_after_s} s"
    return ApiError(503, message, remedy, code=code, headers={"Retry-After": str(retry_after_s)})


def error_body(error: ApiError, path: str, request_id: str) -> dict[str, Any]:
    """The JSON object that answers for a path."""
    if path.startswith(OPENAI_PREFIX):
        kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(error.status_code, kind)
        message = f"{error.message}; {error.remedy}" if error.remedy else error.message
        return {"error": {"message": message, "type": kind, "param": error.param, "code": error.code}}
    return {"code": error.code, "message": error.message, "remedy": error.remedy, "request_id": request_id}


def error_response(error: ApiError, scope: Scope) -> JSONResponse:
    """The JSON answer of an error."""
    body = error_body(error, scope["path"], scope.get("state", {}).get("request_id", ""))
    return JSONResponse(body, error.status_code, dict(error.headers or {}))
