"""Which person runs a command, as far as the machine can tell."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

LOGIN: Final = Path("/proc/self/loginuid")
_NOBODY: Final = 2**32 - 1
"""What the kernel says where nobody has logged in."""


class AccountKnownBy(StrEnum):
    """On whose word it is this person, the best first."""

    LOGIN = "login"
    """The kernel's, which keeps who has logged in through sudo and su."""
    SUDO = "sudo"
    """That of sudo, in its environment: whoever may run anything at all as the service's user can write another."""
    ACCOUNT = "account"
    """That of the account which runs the command."""


@dataclass(frozen=True, slots=True)
class Person:
    """An account of this machine; two are two persons where their numbers (`uid`) differ."""

    uid: int
    name: str
    known_by: AccountKnownBy

    def __str__(self) -> str:
        return f"{self.name} (uid {self.uid}, by {self.known_by})"


def acting(login: Path = LOGIN, environment: Mapping[str, str] = os.environ) -> Person:
    """Who runs this."""
    try:
        logged_in = int(login.read_text("ascii"))
    except (OSError, ValueError):
        logged_in = _NOBODY  # a kernel that keeps no account of it
    told = environment.get("SUDO_UID", "")
    if logged_in != _NOBODY:
        uid, known_by = logged_in, AccountKnownBy.LOGIN
    elif told.isascii() and told.isdigit() and len(told) < 11:
        uid, known_by = int(told), AccountKnownBy.SUDO
    else:
        uid, known_by = os.getuid(), AccountKnownBy.ACCOUNT
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    return Person(uid, name, known_by)
