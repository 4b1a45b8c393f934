"""How persons sign in: the settings choose one of three ways. A way gives a name; the file of users has its roles."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from ..page import Page
from .password_prompt import PasswordProof

PATH = "/sign-in"


class SignIn(Protocol):
    """`pages` are its own pages: the form, or the way back from a provider.

    `ends_here`: signing out here ends the sign-in. A proxy signs the user in again with the next request.
    `proof`: how users prove again who they are; None if the console cannot ask them.
    """

    @property
    def ends_here(self) -> bool: ...

    @property
    def pages(self) -> Sequence[Page]: ...

    @property
    def proof(self) -> PasswordProof | None: ...

    def name_in(self, request: web.Request) -> str | None:
        """Who sends the request by its own words, as a trusted proxy adds them; None: a session says it."""
        ...
