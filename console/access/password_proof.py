"""The question for a user's password and one-time code: at the sign-in, and again before what must be safe."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from idtone.translation import Message

from ..page import Visit
from .attempts import Attempt, Attempts
from .cookies import KNOWN_BROWSER
from .known_browser import browser_of
from .passwords import PasswordCheck, hashed
from .users import NAME_LIMIT, User

_WRONG: Final = Message("The name, the password or the code is wrong.")
_OFTEN: Final = Message("There were too many attempts. Try again in a quarter of an hour.")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a form is not accepted."""

    status: HTTPStatus
    problem: Message


class PasswordProof:
    """Attempts are counted whether there is such a user or not."""

    def __init__(self, check: PasswordCheck | None = None, attempts: Attempts | None = None) -> None:
        self.check = check or PasswordCheck()
        self._attempts = attempts or Attempts()
        self._one_at_a_time = asyncio.Lock()
        """argon2 takes 64 MiB and a processor: many attempts must not take all of them."""

    async def asked(self, visit: Visit, name: str, user: User | None) -> Refusal | None:
        """Whether the fields `password` and `code` are this user's; None if so. A failure is recorded."""
        failed = visit.console.sign_ins.failed
        attempt = Attempt(name[:NAME_LIMIT], visit.address, browser_of(user, KNOWN_BROWSER.of(visit.request)))
        if not self._attempts.begins(attempt):
            failed(user.name if user else None, visit.address, "too many attempts")
            return Refusal(HTTPStatus.TOO_MANY_REQUESTS, _OFTEN)
        async with self._one_at_a_time:
            right = await visit.in_thread(self.check.is_right, user, as_entered(visit, "password"), visit.field("code"))
        if user is None or not right:
            failed(user.name if user else None, visit.address)
            return Refusal(HTTPStatus.FORBIDDEN, _WRONG)
        self._attempts.succeeded(attempt)
        return None

    async def hashed(self, visit: Visit, password: str) -> str:
        async with self._one_at_a_time:
            return await visit.in_thread(hashed, password)


def as_entered(visit: Visit, field: str) -> str:
    """A password with its spaces."""
    return (visit.entered or {}).get(field, "")
