"""Checks a user's password and one-time code at sign-in and before account changes."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

from idtone.core.errors import IdtoneError, LedgerError, UsageError
from idtone.core.in_thread import in_thread
from idtone.core.translation import Message

from ..form_errors import FormErrors
from ..page import Visit
from .attempts import Attempt, Attempts
from .cookies import KNOWN_BROWSER
from .known_browser import browser_of
from .password_queue import KNOWN, PasswordQueue, QueueFullError
from .passwords import PasswordCheck, hash_password, is_password
from .users import NAME_LIMIT, User

COMPARED_WITHIN_S: Final = 60.0
MIB: Final = 192
"""Memory limit per process in MiB: 64 for argon2id, 32 for its threads, and 40 for everything else."""
NICE: Final = {"password": 0, "password-new": 3, "password-failed": 15}
"""Niceness by kind of attempt (known, new, failed). Each kind has its own process."""
_WRONG: Final = Message("The name, the password or the code is wrong.")
_BUSY: Final = Message("Many people try to sign in at the moment. Try again in a few seconds.")
_NOT_COMPARED: Final = Message("The console could not compare the password. Try again in a few seconds.")
OFTEN: Final = Message("There were too many attempts. Try again in a quarter of an hour.")

R = TypeVar("R")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Reason why a form was refused, with the HTTP status of the response."""

    status: HTTPStatus
    problem: Message | IdtoneError


class _Comparing:
    """A queue of passwords with the process that compares them.

    A process is used because a low-priority thread would hold Python's global lock while waiting for the processor.
    """

    def __init__(self, name: str, nice: int) -> None:
        self._line, self._thread, self._kind, self._nice = PasswordQueue(), ThreadPoolExecutor(1, name), name, nice

    async def do(self, visit: Visit, rank: int, act: Callable[..., R], *given: str) -> R:
        """Run `act` when this attempt's turn comes, and return its result. Raises QueueFullError, LedgerError."""
        async with self._line.turn(rank):
            processes = visit.console.threads.processes
            compare = partial(
                processes.run, act, *given, kind=self._kind, nice=self._nice, mib=MIB, within_s=COMPARED_WITHIN_S
            )
            return await in_thread(self._thread, compare, is_gone=lambda: False, is_awaited=lambda: False)


class PasswordProof:
    """Checks passwords and one-time codes. Attempts with an unknown name count too."""

    def __init__(self, check: PasswordCheck | None = None, attempts: Attempts | None = None) -> None:
        self.check = check or PasswordCheck()
        self._attempts = attempts or Attempts()
        self._known, self._new, self._failed = (_Comparing(*each) for each in NICE.items())
        """`_new` serves networks without failures, so that they do not wait behind networks with failures."""

    async def verify(self, visit: Visit, name: str, user: User | None) -> Refusal | None:
        """Check the form's `password` and `code`. Returns None if both are correct.

        Otherwise, records the failure and returns the refusal.
        """
        failed = visit.console.sign_ins.failed
        attempt = Attempt(name[:NAME_LIMIT], visit.address, browser_of(user, KNOWN_BROWSER.value_in(visit.request)))
        rank = KNOWN if attempt.browser or visit.session else self._attempts.failures_of_network(attempt)
        if not self._attempts.begins(attempt):
            failed(user.name if user else None, visit.address, "too many attempts")
            return Refusal(HTTPStatus.TOO_MANY_REQUESTS, OFTEN)
        comparing = {KNOWN: self._known, 0: self._new}.get(rank, self._failed)
        try:
            matches = await comparing.do(
                visit, rank, is_password, as_entered(visit, "password"), self.check.expected(user)
            )
        except QueueFullError:
            self._attempts.withdrawn(attempt)
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, _BUSY)
        except LedgerError as error:
            self._attempts.withdrawn(attempt)
            _log.error("a password was not compared: %s", error)
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, _NOT_COMPARED)
        if user is None or not self.check.is_right(user, matches, visit.field("code")):
            failed(user.name if user else None, visit.address)
            return Refusal(HTTPStatus.FORBIDDEN, _WRONG)
        self._attempts.succeeded(attempt)
        return None

    async def verify_again(self, visit: Visit) -> Refusal | None:
        """Check the signed-in user's password and code again. Returns None if both are correct, otherwise the refusal.

        The page shows the refusal at the password field.
        """
        assert visit.user is not None
        refusal = await self.verify(visit, visit.user.name, visit.user)
        if refusal is None or refusal.status is not HTTPStatus.FORBIDDEN:
            return refusal
        errors = FormErrors()
        errors.note("password", UsageError(_WRONG))
        return Refusal(refusal.status, errors)

    async def hash_password(self, visit: Visit, password: str) -> str:
        return await self._known.do(visit, KNOWN, hash_password, password)


def as_entered(visit: Visit, field: str) -> str:
    """The password exactly as entered, including spaces."""
    return (visit.entered or {}).get(field, "")
