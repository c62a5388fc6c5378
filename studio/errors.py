"""What the studio refuses. `code` is for the page, which says it in the language of the person; the rest is English."""

from __future__ import annotations

from timbre.core.errors import InputError


class StudioError(InputError):
    """status: of the HTTP answer. values: what the words of the page need (a name, a number)."""

    def __init__(self, status: int, code: str, message: str, remedy: str = "", **values: str | int | float) -> None:
        super().__init__(message, remedy)
        self.status = status
        self.code = code
        self.values = values
