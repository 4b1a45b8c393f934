"""The mark of a browser in which a user has signed in by password. It gives no access: attempts are counted by it.

Its key is derived from the user's password hash. So a new password makes each mark void, and nothing is stored.
"""

import hashlib
import hmac
import secrets

from .users import User


def mark_for(user: User) -> str:
    """A new mark for this user."""
    return _signed(user, secrets.token_urlsafe(16))


def browser_of(user: User | None, mark: str) -> str:
    """The browser that this mark names; empty if the mark is not this user's."""
    nonce = mark.partition(".")[0]
    if user is None or not nonce or not hmac.compare_digest(mark.encode(), _signed(user, nonce).encode()):
        return ""
    return nonce


def _signed(user: User, nonce: str) -> str:
    key = hashlib.sha256(f"known browser\0{user.password}".encode()).digest()
    said = f"{user.name} {nonce}"  # no name has a space
    return f"{nonce}.{hmac.new(key, said.encode(), hashlib.sha256).hexdigest()}"
