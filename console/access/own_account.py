"""A user's own account: sessions, email address, password, one-time codes and passkeys.

Changes that could lock out the user or let someone else in require the password and the code again.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.http.request_limits import Rate
from idtone.core.translation import Message, template

from ..form_errors import FormErrors
from ..page import Method, Page, Visit
from ..pending_tasks_mail import WaitingMails, checked_address
from .cookies import KNOWN_BROWSER
from .known_browser import mark_for
from .passkeys import CHALLENGE_S, MOST, creation_options, registered_passkey, relying_party
from .password_proof import PasswordProof, Refusal, as_entered
from .password_rules import SHORTEST, common_passwords, objection
from .passwords import new_secret, provisioning_uri
from .rights import Right
from .session_rows import rows_of
from .users import User, change_users
from .visitor_sessions import renew_session

PATH: Final = "/account"
MAILS: Final = web.AppKey("mails", WaitingMails)
SECRET_S: Final = 600.0
"""Time limit for confirming a new secret with its first code, in seconds."""
DONE: Final = {
    "sessions": template("The chosen sessions have ended."),
    "password": template("Your password is changed. Your other sessions have ended."),
    "code": template("Your one-time codes have a new secret. Your other sessions have ended."),
    "passkey": template("You can sign in by the new passkey. Your other sessions have ended."),
    "no-passkey": template("The passkey signs in no more. Your other sessions have ended."),
    "mail": template("A first mail is on its way to your address."),
    "no-mail": template("You get no more mails."),
}
_DIFFER: Final = Message("The new password was entered in two different ways.")
_SAME: Final = Message("The new password is the one that you have.")
FIRST_MAILS: Final = Rate(1 / 600, 3)
"""Rate limit for test emails to addresses entered by one user."""
_LATER: Final = Message("You have changed your mail address often. Try again in ten minutes.")
_LATE: Final = Message("The new secret is too old. Begin again.")
_NO_MORE: Final = Message("This address has no passkeys, or you have as many as there can be.")
_FIRST: Final = Message("Choose your own password and take a second factor first.")
_WRONG_CODE: Final = Message("This is not the code of the new secret. Wait for the next one, and enter it.")


class Account:
    """The pages of a user's own account.

    `proof` is None if a proxy or a provider signs users in, because the console then has no password to ask for.
    """

    def __init__(self, proof: PasswordProof | None) -> None:
        self._proof = proof

    async def show(self, visit: Visit) -> web.StreamResponse:
        return self._page(visit)

    def _page(self, visit: Visit, refusal: Refusal | None = None) -> web.Response:
        assert visit.user is not None
        return visit.render(
            "account.html",
            refusal.status if refusal else HTTPStatus.OK,
            problem=refusal.problem if refusal else None,
            done=None if refusal else DONE.get(visit.query("done")),
            sessions=rows_of(visit, visit.console.sessions.of(visit.user.name)),
            asks=self._proof is not None,
            is_new=visit.has_to_choose,
            shortest=SHORTEST,
            passkeys=visit.user.passkeys,
            sent=visit.request.path if refusal else "",
            can_have_passkeys=bool(self._proof and relying_party(visit)),
        )

    async def end_sessions(self, visit: Visit) -> web.StreamResponse:
        """End the selected sessions, but never the current one."""
        assert visit.user is not None
        if refusal := await self._asked(visit):
            return self._page(visit, refusal)
        console, name = visit.console, visit.user.name
        for session in console.sessions.of(name):
            if session is not visit.session and visit.field(f"end-{session.id}"):
                console.sessions.end(session)
                console.sign_ins.ended(name, name)
        return visit.redirect(f"{PATH}?done=sessions")

    async def set_mail(self, visit: Visit) -> web.StreamResponse:
        """Set the address for emails about pending tasks. An empty field removes the address.

        A test email is sent to a new address.
        """
        assert visit.user is not None
        if refusal := await self._asked(visit):  # another person at an open session must not get the user's mails
            return self._page(visit, refusal)
        console, name = visit.console, visit.user.name
        try:
            errors = FormErrors()
            to = errors.read("mail", lambda: checked_address(text)) if (text := visit.field("mail")) else None
            errors.check()
            if to:
                if not console.limits.admits(f"first mail of {name}", FIRST_MAILS):
                    return self._page(visit, Refusal(HTTPStatus.TOO_MANY_REQUESTS, _LATER))
                await visit.in_thread(visit.request.app[MAILS].first, to)

            def changed(users: dict[str, User]) -> None:
                if name in users:
                    users[name] = users[name].model_copy(update={"mail": to})

            await visit.in_thread(change_users, console.settings.console.users, changed)
        except IdtoneError as error:
            return self._page(visit, Refusal(HTTPStatus.BAD_REQUEST, error))
        return visit.redirect(f"{PATH}?done={'mail' if to else 'no-mail'}")

    async def _asked(self, visit: Visit) -> Refusal | None:
        return await self._proof.verify_again(visit) if self._proof else None

    async def change_password(self, visit: Visit) -> web.StreamResponse:
        """Change the password and end the user's other sessions, because they began with the old password."""
        assert visit.user is not None
        assert self._proof is not None
        new = as_entered(visit, "new")
        if wrong := _objection(visit, new) or await self._asked(visit):
            return self._page(visit, wrong)
        hashed = await self._proof.hash_password(visit, new)

        def changed(user: User) -> User:
            passkeys = () if user.given_until else user.passkeys  # may be from another person who knew the password
            return user.model_copy(update={"password": hashed, "given_until": None, "passkeys": passkeys})

        return await self._changed(visit, "password", changed)

    async def begin_code(self, visit: Visit) -> web.StreamResponse:
        """Show a new secret for one-time codes. It takes effect once the user enters one of its codes."""
        assert visit.session is not None
        if refusal := await self._asked(visit):
            return self._page(visit, refusal)
        visit.session.new_secret = new_secret(), time.monotonic()
        return await self._secret_page(visit)

    async def _secret_page(self, visit: Visit, problem: Message | None = None) -> web.Response:
        assert visit.user is not None
        assert visit.session is not None
        assert visit.session.new_secret is not None
        secret, _ = visit.session.new_secret
        address = provisioning_uri(visit.user.name, secret)
        return visit.render(
            "account_code.html",
            HTTPStatus.FORBIDDEN if problem else HTTPStatus.OK,
            problem=problem,
            secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
            rows=await visit.in_thread(_squares, address),
        )

    async def confirm_code(self, visit: Visit) -> web.StreamResponse:
        assert visit.user is not None
        assert visit.session is not None
        assert self._proof is not None
        secret, made_s = visit.session.new_secret or ("", -SECRET_S)
        if not secret or time.monotonic() - made_s > SECRET_S:
            return self._page(visit, Refusal(HTTPStatus.FORBIDDEN, _LATE))
        if not self._proof.check.takes(visit.user.name, secret, visit.field("code")):
            return await self._secret_page(visit, _WRONG_CODE)
        return await self._changed(
            visit, "code", lambda user: user.model_copy(update={"totp": secret, "code_due": False})
        )

    async def begin_passkey(self, visit: Visit) -> web.StreamResponse:
        """Show the button that creates a passkey."""
        assert visit.user is not None
        assert visit.session is not None
        if refusal := await self._asked(visit):
            return self._page(visit, refusal)
        if visit.has_to_choose:
            return self._page(visit, Refusal(HTTPStatus.FORBIDDEN, _FIRST))
        if not relying_party(visit) or len(visit.user.passkeys) >= MOST:
            return self._page(visit, Refusal(HTTPStatus.BAD_REQUEST, _NO_MORE))
        challenge, name = secrets.token_bytes(32), visit.field("name")[:60] or visit.user.name
        visit.session.new_passkey = challenge, name, time.monotonic()
        return visit.render("account_passkey.html", options=creation_options(visit, visit.user, challenge), name=name)

    async def add_passkey(self, visit: Visit) -> web.StreamResponse:
        assert visit.session is not None
        challenge, name, begun_s = visit.session.new_passkey or (b"", "", -CHALLENGE_S)
        visit.session.new_passkey = None
        if visit.has_to_choose:
            return self._page(visit, Refusal(HTTPStatus.FORBIDDEN, _FIRST))
        if not challenge or time.monotonic() - begun_s > CHALLENGE_S:
            return self._page(visit, Refusal(HTTPStatus.FORBIDDEN, _LATE))
        try:
            new = registered_passkey(visit, (visit.entered or {}).get("credential", ""), challenge, name)
        except UsageError as error:
            return self._page(visit, Refusal(HTTPStatus.FORBIDDEN, Message("{error}", error=error)))
        return await self._changed(
            visit, "passkey", lambda user: user.model_copy(update={"passkeys": (*user.passkeys, new)})
        )

    async def remove_passkey(self, visit: Visit) -> web.StreamResponse:
        if refusal := await self._asked(visit):
            return self._page(visit, refusal)
        gone = visit.field("passkey")

        def without(user: User) -> User:
            return user.model_copy(update={"passkeys": tuple(each for each in user.passkeys if each.id != gone)})

        return await self._changed(visit, "no-passkey", without)

    async def _changed(self, visit: Visit, what: str, change: Callable[[User], User]) -> web.StreamResponse:
        """Save the changed user and begin a new session."""
        assert visit.user is not None
        console, name = visit.console, visit.user.name

        def changed(users: dict[str, User]) -> None:
            if name not in users:
                raise UsageError("{path}: there is no user {name}", path=console.settings.console.users, name=name)
            users[name] = change(users[name])

        try:
            await visit.in_thread(change_users, console.settings.console.users, changed)
        except IdtoneError as error:
            return self._page(visit, Refusal(HTTPStatus.SERVICE_UNAVAILABLE, Message("{error}", error=error)))
        user = await visit.in_thread(console.users.get, name)
        answer = visit.redirect(f"{PATH}?done={what}")
        renew_session(visit, answer, name)
        if user is not None:
            KNOWN_BROWSER.set_on(answer, mark_for(user))
        console.sign_ins.changed(name, WHAT[what], visit.address)
        return answer


