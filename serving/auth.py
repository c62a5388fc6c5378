"""Who may speak: API keys and HS256 tokens, compared in constant time; open paths for probes and the page itself."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from timbre.serving.errors import ApiError
from timbre.serving.settings import ServeSettings
from timbre.serving.tokens import TokenRules

OPEN_PATHS = frozenset(
    ("/", "/page.js", "/page.css", "/favicon.ico", "/livez", "/readyz", "/health", "/v2/health/live",
     "/v2/health/ready")
)  # fmt: skip
_KEY_HEADERS = (b"x-api-key", b"xi-api-key")


class Authenticator:
    """Decides from headers alone. Keys are kept as digests, so that comparing never depends on their length."""

    def __init__(self, settings: ServeSettings) -> None:
        self._keys = [_digest(key.encode()) for key in settings.api_keys]
        self._tokens = TokenRules(settings.jwt_secret, settings.jwt_audience, settings.jwt_issuer)
        self.closed = settings.guarded

    def check(self, path: str, known: bool, headers: Mapping[bytes, bytes]) -> None:
        """Raises ApiError 401 unless the path is open or the caller is `known`, which `knows` says of these headers."""
        if path not in OPEN_PATHS and not known:
            given = "this API key or token is not valid here" if self._given(headers) else "no API key was sent"
            raise _unauthorized(given)

    def knows(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether nothing is asked for, or a key or token fits."""
        if not self.closed:
            return True
        given = self._given(headers)
        if any(hmac.compare_digest(_digest(given), key) for key in self._keys):
            return True
        return self._tokens.accepts(given)

    def owner(self, headers: Mapping[bytes, bytes]) -> str:
        """Whose things these are: a digest of the key, or of a token's issuer and subject; "" where none is needed.

        headers: that `knows` accepts. Tokens without a subject are one owner.
        """
        if not self.closed:
            return ""
        given = self._given(headers)
        if any(hmac.compare_digest(_digest(given), key) for key in self._keys):
            return _digest(b"owner key " + given).hex()[:24]
        return _digest(b"owner token " + self._tokens.subject(given).encode()).hex()[:24]

    @staticmethod
    def _given(headers: Mapping[bytes, bytes]) -> bytes:
        scheme, _, rest = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer" and rest.strip():
            return rest.strip()
        return next((headers[name].strip() for name in _KEY_HEADERS if headers.get(name, b"").strip()), b"")


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _unauthorized(message: str) -> ApiError:
    return ApiError(
        401, message, "send `Authorization: Bearer KEY` or `X-API-Key: KEY`", headers={"WWW-Authenticate": "Bearer"}
    )
