"""Sign-in with a console password and a one-time code, or with a passkey."""

from functools import partial
from http import HTTPStatus

from aiohttp import web

from idtone.core.errors import UsageError
from idtone.core.translation import Message

from ..page import Method, Page, Visit
from .attempts import Attempt, Attempts
from .cookies import KNOWN_BROWSER
from .known_browser import mark_for
from .passkeys import REFUSED, Challenges, passkey_after_use, passkey_and_challenge, relying_party, request_options
from .password_proof import OFTEN, PasswordProof, Refusal
from .sign_in_method import PATH
from .users import NAME_LIMIT, Passkey, User, change_users
from .visitor_sessions import begin_session


class ByPassword:
    """A sign-in form with name, password and code."""

    def __init__(self, proof: PasswordProof | None = None) -> None:
        self.proof = proof or PasswordProof()
        self.pages = (
            Page(PATH, self._show, None),
            Page(PATH, self._sign_in, None, Method.POST),
            Page(f"{PATH}/passkey", self._by_passkey, None, Method.POST),
        )
        self._challenges = Challenges()
        self._attempts = Attempts()
        """Passkey attempts. Passkeys cannot be guessed, so failures here do not block password sign-in."""

    def name_in(self, request: web.Request) -> str | None:
        return None

    async def _show(self, visit: Visit) -> web.StreamResponse:
        return self._page(visit)

    def _page(self, visit: Visit, name: str = "", refusal: Refusal | None = None) -> web.Response:
        options = request_options(visit, self._challenges.new()) if relying_party(visit) else ""
        status, problem = (refusal.status, refusal.problem) if refusal else (HTTPStatus.OK, None)
        return visit.render("sign_in.html", status, name=name, problem=problem, options=options)

    async def _sign_in(self, visit: Visit) -> web.StreamResponse:
        name = visit.field("name")[:NAME_LIMIT]
        user = await visit.console.user(name)
        refusal = await self.proof.verify(visit, name, user)
        if refusal:
            return self._page(visit, name, refusal)
        assert user is not None
        answer = begin_session(visit, user.name)
        KNOWN_BROWSER.set_on(answer, mark_for(user))
        return answer

    async def _by_passkey(self, visit: Visit) -> web.StreamResponse:
        attempt = Attempt("", visit.address, is_passkey=True)
        if not self._attempts.begins(attempt):
            visit.console.sign_ins.failed(None, visit.address, "too many attempts by passkeys")
            return self._page(visit, refusal=Refusal(HTTPStatus.TOO_MANY_REQUESTS, OFTEN))
        try:
            user, known, signed = await self._signed(visit)
        except UsageError as error:
            visit.console.sign_ins.failed(None, visit.address, "by a passkey")
            return self._page(visit, refusal=Refusal(HTTPStatus.FORBIDDEN, Message("{error}", error=error)))
        self._attempts.succeeded(attempt)
        if signed != known:
            path, change = visit.console.settings.console.users, partial(_with, user.name, known, signed)
            await visit.in_thread(change_users, path, change)
        return begin_session(visit, user.name)

    async def _signed(self, visit: Visit) -> tuple[User, Passkey, Passkey]:
        """The user with the passkey before and after this use. Raises UsageError."""
        answer = (visit.entered or {}).get("credential", "")
        passkey, challenge = passkey_and_challenge(answer)
        owned = await visit.console.threads.admitting(visit.console.users.of_passkey, passkey)
        if not self._challenges.takes(challenge) or owned is None or not relying_party(visit):
            raise UsageError(REFUSED)
        user, known = owned
        return user, known, passkey_after_use(visit, answer, challenge, known)


def _with(name: str, before: Passkey, after: Passkey, users: dict[str, User]) -> None:
    if name in users:
        passkeys = tuple(after if each == before else each for each in users[name].passkeys)
        users[name] = users[name].model_copy(update={"passkeys": passkeys})
