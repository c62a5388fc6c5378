"""One file over HTTP, continued by byte range where an earlier attempt stopped.

url -> <path>.part, growing -> path
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from timbre.core.errors import ConfigurationError, InfrastructureError

_CHUNK_BYTES = 1 << 20
TIMEOUT_S = 60


def download(url: str, path: Path, headers: Mapping[str, str] | None = None, what: str = "") -> None:
    """Downloads url to path. What has come before an interruption stays in <path>.part and is not asked for again.

    headers: sent with the request; do not put credentials there for a url that may redirect to another host.
    what: name for messages. Raises InfrastructureError when a retry may help, ConfigurationError when it will not,
    OSError when the disk refuses.
    """
    what = what or url
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise ConfigurationError(f"{what}: url {url!r} is not https", "correct the url")
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers=dict(headers or {}))
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            length = int(answer.headers.get("Content-Length") or -1)
            with part.open("ab" if answer.status == 206 else "wb") as file:
                start = file.tell()
                while chunk := answer.read(_CHUNK_BYTES):
                    file.write(chunk)
                received = file.tell() - start
    except urllib.error.HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}":
            part.replace(path)  # it was complete, and the process ended before it got its name
            return
        if error.code == 416:
            part.unlink()
        if error.code in (401, 403, 404, 410):
            raise ConfigurationError(
                f"{what}: the server answered {error.code}", "check the credentials, or pull with --from DIR"
            ) from error
        raise unreachable(what, error) from error
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise unreachable(what, error) from error
    if 0 <= length != received:
        raise unreachable(what, EOFError(f"{received} of {length} bytes came"))
    part.replace(path)


def unreachable(what: str, error: BaseException) -> InfrastructureError:
    """The error for a server that does not answer as it should."""
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return InfrastructureError(
        f"{what}: not reachable: {reason[0]}",
        "run again to resume. Without network: timbre base pull NAME --from DIR",
    )
