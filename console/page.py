"""A page: its path, its handler, and the right that a visitor needs. `Visit` is a request as the handler sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from aiohttp import web

from idtone.core.translation import speak, template

from .access.rights import Right
from .form_errors import FormErrors
from .threads import Reads
from .turns import RequestingParty, party_of

if TYPE_CHECKING:
    from .access.sessions import Session
    from .access.users import User
    from .console import Console

P = ParamSpec("P")
R = TypeVar("R")


class Section(StrEnum):
    """The parts of the menu, in their order."""

    NODE = template("This node")
    OFFICE = template("The association")
    ADMINISTRATION = template("Administration")


class Method(StrEnum):
    GET = "GET"
    POST = "POST"


Handler = Callable[["Visit"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page, or one act that a form of a page sends."""

    path: str
    """As in aiohttp: `/calls/{call_id}`."""
    handler: Handler
    right: Right | None
    """None: for everyone. A page for everyone gets no session."""
    method: Method = Method.GET
    title: str = ""
    """In the menu; empty: not in the menu."""
    section: Section = Section.NODE
    uploads: bool = False
    """The handler reads the form itself, with `uploads.received`, and checks its token."""
    while_new: bool = False
    """Also for a user who still has to choose a password or a second factor."""
    by_second: bool = False
    """A second person approves by it. Who could have made that person is in the log then."""


@dataclass(slots=True)
class Visit:
    """A request that was admitted, with what a handler needs to answer it."""

    request: web.Request
    console: Console
    page: Page
    language: str
    address: str = ""
    """The visitor's IP address; empty if it is not known."""
    session: Session | None = None
    user: User | None = None
    entered: Mapping[str, str] | None = None
    """What a form sent, without files; its token was checked."""
    fields: Mapping[str, str] | None = None
    """The same, with ordinary spaces and without what cannot be seen."""
    errors: FormErrors | None = None
    """What is wrong with the form that was sent; a page that shows it again has them at its fields."""

    @property
    def here(self) -> str:
        """The address of this page, to come back to; the first page if a form led here."""
        return self.request.path_qs if self.request.method == Method.GET and self.page.right is not None else "/"

    def may(self, right: Right) -> bool:
        return self.user is not None and right in self.user.rights

    @property
    def has_to_choose(self) -> bool:
        """True if the user has to choose a password or a second factor first, where the console has passwords."""
        return self.console.sign_in.proof is not None and self.user is not None and self.user.is_new

    def part(self, name: str) -> str:
        """A part of the path, as `{call_id}`."""
        return self.request.match_info[name]

    def query(self, name: str) -> str:
        """A value of the address's query; empty if it has none."""
        return self.request.query.get(name, "").strip()

    def field(self, name: str) -> str:
        """A field of the form; empty if it was not sent."""
        return (self.fields or {}).get(name, "").strip()

    @property
    def party(self) -> RequestingParty:
        """The sender of the request: a user, with all sessions, or a network."""
        return party_of(self.session.name if self.session else None, self.address)

    def is_gone(self) -> bool:
        """True if the visitor has left."""
        transport = self.request.transport
        return transport is None or transport.is_closing()

    async def in_thread(self, do: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
        """Do what blocks for a moment, as reading a file, beside the event loop. Raises ConnectionAbortedError if the
        visitor of a page has left; an act is done all the same.
        """
        queue = self.console.threads.of_page(is_public=self.page.right is None, uploads=self.page.uploads)
        return await queue.run(
            self.party, lambda: self.page.method is Method.GET and self.is_gone(), partial(do, *args, **named)
        )

    async def read(self, kind: Reads, do: Callable[..., R], *given: Any) -> R:
        """The result of one of the `long_reads`. Raises ConnectionAbortedError if the visitor has left."""
        return await self.console.threads.read(kind, self.party, self.is_gone, do, *given)

    def render(self, name: str, /, status: HTTPStatus = HTTPStatus.OK, **context: Any) -> web.Response:
        """A page made of `templates/`. All values are escaped. The `problem` of the context may be FormErrors."""
        problem = context.get("problem")
        self.errors = problem if isinstance(problem, FormErrors) else None
        text = self.console.templates.page(name, self, context)
        return web.Response(text=text, status=status, content_type="text/html")

    def fragment(self, name: str, /, **context: Any) -> str:
        """A part of a page, as htmx puts it into a page that is shown."""
        return self.console.templates.fragment(name, self, context)

    def shared_fragment(self, name: str, shown: object, context: Callable[[], Mapping[str, Any]]) -> str:
        """The same as `fragment`, for a part that all visitors see alike. The same object is rendered once in each
        language.
        """
        speak(self.language)
        return self.console.templates.shared(name, self.language, shown, context)

    def redirect(self, path: str) -> web.Response:
        """Lead to another page after a form was sent."""
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path})
