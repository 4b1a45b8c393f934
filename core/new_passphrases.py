"""New passphrases: one made by chance, and the ones of people that are refused. A copied key file can be tried without
a limit.
"""

import secrets
from collections.abc import Iterable
from typing import Final

from .errors import TrustError
from .terminal.extras import require

GUESSES: Final = 10**9
"""At least, as zxcvbn estimates them. It knows English, and the passwords that leaked most often: Japanese words and
names look like chance to it, so it lets many pass that people here would guess.
"""
_READ: Final = 72
"""Characters that zxcvbn looks at; a longer passphrase is good anyway, or repeats itself."""


_CONSONANTS, _VOWELS = "bdghkmnprstwyz", "aeiou"
_GROUPS: Final = 6


def suggested_passphrase() -> str:
    """A new passphrase of six groups that can be read aloud, like `kamo-tebu-…`: 73 bits of chance."""
    return "-".join("".join(secrets.choice(letters) for letters in (_CONSONANTS, _VOWELS) * 2) for _ in range(_GROUPS))


def check_passphrase(passphrase: str, context: Iterable[str] = ()) -> None:
    """Raises TrustError if a passphrase is empty, or easy to guess as far as zxcvbn knows. `context` are words that
    everyone here knows.
    """
    if not passphrase:
        raise TrustError("the passphrase is empty; choose one")
    require("zxcvbn")
    from zxcvbn import zxcvbn  # it reads its lists of words for a tenth of a second

    if zxcvbn(passphrase[:_READ], ["idtone", *context])["guesses"] < GUESSES:
        raise TrustError("the passphrase is easy to guess; choose four or more words that do not belong together")
