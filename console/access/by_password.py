"""Sign-in by the console's own passwords and one-time codes."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.translation import Message

from ..page import Method, Page, Visit
from .attempts import Attempt, Attempts
from .cookies import KNOWN_BROWSER
from .known_browser import browser_of, mark_for
from .passwords import PasswordCheck
from .sign_in import PATH
from .users import NAME_LIMIT

_WRONG: Final = Message("The name, the password or the code is wrong.")
_OFTEN: Final = Message("There were too many attempts. Try again in a quarter of an hour.")


class ByPassword:
    """Attempts are counted whether there is such a user or not."""

    ends_here = True

    def __init__(self, check: PasswordCheck | None = None, attempts: Attempts | None = None) -> None:
        self._check = check or PasswordCheck()
        self._attempts = attempts or Attempts()
        self._one_at_a_time = asyncio.Lock()
        """argon2 takes 64 MiB and a processor: many attempts must not take all of them."""
        self.pages = (
            Page(PATH, self._show, None),
            Page(PATH, self._sign_in, None, Method.POST),
        )

    def name_in(self, request: web.Request) -> str | None:
        return None

    async def _show(self, visit: Visit) -> web.StreamResponse:
        return visit.render("sign_in.html", name="", problem=None)

    async def _sign_in(self, visit: Visit) -> web.StreamResponse:
        name, console = visit.field("name")[:NAME_LIMIT], visit.console
        user = await visit.in_thread(console.users.get, name)
        attempt = Attempt(name, visit.address, browser_of(user, KNOWN_BROWSER.of(visit.request)))
        if not self._attempts.begins(attempt):
            console.sign_ins.failed(user.name if user else None, visit.address, "too many attempts")
            return visit.render("sign_in.html", HTTPStatus.TOO_MANY_REQUESTS, name=name, problem=_OFTEN)
        async with self._one_at_a_time:
            right = await visit.in_thread(self._check.is_right, user, _as_entered(visit), visit.field("code"))
        if user is None or not right:
            console.sign_ins.failed(user.name if user else None, visit.address)
            return visit.render("sign_in.html", HTTPStatus.FORBIDDEN, name=name, problem=_WRONG)
        self._attempts.succeeded(attempt)
        answer = console.begin_session(visit, user.name)
        KNOWN_BROWSER.give(answer, mark_for(user))
        return answer


def _as_entered(visit: Visit) -> str:
    """The password with its spaces."""
    return (visit.fields or {}).get("password", "")
