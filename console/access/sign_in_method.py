"""Sign-in: the settings choose one of three ways. Each gives a name, and the file of users has its roles."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from ..page import Page
from .password_proof import PasswordProof

PATH = "/sign-in"


class SignInMethod(Protocol):
    """One way to sign in. `pages` are its own pages: the form, or the way back from a provider.

    `ends_here`: signing out here ends the sign-in. If not, a proxy signs the user in again with the next request.
    `proof`: the check by which users prove their identity again; None if the console cannot ask them.
    """

    @property
    def ends_here(self) -> bool: ...

    @property
    def pages(self) -> Sequence[Page]: ...

    @property
    def proof(self) -> PasswordProof | None: ...

    def name_in(self, request: web.Request) -> str | None:
        """The user's name in the request itself, as a trusted proxy adds it; None if the session has it."""
        ...
