"""The interface of the three ways to sign in; the settings choose one. Each gives a user's name, and the file of users
has the roles of that name.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from aiohttp import web

from ..page import Page
from .password_proof import PasswordProof

PATH = "/sign-in"


class SignInMethod(Protocol):
    """One way to sign in. `pages` are its own pages, such as the form, or the page to which a provider sends the
    browser back. `proof` is the check by which users prove their identity again; None if the console cannot check it.
    """

    @property
    def pages(self) -> Sequence[Page]: ...

    @property
    def proof(self) -> PasswordProof | None: ...

    def name_in(self, request: web.Request) -> str | None:
        """The user's name in the request itself, where a trusted proxy puts it; None if the session holds the name."""
        ...


SIGN_IN_METHOD: Final[web.AppKey[SignInMethod]] = web.AppKey("sign_in_method")
