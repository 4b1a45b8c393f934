"""The question for a user's password and one-time code: at the sign-in, and again before what must be safe."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.in_thread import in_thread
from idtone.core.translation import Message

from ..form_errors import FormErrors
from ..page import Visit
from .attempts import Attempt, Attempts
from .cookies import KNOWN_BROWSER
from .known_browser import browser_of
from .password_line import KNOWN, LineFullError, PasswordLine
from .passwords import PasswordCheck, hashed
from .users import NAME_LIMIT, User

NICE: Final = 15
_WRONG: Final = Message("The name, the password or the code is wrong.")
_BUSY: Final = Message("Many people try to sign in at the moment. Try again in a few seconds.")
OFTEN: Final = Message("There were too many attempts. Try again in a quarter of an hour.")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a form is not accepted."""

    status: HTTPStatus
    problem: Message | IdtoneError


class PasswordProof:
    """Attempts are counted whether there is such a user or not."""

    def __init__(self, check: PasswordCheck | None = None, attempts: Attempts | None = None) -> None:
        self.check = check or PasswordCheck()
        self._attempts = attempts or Attempts()
        # The threads of the pages may be busy. Nobody waits behind those who have failed more often.
        self._known = PasswordLine(), ThreadPoolExecutor(1, "password")
        self._new = PasswordLine(), ThreadPoolExecutor(1, "password-new")
        """Of networks without a failure."""
        self._failed = PasswordLine(), ThreadPoolExecutor(1, "password-failed", _step_back)

    async def asked(self, visit: Visit, name: str, user: User | None) -> Refusal | None:
        """Whether the fields `password` and `code` are this user's; None if so. A failure is recorded."""
        failed = visit.console.sign_ins.failed
        attempt = Attempt(name[:NAME_LIMIT], visit.address, browser_of(user, KNOWN_BROWSER.of(visit.request)))
        rank = KNOWN if attempt.browser or visit.session else self._attempts.failures_of_network(attempt)
        if not self._attempts.begins(attempt):
            failed(user.name if user else None, visit.address, "too many attempts")
            return Refusal(HTTPStatus.TOO_MANY_REQUESTS, OFTEN)
        line, thread = {KNOWN: self._known, 0: self._new}.get(rank, self._failed)
        try:
            async with line.turn(rank):
                entered = as_entered(visit, "password"), visit.field("code")
                right = await in_thread(thread, self.check.is_right, user, *entered)
        except LineFullError:
            self._attempts.withdrawn(attempt)
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, _BUSY)
        if user is None or not right:
            failed(user.name if user else None, visit.address)
            return Refusal(HTTPStatus.FORBIDDEN, _WRONG)
        self._attempts.succeeded(attempt)
        return None

    async def asked_again(self, visit: Visit) -> Refusal | None:
        """As `asked`, of the user who is signed in; what is wrong is shown at the field of the password."""
        assert visit.user is not None
        refusal = await self.asked(visit, visit.user.name, visit.user)
        if refusal is None or refusal.status is not HTTPStatus.FORBIDDEN:
            return refusal
        errors = FormErrors()
        errors.note("password", UsageError(_WRONG))
        return Refusal(refusal.status, errors)

    async def hashed(self, visit: Visit, password: str) -> str:
        line, thread = self._known
        async with line.turn(KNOWN):
            return await in_thread(thread, hashed, password)


def _step_back() -> None:
    """Leave the processors to the pages: this thread, and those that argon2 begins in it. On Linux each thread has a
    priority of its own.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def as_entered(visit: Visit, field: str) -> str:
    """A password with its spaces."""
    return (visit.entered or {}).get(field, "")
