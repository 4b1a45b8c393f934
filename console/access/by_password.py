"""Sign-in by the console's own passwords and one-time codes."""

from __future__ import annotations

from aiohttp import web

from ..page import Method, Page, Visit
from .cookies import KNOWN_BROWSER
from .known_browser import mark_for
from .password_proof import PasswordProof
from .sign_in import PATH
from .users import NAME_LIMIT


class ByPassword:
    """A form for name, password and code."""

    ends_here = True

    def __init__(self, proof: PasswordProof | None = None) -> None:
        self.proof = proof or PasswordProof()
        self.pages = (
            Page(PATH, self._show, None),
            Page(PATH, self._sign_in, None, Method.POST),
        )

    def name_in(self, request: web.Request) -> str | None:
        return None

    async def _show(self, visit: Visit) -> web.StreamResponse:
        return visit.render("sign_in.html", name="", problem=None)

    async def _sign_in(self, visit: Visit) -> web.StreamResponse:
        name = visit.field("name")[:NAME_LIMIT]
        user = await visit.console.threads.admitting(visit.console.users.get, name)
        refusal = await self.proof.asked(visit, name, user)
        if refusal:
            return visit.render("sign_in.html", refusal.status, name=name, problem=refusal.problem)
        assert user is not None
        answer = visit.console.begin_session(visit, user.name)
        KNOWN_BROWSER.give(answer, mark_for(user))
        return answer
