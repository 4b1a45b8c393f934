"""How hard a new passphrase must be to guess: a copied key file can be tried without a limit. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .errors import TrustError
from .terminal.extras import require
from .translation import Message

GUESSES: Final = 10**9
"""At least, as zxcvbn estimates them: four words that do not belong together have many times more."""
_READ: Final = 72
"""Characters that zxcvbn looks at; a longer passphrase is good anyway, or repeats itself."""


def check_passphrase(passphrase: str, context: Iterable[str] = ()) -> None:
    """Raises TrustError if a passphrase is empty or can be guessed. `context` are words that everyone here knows."""
    if not passphrase:
        raise TrustError(Message("the passphrase is empty; choose one"))
    require("zxcvbn")
    from zxcvbn import zxcvbn  # it reads its lists of words for a tenth of a second

    if zxcvbn(passphrase[:_READ], ["idtone", *context])["guesses"] < GUESSES:
        raise TrustError(
            Message("the passphrase is easy to guess; choose four or more words that do not belong together")
        )
