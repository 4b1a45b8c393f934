"""Marks for browsers in which a user has signed in with a password.

A mark grants no access. It only identifies the browser so that its attempts can be counted. The key of a mark is
derived from the user's password hash, so nothing is stored, and a new password invalidates all marks.
"""

import hashlib
import hmac
import secrets

from .users import User


def mark_for(user: User) -> str:
    """A new mark for this user."""
    return _signed(user, secrets.token_urlsafe(16))


def browser_of(user: User | None, mark: str) -> str:
    """The browser id in this mark, or an empty string if the mark does not belong to this user."""
    nonce = mark.partition(".")[0]
    if user is None or not nonce or not hmac.compare_digest(mark.encode(), _signed(user, nonce).encode()):
        return ""
    return nonce


def _signed(user: User, nonce: str) -> str:
    key = hashlib.sha256(f"known browser\0{user.password}".encode()).digest()
    said = f"{user.name} {nonce}"  # no name has a space
    return f"{nonce}.{hmac.new(key, said.encode(), hashlib.sha256).hexdigest()}"