WHAT: Final = {
    "password": "password",
    "code": "secret of the one-time codes",
    "passkey": "passkeys (one more)",
    "no-passkey": "passkeys (one less)",
}


def _squares(text: str) -> list[list[bool]]:
    """The rows of a QR code, where True is a dark square."""
    from .terminal_qr_code import squares  # imports reportlab, which is slow

    return squares(text)


def _objection(visit: Visit, new: str) -> Refusal | None:
    assert visit.user is not None
    errors = FormErrors()
    if new == as_entered(visit, "password"):
        errors.note("new", UsageError(_SAME))
    elif why := objection(new, (visit.user.name, visit.console.settings.node), common_passwords()):
        errors.note("new", UsageError(why))
    if new != as_entered(visit, "again"):
        errors.note("again", UsageError(_DIFFER))
    return Refusal(HTTPStatus.BAD_REQUEST, errors) if errors else None


def pages(proof: PasswordProof | None) -> Sequence[Page]:
    account = Account(proof)
    found = (
        Page(PATH, account.show, Right.ENTER, while_new=True),
        Page(f"{PATH}/sessions", account.end_sessions, Right.ENTER, Method.POST, while_new=True),
        Page(f"{PATH}/mail", account.set_mail, Right.ENTER, Method.POST),
    )
    if proof is None:
        return found
    return (
        *found,
        Page(f"{PATH}/password", account.change_password, Right.ENTER, Method.POST, while_new=True),
        Page(f"{PATH}/code", account.begin_code, Right.ENTER, Method.POST, while_new=True),
        Page(f"{PATH}/code/confirm", account.confirm_code, Right.ENTER, Method.POST, while_new=True),
        Page(f"{PATH}/passkey", account.begin_passkey, Right.ENTER, Method.POST, while_new=True),
        Page(f"{PATH}/passkey/add", account.add_passkey, Right.ENTER, Method.POST, while_new=True),
        Page(f"{PATH}/passkey/remove", account.remove_passkey, Right.ENTER, Method.POST, while_new=True),
    )
