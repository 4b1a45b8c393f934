"""Interface of the three ways to sign in. The settings select one of them.

Each method gives a user's name. The file of users lists the roles of that name.
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
    is the check by which users prove their identity again, or None if the console cannot check it.
    """

    @property
    def pages(self) -> Sequence[Page]: ...

    @property
    def proof(self) -> PasswordProof | None: ...

    def name_in(self, request: web.Request) -> str | None:
        """The user's name if a trusted proxy put it into the request, or None if the session stores the name."""
        ...


SIGN_IN_METHOD: Final[web.AppKey[SignInMethod]] = web.AppKey("sign_in_method")
