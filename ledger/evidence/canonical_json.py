"""Canonical JSON text (RFC 8785), which makes an object's hash reproducible."""

import json
from collections.abc import Mapping
from typing import Any, Final

import rfc8785

from idtone.core.errors import LedgerError
from idtone.core.translation import Message

WHOLE_LIMIT: Final = 2**53
"""Limit for integers (RFC 8785, appendix D). JSON readers may interpret larger numbers differently."""

_NONE: Final = Message("a detail of a step has no canonical JSON (RFC 8785)")
_plain: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def canonical(members: Mapping[str, Any]) -> str:
    """Serialize a JSON object of scalars as canonical text (RFC 8785).

    Raises LedgerError for values that have no canonical text, which are numbers of 2^53 and above, surrogates and NaN.
    """
    if is_plain(members):
        return _plain(members)
    # A larger float would be read as a whole number.
    large = any(isinstance(value, float) and abs(value) >= WHOLE_LIMIT for value in members.values())
    try:
        text = rfc8785.dumps(dict(members)).decode()
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise LedgerError(_NONE) from error
    if large:
        raise LedgerError(_NONE)
    return text


def check(members: Mapping[str, Any]) -> None:
    """Raise LedgerError if the object has no canonical text (RFC 8785)."""
    if not is_plain(members):
        canonical(members)


def is_plain(members: Mapping[str, Any]) -> bool:
    """True if the standard library's JSON encoder already writes the canonical text of `members`.

    The standard encoder is six times as fast. Its text differs for floats, large numbers, invalid Unicode, and
    non-ASCII keys, which it orders differently.
    """
    # One loop and no function of our own in it: each step of a call comes here several times.
    for key, value in members.items():
        if isinstance(value, str):
            if not value.isascii():
                return False
        elif not (value is None or (isinstance(value, int) and -WHOLE_LIMIT < value < WHOLE_LIMIT)):
            return False
        if not key.isascii():
            return False
    return True
