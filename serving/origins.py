"""Which pages of a browser may reach a server that asks for no key: those of this machine, and those of cors_origins.

A page of any site can point its own name at 127.0.0.1, or embed a picture whose address speaks. Both carry headers that
a page cannot forge: Host, Origin and Sec-Fetch-Site.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from timbre.serving.auth import OPEN_PATHS
from timbre.serving.errors import ApiError
from timbre.serving.settings import ServeSettings

_OWN = (b"same-origin", b"same-site", b"none")
"""same-site: another port of this machine, since the host was checked."""


class Origins:
    """Decides from headers alone."""

    def __init__(self, settings: ServeSettings) -> None:
        self._hosts = frozenset(name.lower().rstrip(".") for name in settings.allowed_hosts)
        self._cors = frozenset(origin.rstrip("/").lower() for origin in settings.cors_origins)
        # A key or token is what no other site's page has.
        self._keyless = settings.loopback and not settings.guarded and not settings.open_access

    def check(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Raises ApiError 421 for a host name that is not this server's, 403 for a page of another site."""
        host = host_name(headers.get(b"host", b"").decode("latin-1"))
        if host and not self._known(host):
            raise ApiError(
                421, f"this server is not {host[:100]!r}",
                "name it by its address or localhost, or add the name to allowed_hosts", code="wrong_host",
            )  # fmt: skip
        if self._keyless and path not in OPEN_PATHS and self._foreign(headers, host):
            raise ApiError(
                403, "a page of another site asks, and this server asks for no key",
                "add the page's origin to cors_origins, or ask for a key", code="cross_site",
            )  # fmt: skip

    def _known(self, host: str) -> bool:
        if self._hosts:
            return host in self._hosts or _is_here(host)
        return not self._keyless or _is_here(host)

    def _foreign(self, headers: Mapping[bytes, bytes], host: str) -> bool:
        origin = headers.get(b"origin", b"").decode("latin-1").lower().rstrip("/")
        if "*" in self._cors or (origin and origin in self._cors):
            return False
        if headers.get(b"sec-fetch-site", b"none") not in _OWN:
            return True
        # Browsers before Sec-Fetch-Site send Origin with whatever is not a plain GET.
        return bool(origin) and host_name(origin.partition("://")[2]) != host


def host_name(given: str) -> str:
    """The name or address of a Host header, without port, in small letters: '[::1]:9880' -> '::1'."""
    given = given.strip().lower()
    if given.startswith("["):
        return given[1:].partition("]")[0]
    return given.partition(":")[0].rstrip(".")


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
