"""What a failed request to a Hub means to a person, and which failures are worth another attempt."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from httpx2 import TransportError
from huggingface_hub.errors import HfHubHTTPError

from timbre.core.errors import ConfigurationError, InfrastructureError, TimbreError

_AGAIN = {408, 425, 429, 500, 502, 503, 504}
T = TypeVar("T")


def status_of(error: BaseException) -> int:
    """HTTP status of the answer behind an exception (its own or its cause's); 0 when there was no answer."""
    response = getattr(error, "response", None)
    if response is not None:
        return int(response.status_code)
    return status_of(error.__cause__) if error.__cause__ is not None else 0


def attempted(
    call: Callable[[], T], what: str, *, attempts: int, longest_s: float, sleep: Callable[[float], None]
) -> T:
    """call() again after lost connections, server errors and rate limits (Retry-After is obeyed up to longest_s).

    what: begins the message ("registry hf://a/b: cannot read x"). Raises ConfigurationError or InfrastructureError; the
    client's own errors for 404, 409 and 412 pass, because their meaning depends on the call.
    """
    for attempt in range(1, attempts + 1):
        try:
            return call()
        except (HfHubHTTPError, TransportError, RuntimeError, OSError) as error:
            status = status_of(error)
            if status in (404, 409, 412) and isinstance(error, HfHubHTTPError):
                raise
            wait_s = _wait(error, status, attempt)
            if (status and status not in _AGAIN) or attempt == attempts or wait_s > longest_s:
                raise _meaning(what, error, status) from error
            sleep(wait_s)
    raise AssertionError("unreachable")


def _wait(error: BaseException, status: int, attempt: int) -> float:
    asked = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After", "") if status == 429 else ""
    jittered = random.uniform(0, min(8.0, 0.2 * 2**attempt))
    return float(asked) + jittered if asked.isdigit() else jittered


def _meaning(what: str, error: BaseException, status: int) -> TimbreError:
    said = str(getattr(error, "server_message", "") or error).strip().splitlines()
    text = f"{what}: {f'HTTP {status}' if status else type(error).__name__}{f' ({said[0][:200]})' if said else ''}"
    if status in (401, 403):
        return ConfigurationError(text, "set HF_TOKEN to a token that may write to this repository")
    if status == 429:
        return InfrastructureError(text, "the Hub limits requests: run the command again later, or use another store")
    if status in _AGAIN or not status:
        return InfrastructureError(text, "check the network and the Hub, then run the command again")
    return ConfigurationError(text, "check the registry's address")
