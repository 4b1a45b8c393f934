"""Suggests new passphrases and checks the strength of passphrases that people choose.

An attacker with a copy of a key file can try any number of passphrases.
"""

import secrets
from collections.abc import Iterable
from typing import Final

from .errors import TrustError
from .terminal.extras import require

GUESSES: Final = 10**9
"""Minimum number of guesses, as estimated by zxcvbn, which knows English and the most frequently leaked passwords.
Japanese words and names look random to it, so it accepts many passphrases that people in Japan would guess.
"""
_READ: Final = 72
"""Maximum number of characters that zxcvbn examines. A longer passphrase is strong unless it repeats itself."""


_CONSONANTS, _VOWELS = "bdghkmnprstwyz", "aeiou"
_GROUPS: Final = 6


def suggested_passphrase() -> str:
    """A random passphrase of six pronounceable groups, like `kamo-tebu-…`, with 73 bits of entropy."""
    return "-".join("".join(secrets.choice(letters) for letters in (_CONSONANTS, _VOWELS) * 2) for _ in range(_GROUPS))


def check_passphrase(passphrase: str, context: Iterable[str] = ()) -> None:
    """Reject a passphrase that is empty or easy to guess, based on zxcvbn. Raises TrustError.

    `context` lists words that an attacker would try first.
    """
    if not passphrase:
        raise TrustError("the passphrase is empty; choose one")
    require("zxcvbn")
    from zxcvbn import zxcvbn  # it reads its lists of words for a tenth of a second

    if zxcvbn(passphrase[:_READ], ["idtone", *context])["guesses"] < GUESSES:
        raise TrustError("the passphrase is easy to guess; choose four or more words that do not belong together")
