"""Rules for new passwords: long enough, not common, and not based on the name of the user, the node or idtone."""

import re
from collections.abc import Container, Iterable
from functools import cache
from pathlib import Path
from typing import Final

from idtone.core.translation import Message

from .passwords import PASSWORD_LIMIT

SHORTEST: Final = 12
"""Minimum password length in characters. NIST SP 800-63B requires 8 with a second factor."""
DIFFERENT: Final = 5
"""Minimum number of different characters in a password."""
SHORTEST_WORD: Final = 4
"""Minimum length of forbidden words, in characters. Shorter words appear in many passwords by chance."""
PRODUCT: Final = "idtone"
COMMON: Final = Path(__file__).with_name("common_passwords.txt")


@cache
def common_passwords() -> frozenset[str]:
    """The most common passwords that the other rules would allow, in lowercase."""
    lines = COMMON.read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def objection(password: str, context: Iterable[str], common: Container[str]) -> Message | None:
    """Reason to refuse this password, or None if it is acceptable.

    `context` contains the names of the user and the node. `common` must be in lowercase.
    """
    if len(password) < SHORTEST:
        return Message("the password has fewer than {shortest} characters", shortest=SHORTEST)
    if len(password) > PASSWORD_LIMIT:
        return Message("the password has more than {longest} characters", longest=PASSWORD_LIMIT)
    folded = password.casefold()
    words = [PRODUCT, *(word for name in context for word in _words(name.casefold()))]
    if len(set(password)) < DIFFERENT or any(word in folded for word in words):
        return Message(
            "the password is easy to guess: it repeats itself, or has the name of the user or the node or idtone in it"
        )
    if folded in common:
        return Message("the password is one that many people use, so attackers try it first; choose another")
    return None


def _words(name: str) -> list[str]:
    """The name and its parts, for example sato and example for sato@example.jp."""
    return [word for word in (name, *re.split(r"[\W_]+", name)) if len(word) >= SHORTEST_WORD]
