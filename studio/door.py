"""Who may come in: the holder of a code that works once, from a page of this very address.

request -> proxy, where there is one -> Host, Origin, Sec-Fetch-Site -> cookie of a session -> size -> application
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Protocol
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from timbre.studio.errors import error_answer
from timbre.studio.people import Network

ENTER = "/enter"
SESSION = "timbre.session"
"""Key of the ASGI scope under which the application finds the session."""
_SAFE = ("GET", "HEAD")
# Letters and digits that are not taken for each other when they are read from a screen.
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_CODE_LENGTH = 16
_MOST_WRONG = 20
MAX_BODY_BYTES = 24 << 20
MAX_IMPORT_BYTES = 512 << 20
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_NO_ENTRY = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Timbre Studio</title>
<link rel="stylesheet" href="/page.css"><link rel="stylesheet" href="/studio.css"><main><h1>Timbre Studio</h1>
<form action="/enter"><label>Code <span lang="zh">验证码</span>
<input name="code" autocomplete="off" autocapitalize="none" spellcheck="false" required></label>
<p><button class="main">OK</button></p></form>
<p>This address needs a code. Type the one that <code>timbre studio</code> printed last, or open its link: each code
works once.</p>
<p lang="zh">打开此页面需要验证码。请输入 <code>timbre studio</code> 最后打印的验证码，或打开它的链接，
每个验证码只能用一次。</p></main></html>"""
_KEY_WANTED = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Timbre Studio</title>
<link rel="stylesheet" href="/page.css"><link rel="stylesheet" href="/studio.css"><main><h1>Timbre Studio</h1>
<form id="enter"><label>Your key <span lang="zh">您的密钥</span>
<input name="key" type="password" autocomplete="current-password" required></label>
<p id="wrong" role="alert" hidden>This key is not valid here. <span lang="zh">此处没有这个密钥。</span></p>
<p><button class="main">OK</button></p></form>
<p>The operator of this studio gave you a key.</p><p lang="zh">密钥由录音室的管理员发放。</p></main>
<script src="/enter.js" type="module"></script></html>"""
_OPEN_FILES = ("/page.css", "/studio.css", "/favicon.ico", "/enter.js")
_MOST_KEY_BYTES = 1024


class Keys(Protocol):
    """What opens sessions: Codes, or the keys of people."""

    def enter(self, given: str) -> str | None:
        """A new session, None for what opens none."""

    def knows(self, session: str) -> bool:
        """Whether a session was made here."""


class Codes:
    """The code that lets the next browser in. tell: called with each new code, since the one before is used up."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._wrong = 0
        self._sessions: set[str] = set()
        self._code = _new_code()

    @property
    def code(self) -> str:
        """The code that works now."""
        return self._code

    def enter(self, given: str) -> str | None:
        """A new session for the right code, once. After many wrong ones the code changes, so that guessing is idle."""
        with self._lock:
            if not hmac.compare_digest(_plain(given).encode(), self._code.encode()):
                self._wrong += 1
                if self._wrong >= _MOST_WRONG:
                    self._renew()
                return None
            session = secrets.token_urlsafe(32)
            self._sessions.add(session)
            self._renew()
            return session

    def knows(self, session: str) -> bool:
        """Whether a session was made here."""
        return any(hmac.compare_digest(session.encode(), one.encode()) for one in list(self._sessions))

    def _renew(self) -> None:
        self._wrong = 0
        self._code = _new_code()
        self._tell(self._code)


def _plain(given: str) -> str:
    """As people type it from a screen."""
    return "".join(character for character in given.lower() if character.isalnum())[:64]


def _new_code() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))


