"""Emails about pending tasks, for users who requested them.

An email contains the number of tasks of each kind and the console's address. It leaves the machine, so it contains no
telephone numbers, cases or references. Users get an email when a new task is pending, but at most one every half hour.
The reported tasks are stored in a file next to the users file, so that a restart does not repeat emails.
"""

import asyncio
import hashlib
import json
import logging
import platform
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import UsageError
from idtone.core.log_output import in_words, unexpected
from idtone.core.translation import JAPANESE, Message, speak, template, translated
from idtone.ledger.keys.private_files import replace_private
from idtone.operations.failure_mail import new_mail, send

from .access.rights import Right
from .access.users import User
from .pending_tasks import PendingTask

EVERY_S: Final = 1800.0
ADDRESS: Final = re.compile(r"[^\s@<>(),;:\"\\]{1,64}@[A-Za-z0-9.-]{1,190}")
KINDS: Final[Mapping[Right, str]] = {
    Right.STOP_NUMBERS: template("Stops of this node to be approved"),
    Right.APPROVE_EXPORTS: template("Disclosures to be approved"),
    Right.REQUEST_EXPORTS: template("Disclosures to be given out"),
}
"""Email text for each right. Like the texts for office tasks, it contains no case and no reference."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MailedTasks:
    """Digests of the tasks in a user's last email, and when it was sent, in seconds since 1970."""

    things: frozenset[str] = frozenset()
    at_s: float = float("-inf")


def mailed_after(told: MailedTasks, waiting: Sequence[PendingTask], now_s: float) -> MailedTasks | None:
    """The state after an email about the `waiting` tasks, or None if no email is due."""
    things = frozenset(map(_digest, waiting))
    if not things - told.things or 0 <= now_s - told.at_s < EVERY_S:
        return None
    return MailedTasks(things, now_s)


def _digest(thing: PendingTask) -> str:
    return hashlib.sha256(f"{thing.path}\n{thing.what}".encode()).hexdigest()[:32]


def checked_address(text: str) -> str:
    """The email address. Raises UsageError if it is invalid."""
    if not text.isascii() or not ADDRESS.fullmatch(text) or text.startswith("-"):
        raise UsageError("this is no mail address; write it like sato@example.jp")
    return text


def first_mail(to: str, node: str, address: str, now: datetime) -> EmailMessage:
    """The test email for a new address."""
    words = Message("{node}: the console sends to this address when something waits for you.", node=node)
    subject = f"[idtone] {node}: このアドレスに通知します / this address gets mails"
    return _in_both(to, subject, now, lambda: translated(words), address)


def waiting_mail(to: str, node: str, address: str, waiting: Sequence[PendingTask], now: datetime) -> EmailMessage:
    """The email about pending tasks, in both languages because only the browser knows the user's language."""
    kinds = Counter[tuple[str, bool]]()
    for each in waiting:
        kinds[KINDS.get(each.right, str(each.what)), each.is_late] += each.count

    def said() -> str:
        lines = [
            translated(
                Message("- {what}: {count}, late", what=Message(what), count=count)
                if is_late
                else Message("- {what}: {count}", what=Message(what), count=count)
            )
            for (what, is_late), count in kinds.items()
        ]
        return "\n".join([translated("{node}: this waits for you in the console.", node=node), *lines])

    count = sum(kinds.values())
    return _in_both(to, f"[idtone] {node}: 対応待ち {count} 件 / {count} waiting for you", now, said, address)


def _in_both(to: str, subject: str, now: datetime, said: Callable[[], str], address: str) -> EmailMessage:
    def in_language(language: str) -> str:
        speak(language)
        return said()

    texts = [copy_context().run(in_language, language) for language in (JAPANESE, "en")]
    made = new_mail(to, subject, now)
    made.set_content("\n\n".join([*texts, address]) + "\n", cte="base64")
    return made


class WaitingMails:
    """Sends the emails.

    Use only from the event loop, except `tell_all`, which runs in one thread at a time.
    """

    def __init__(self, users_file: Path, node: str, address: str) -> None:
        self._kept = users_file.with_name("console-mails.json")
        self._node, self._address = node or platform.node(), address

    async def tell(self, users: Iterable[User], waiting: Callable[[User], Sequence[PendingTask]]) -> None:
        mailed = [(each, waiting(each)) for each in users if each.mail and not each.locked]
        if mailed:
            await asyncio.to_thread(self.tell_all, mailed, datetime.now(UTC))

    def tell_all(self, mailed: Sequence[tuple[User, Sequence[PendingTask]]], now: datetime) -> None:
        """Send emails to all users with new tasks. Refused emails are retried after half an hour."""
        told = self._read()
        before = dict(told)
        for user, waiting in mailed:
            assert user.mail
            kept, found = (
                told.get(user.name, MailedTasks()),
                mailed_after(told.get(user.name, MailedTasks()), waiting, now.timestamp()),
            )
            still = kept.things & frozenset(map(_digest, waiting))
            told[user.name] = MailedTasks(still, kept.at_s)
            if found is None:
                continue
            told[user.name] = found
            try:
                send(waiting_mail(user.mail, self._node, self._address, waiting, now))
            except Exception as error:
                told[user.name] = MailedTasks(still, found.at_s)
                _log.error("a mail of what waits was not sent: %s", in_words(error), exc_info=unexpected(error))
        if told != before:
            self._write({user.name: told[user.name] for user, _ in mailed})

    def first(self, to: str) -> None:
        """Send the test email. Raises UsageError if sendmail is missing or refuses it."""
        send(first_mail(to, self._node, self._address, datetime.now(UTC)))

    def _read(self) -> dict[str, MailedTasks]:
        try:
            found: dict[str, Any] = json.loads(self._kept.read_bytes())
            return {name: MailedTasks(frozenset(each["things"]), float(each["at"])) for name, each in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.error("%s cannot be read, so users may get a mail twice: %s", self._kept, error)
            return {}

    def _write(self, told: Mapping[str, MailedTasks]) -> None:
        plain = {
            name: {"things": sorted(each.things), "at": each.at_s}
            for name, each in told.items()
            if each != MailedTasks()
        }
        replace_private(self._kept, json.dumps(plain).encode())
