"""FastAPI imported without what no request of this server needs: a quarter of the time that it takes by itself."""

from __future__ import annotations

import sys


def import_fastapi() -> None:
    """To be called before anything else imports it.

    FastAPI asks of every model whether it is one of Pydantic 1, which it does not take, and would import all of that
    for the answer. It also has a model for every part of an OpenAPI document, forty of them; they are built when a
    client asks for that document. Models of requests are defined later, and built at once.
    """
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True
    try:
        import fastapi  # noqa: F401
    finally:
        del BaseModel.model_config["defer_build"]