class Door:
    """ASGI middleware. hosts: names and addresses that this studio is reached by, without port. lasting: keys are not
    used up, so they are sent in a body, which no history of a browser keeps. proxies: where the reverse proxy connects
    from that speaks HTTPS to browsers; nobody else gets an answer then, and `hosts` are the names that browsers send,
    with their port unless it is 443.
    """

    def __init__(
        self,
        app: ASGIApp,
        codes: Keys,
        hosts: frozenset[str],
        port: int,
        secure: bool,
        lasting: bool = False,
        proxies: Sequence[Network] = (),
    ) -> None:
        self._lasting = lasting
        self._app = app
        self._codes = codes
        self._proxies = tuple(proxies)
        self._names = hosts if proxies else frozenset(f"{_bracketed(host)}:{port}" for host in hosts)
        self._scheme = "https" if secure else "http"
        # Cookies know no ports: two studios on one machine must not take each other's. The prefix keeps other names of
        # the same domain from setting one.
        self._cookie = f"{'__Host-' if secure else ''}timbre-studio-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refused(scope, headers)
        if refused is not None:
            await refused(scope, receive, _with_headers(send))
            return
        if scope["path"] == ENTER and self._lasting:
            await (await self._enter_with_key(receive))(scope, receive, _with_headers(send))
            return
        scope = {**scope, SESSION: _cookie(headers.get(b"cookie", ""), self._cookie)}
        most = MAX_IMPORT_BYTES if scope["path"].startswith("/api/imports") else MAX_BODY_BYTES
        await self._app(scope, _Bounded(receive, most), _with_headers(send))

    def _refused(self, scope: Scope, headers: Mapping[bytes, str]) -> Response | None:
        path, host = scope["path"], headers.get(b"host", "").lower()
        if self._proxies and not self._by_proxy(scope, headers):
            remedy = "open its https address; the proxy sets X-Forwarded-Proto to the scheme that browsers use"
            return error_answer(403, "not-by-proxy", "this studio answers its proxy, for pages by https, only", remedy)
        if host not in self._names:
            return error_answer(421, "wrong-host", f"this studio is not {host[:100]!r}")
        if scope["method"] not in _SAFE and not self._own_page(host, headers):
            return error_answer(403, "foreign-page", "a page of another site asks")
        # Only a printed link may come from elsewhere.
        linked = path == ENTER and scope["method"] in _SAFE
        if headers.get(b"sec-fetch-site", "none") not in ("same-origin", "none") and not linked:
            return error_answer(403, "foreign-page", "a page of another site asks")
        if path == ENTER and self._lasting:
            return None if scope["method"] == "POST" else _key_wanted()
        if path == ENTER:
            return self._enter(scope)
        if path in _OPEN_FILES or self._codes.knows(_cookie(headers.get(b"cookie", ""), self._cookie)):
            return None
        if path.startswith("/api/"):
            return error_answer(401, "no-session", "no session: open the link that `timbre studio` printed last")
        return _key_wanted() if self._lasting else _no_entry()

    def _by_proxy(self, scope: Scope, headers: Mapping[bytes, str]) -> bool:
        """Whether the trusted proxy hands on what a browser sent by HTTPS: no page by plain HTTP asks for a key."""
        try:
            peer = ipaddress.ip_address(scope["client"][0])
        except (KeyError, TypeError, ValueError):
            return False
        peer = getattr(peer, "ipv4_mapped", None) or peer
        known = any(peer in network for network in self._proxies)
        return known and headers.get(b"x-forwarded-proto", "").lower() == "https"

    def _own_page(self, host: str, headers: Mapping[bytes, str]) -> bool:
        # A page of another site cannot send this header without asking first, and is never allowed to.
        return headers.get(b"origin", "").lower() == f"{self._scheme}://{host}" and b"x-timbre-studio" in headers

    def _enter(self, scope: Scope) -> Response:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("code", [""])[0]
        session = self._codes.enter(given) if scope["method"] == "GET" else None
        if session is None:
            return _no_entry()
        return self._let_in(RedirectResponse("/", 303), session)

    async def _enter_with_key(self, receive: Receive) -> Response:
        bounded, given, more = _Bounded(receive, _MOST_KEY_BYTES), b"", True
        try:
            while more:
                message = await bounded()
                given, more = given + message.get("body", b""), message.get("more_body", False)
        except BodyTooLargeError:
            given = b""
        session = self._codes.enter(given.decode("utf-8", "replace"))
        if session is None:
            return error_answer(401, "no-session", "no such key", "ask the operator for a key")
        return self._let_in(Response(status_code=204), session)

    def _let_in(self, answer: Response, session: str) -> Response:
        answer.set_cookie(
            self._cookie, session, httponly=True, samesite="strict", secure=self._scheme == "https", path="/"
        )
        return answer


class _Bounded:
    """A request's body that may not grow beyond a size: the rest is not read."""

    def __init__(self, receive: Receive, most_bytes: int) -> None:
        self._receive = receive
        self._left = most_bytes

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise BodyTooLargeError
        return message


class BodyTooLargeError(Exception):
    """More than a recording can be."""


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message["headers"]}
            extra = [(k.encode(), v.encode()) for k, v in _HEADERS.items() if k.encode() not in there]
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return answer


def _no_entry() -> Response:
    policy = _HEADERS["content-security-policy"].replace("form-action 'none'", "form-action 'self'")
    return HTMLResponse(_NO_ENTRY, 401, {"content-security-policy": policy})


def _key_wanted() -> Response:
    return HTMLResponse(_KEY_WANTED, 401)


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
