"""The studio for several people: a session tells the person, the person has a studio of their own, their roles decide.

request -> person -> role that it takes -> the person's application over their work tree
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from timbre.core.errors import TimbreError
from timbre.studio.door import SESSION
from timbre.studio.errors import error_answer
from timbre.studio.people import RECORD, Person, Sessions

_LOOK = ("GET", "HEAD")
# Their own roles are asked where the body is known (publishing.py).
_OF_REGISTRY = ("/promote", "/rollback")


class Hosted:
    """ASGI application behind a Door. make: a person's application, once for each. refresh: called as a person comes
    in again. pages: what needs no session.
    """

    def __init__(
        self, sessions: Sessions, make: Callable[[Person], ASGIApp], refresh: Callable[[Person], object], pages: ASGIApp
    ) -> None:
        self._sessions = sessions
        self._make = make
        self._refresh = refresh
        self._pages = pages
        self._lock = threading.Lock()
        self._apps: dict[str, ASGIApp] = {}
        self._seen: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = scope.get(SESSION, "")
        person = self._sessions.person(session)
        if person is None:
            await self._pages(scope, receive, send)
            return
        if role := missing_role(person, scope["method"], scope["path"]):
            refused = error_answer(403, "not-your-role", f"{person.name} may not do this: it takes the role {role!r}",
                                   "ask the operator", {"role": role})  # fmt: skip
            await refused(scope, receive, send)
            return
        try:
            app = await run_in_threadpool(self._of, person, session)
        except TimbreError as error:
            await error_answer(500, "no-work-tree", error.message, error.remedy)(scope, receive, send)
            return
        await app(scope, receive, send)

    def _of(self, person: Person, session: str) -> ASGIApp:
        with self._lock:
            if person.slug not in self._apps:
                self._apps[person.slug] = self._make(person)
            elif session not in self._seen:
                self._refresh(person)
            self._seen.add(session)
            return self._apps[person.slug]


def missing_role(person: Person, method: str, path: str) -> str:
    """The role that a call takes and this person does not have; "" for none."""
    if method in _LOOK or path.endswith(_OF_REGISTRY):
        return ""
    return "" if RECORD in person.roles else RECORD
