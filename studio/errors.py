"""What the studio refuses. `code` is for the page, which says it in the language of the person; the rest is English."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from timbre.core.errors import InputError


class StudioError(InputError):
    """status: of the HTTP answer. values: what the words of the page need (a name, a number)."""

    def __init__(self, status: int, code: str, message: str, remedy: str = "", **values: str | int | float) -> None:
        super().__init__(message, remedy)
        self.status = status
        self.code = code
        self.values = values


def error_answer(
    status: int, code: str, message: str, remedy: str = "", values: dict[str, Any] | None = None
) -> JSONResponse:
    """One shape for everything that goes wrong."""
    return JSONResponse({"error": {"code": code, "message": message, "remedy": remedy, "values": values or {}}}, status)
