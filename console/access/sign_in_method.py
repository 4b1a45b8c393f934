"""Interface of the three ways to sign in. The settings select one of them.

Each method yields a user name. The users file lists that user's roles.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from aiohttp import web

from ..page import Page
from .password_proof import PasswordProof

PATH = "/sign-in"


class SignInMethod(Protocol):
    """A way to sign in.

    `pages` are the method's own pages, such as the form or the page to which a provider redirects the browser. `proof`
    lets users prove their identity again, or is None if the console cannot check it.
    """

    @property
    def pages(self) -> Sequence[Page]: ...

    @property
    def proof(self) -> PasswordProof | None: ...

    def name_in(self, request: web.Request) -> str | None:
        """The user's name from a trusted proxy, or None if this method stores it in the session."""
        ...


SIGN_IN_METHOD: Final[web.AppKey[SignInMethod]] = web.AppKey("sign_in_method")
