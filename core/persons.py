"""Identity of the person who runs a command or is signed in to the console."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

LOGIN: Final = Path("/proc/self/loginuid")
_NO_LOGIN: Final = 2**32 - 1
"""The login uid of a process that was not started by a login."""


class AccountKnownBy(StrEnum):
    """Source of a person's identity, most reliable first."""

    LOGIN = "login"
    """The kernel's login uid, which survives sudo and su."""
    SUDO = "sudo"
    """The environment of sudo. Anyone who can run any program as the service's user can change it."""
    ACCOUNT = "account"
    """The account that runs the command."""
    CONSOLE = "console"
    """The sign-in to the web console. `name` is the console user, and `uid` belongs to the console's own account."""


@dataclass(frozen=True, slots=True)
class Person:
    """An account on this machine or a user of the console.

    For a console user, `uid` is the id of the account that runs the console.
    """

    uid: int
    name: str
    known_by: AccountKnownBy

    @property
    def is_by_console(self) -> bool:
        return self.known_by is AccountKnownBy.CONSOLE

    def is_same_as(self, other: Person) -> bool:
        """True if both are the same account or the same console user."""
        if self.is_by_console or other.is_by_console:
            return self.is_by_console and other.is_by_console and self.name == other.name
        return self.uid == other.uid

    def is_another_than(self, other: Person) -> bool:
        """True if the two are definitely different people.

        An account and a user of the console may be the same person.
        """
        return self.is_by_console == other.is_by_console and not self.is_same_as(other)

    def __str__(self) -> str:
        return f"{self.name} (uid {self.uid}, by {self.known_by})"


def console_person(name: str) -> Person:
    """The person signed in under this name to the console on this machine."""
    return Person(os.getuid(), name, AccountKnownBy.CONSOLE)


_SIGNED_IN: Final[ContextVar[str | None]] = ContextVar("signed in", default=None)


def set_console_user(user: str | None) -> None:
    """Set the console user on whose behalf this task and its threads act; None for no user."""
    _SIGNED_IN.set(user)


def acting_person(login: Path = LOGIN, environment: Mapping[str, str] = os.environ) -> Person:
    """The person who runs this command or is signed in to the console."""
    if (user := _SIGNED_IN.get()) is not None:
        return console_person(user)
    try:
        logged_in = int(login.read_text("ascii"))
    except (OSError, ValueError):
        logged_in = _NO_LOGIN  # a kernel without login uids
    sudo_uid = environment.get("SUDO_UID", "")
    if logged_in != _NO_LOGIN:
        uid, known_by = logged_in, AccountKnownBy.LOGIN
    elif sudo_uid.isascii() and sudo_uid.isdigit() and len(sudo_uid) < 11:
        uid, known_by = int(sudo_uid), AccountKnownBy.SUDO
    else:
        uid, known_by = os.getuid(), AccountKnownBy.ACCOUNT
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    return Person(uid, name, known_by)
