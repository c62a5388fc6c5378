"""One call of a forge's API (GitLab, GitHub, Gitea) with a token, which leaves neither by http nor to another host.

method, URL, headers with the token, body -> plain data of the JSON answer
"""

from __future__ import annotations

import ipaddress
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.core.printable import printable

_TIMEOUT_S = 20
_MOST_BYTES = 8 << 20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def forge_call(method: str, url: str, secret: Mapping[str, str], variables: tuple[str, str], body: Any = None) -> Any:
    """Calls a forge and returns its JSON answer as plain data.

    secret: header that holds the token; variables: names of those that hold the token and the address. Raises
    ConfigurationError for a plain http address that is not this machine and for a refusal, InfrastructureError for a
    forge that does not answer or not as JSON.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme != "https" and not _is_here(parts.hostname or ""):
        message = f"{parts.scheme}://{host}: a token is sent by https only"
        raise ConfigurationError(message, f"set {variables[1]} to an https address")
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "timbre"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={**headers, **secret}, method=method)
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
            return json.loads(answer.read(_MOST_BYTES))
    except urllib.error.HTTPError as error:
        said = printable(error.read(400).decode("utf-8", "replace"))
        message = f"{host} answers {error.code} to {method} {parts.path}: {said}"
        if error.code >= 500 or error.code == 429:
            raise InfrastructureError(message, "try again later") from error
        raise ConfigurationError(message, f"check the rights of the token in {variables[0]}") from error
    except (OSError, ValueError) as error:
        raise InfrastructureError(f"{host}: {error}", "check the network") from error


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
