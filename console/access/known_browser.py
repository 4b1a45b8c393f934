"""Mark of a browser in which a user has signed in with a password.

The mark gives no access. It only identifies the browser whose attempts are counted. Its key is derived from the user's
password hash, so nothing is stored, and a new password invalidates all marks.
"""

import hashlib
import hmac
import secrets

from .users import User


def mark_for(user: User) -> str:
    """A new mark for this user."""
    return _signed(user, secrets.token_urlsafe(16))


def browser_of(user: User | None, mark: str) -> str:
    """The id of the browser with this mark, or an empty string if the mark is not this user's."""
    nonce = mark.partition(".")[0]
    if user is None or not nonce or not hmac.compare_digest(mark.encode(), _signed(user, nonce).encode()):
        return ""
    return nonce


def _signed(user: User, nonce: str) -> str:
    key = hashlib.sha256(f"known browser\0{user.password}".encode()).digest()
    said = f"{user.name} {nonce}"  # no name has a space
    return f"{nonce}.{hmac.new(key, said.encode(), hashlib.sha256).hexdigest()}"
