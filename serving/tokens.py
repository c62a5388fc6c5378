"""HS256 tokens (RFC 7519) read with the standard library: one algorithm, one secret, nothing to choose for a sender."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard

_LEEWAY_S = 30
_LONGEST = 8192
_LATEST_S = 253402300800
"""The year 10000: what ends later never ends, which no token may."""


@dataclass(frozen=True)
class TokenRules:
    """What a token must fit."""

    secret: str
    """Key of HMAC-SHA256; no token is accepted if empty."""
    audience: str = ""
    """Not checked if empty."""
    issuer: str = ""
    """Not checked if empty."""
    now: Callable[[], float] = time.time
    """Seconds since 1970."""

    def accepts(self, token: bytes) -> bool:
        """Whether the token was signed with the secret, has an `exp` in the future, and names audience and issuer.

        The header may say nothing but HS256: a token that chooses its own algorithm is refused.
        """
        parts = token.split(b".")
        if not self.secret or len(parts) != 3 or len(token) > _LONGEST:
            return False
        signed = parts[0] + b"." + parts[1]
        signature = hmac.new(self.secret.encode(), signed, hashlib.sha256).digest()
        given = _decoded(parts[2])
        if given is None or not hmac.compare_digest(signature, given):
            return False
        header, claims = _object(parts[0]), _object(parts[1])
        if header is None or claims is None or header.get("alg") != "HS256" or "crit" in header:
            return False
        return self._in_time(claims) and self._addressed(claims)

    def subject(self, token: bytes) -> str:
        """Issuer and subject of a token that was accepted; the same for all that name none."""
        claims = _object(token.split(b".")[1]) or {}
        return json.dumps([str(claims.get("iss", "")), str(claims.get("sub", ""))])

    def _in_time(self, claims: dict[str, Any]) -> bool:
        now = self.now()
        ends, begins = claims.get("exp"), claims.get("nbf", 0)
        if not _is_number(ends) or not _is_number(begins):
            return False
        return begins - _LEEWAY_S <= now < ends + _LEEWAY_S

    def _addressed(self, claims: dict[str, Any]) -> bool:
        named = claims.get("aud")
        audiences = named if isinstance(named, list) else [named]
        if self.audience and self.audience not in audiences:
            return False
        return not self.issuer or claims.get("iss") == self.issuer


def _is_number(value: object) -> TypeGuard[float]:
    # A whole number may be too large for a float, and Infinity would never end.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LATEST_S


def _decoded(part: bytes) -> bytes | None:
    try:
        return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _object(part: bytes) -> dict[str, Any] | None:
    data = _decoded(part)
    try:
        found = json.loads(data) if data is not None else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
