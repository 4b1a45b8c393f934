"""Sign-in by the console's own passwords and one-time codes."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.translation import Message

from ..page import Method, Page, Visit
from .attempts import Attempts
from .passwords import PasswordCheck
from .sign_in import PATH

_log = logging.getLogger(__name__)
_WRONG: Final = Message("The name, the password or the code is wrong.")
_OFTEN: Final = Message("There were too many attempts. Try again in a quarter of an hour.")


class ByPassword:
    """Attempts are counted for each name and each address, whether there is such a user or not."""

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
        name, address = visit.field("name"), visit.request.remote or ""
        if not self._attempts.may_try(name, address):
            return visit.render("sign_in.html", HTTPStatus.TOO_MANY_REQUESTS, name=name, problem=_OFTEN)
        user = await visit.in_thread(visit.console.users.get, name)
        async with self._one_at_a_time:
            right = await visit.in_thread(self._check.is_right, user, visit.field("password"), visit.field("code"))
        if user is None or not right:
            self._attempts.failed(name, address)
            _log.warning("a sign-in failed")
            return visit.render("sign_in.html", HTTPStatus.FORBIDDEN, name=name, problem=_WRONG)
        self._attempts.succeeded(name)
        return visit.console.begin_session(visit, user.name)
