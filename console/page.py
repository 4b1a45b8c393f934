"""Defines `Page` (path, handler and required right) and `Visit` (a request as its handler sees it)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import Any, Final, ParamSpec, TypeVar

from aiohttp import web

from idtone.core.settings.console import SignInBy
from idtone.core.translation import speak, template

from .access.rights import Right
from .access.sessions import Session
from .access.users import User
from .console import Console
from .form_errors import FormErrors
from .templates import TEMPLATES
from .threads import Reads
from .turns import RequestingParty, party_of

P = ParamSpec("P")
R = TypeVar("R")


class Section(StrEnum):
    """Menu sections, in order."""

    NODE = template("This node")
    OFFICE = template("The association")
    ADMINISTRATION = template("Administration")


class Method(StrEnum):
    GET = "GET"
    POST = "POST"


Handler = Callable[["Visit"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page or the target of a form."""

    path: str
    """Path in aiohttp's format, for example `/calls/{call_id}`."""
    handler: Handler
    right: Right | None
    """Right that the visitor needs, or None if the page is public and has no session."""
    method: Method = Method.GET
    title: str = ""
    """Title in the menu. If it is empty, the page is not in the menu."""
    section: Section = Section.NODE
    uploads: bool = False
    """True if the handler reads the form with `uploads.received`, which checks the form's token."""
    while_new: bool = False
    """True if users who must still choose a password or set up a second factor may open the page."""
    by_second: bool = False
    """True if this form is a second person's approval.

    If an administrator created or changed the approver's account, that administrator's name is logged.
    """


ALL_PAGES: Final = web.AppKey("all_pages", list[Page])
"""Key for this console's pages. Pages with a title appear in the menu in this order."""


@dataclass(slots=True)
class Visit:
    """An admitted request with everything that its handler needs."""

    request: web.Request
    console: Console
    page: Page
    language: str
    address: str = ""
    """The visitor's IP address, or an empty string if it is unknown."""
    session: Session | None = None
    user: User | None = None
    entered: Mapping[str, str] | None = None
    """Form fields exactly as entered, without files. The form's token has been checked."""
    fields: Mapping[str, str] | None = None
    """Form fields with ordinary spaces and without invisible characters."""
    errors: FormErrors | None = None
    """The form's errors. A page that shows the form again shows each one at its field."""

    @property
    def here(self) -> str:
        """The address for returning to this page, or the first page if this is a form submission."""
        return self.request.path_qs if self.request.method == Method.GET and self.page.right is not None else "/"

    def may(self, right: Right) -> bool:
        return self.user is not None and right in self.user.rights

    @property
    def has_to_choose(self) -> bool:
        """True if the user must first choose a password or set up a second factor.

        This occurs only if the console has passwords.
        """
        return self.console.settings.console.sign_in is SignInBy.PASSWORD and self.user is not None and self.user.is_new

    def menu(self) -> dict[Section, list[tuple[Page, bool]]]:
        """Menu pages that the visitor may see, by section, each with True if it is the current page.

        Sections without pages are omitted.
        """
        titled, path = [page for page in self.request.app[ALL_PAGES] if page.title], self.request.path
        # A page below two menu entries belongs to the nearer one.
        here = max((page.path for page in titled if f"{path}/".startswith(f"{page.path}/")), key=len, default="")
        shown = [page for page in titled if page.right is not None and self.may(page.right)]
        by_section = {
            section: [(page, page.path == here) for page in shown if page.section is section] for section in Section
        }
        return {section: pages for section, pages in by_section.items() if pages}

    def part(self, name: str) -> str:
        """A variable part of the path, such as `{call_id}`."""
        return self.request.match_info[name]

    def query(self, name: str) -> str:
        """A query value from the address, or an empty string if it is missing."""
        return self.request.query.get(name, "").strip()

    def field(self, name: str) -> str:
        """A form field, or an empty string if it was not sent."""
        return (self.fields or {}).get(name, "").strip()

    @property
    def party(self) -> RequestingParty:
        """The sender of the request: a user across all sessions, or a network."""
        return party_of(self.session.name if self.session else None, self.address)

    def is_gone(self) -> bool:
        """True if the visitor has left."""
        transport = self.request.transport
        return transport is None or transport.is_closing()

    async def in_thread(self, do: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
        """Run `do` in a thread and return its result. For work that blocks briefly, such as reading a file.

        Raises ConnectionAbortedError if the visitor has left a GET page. A form's act runs anyway.
        """
        queue = self.console.threads.of_page(is_public=self.page.right is None, uploads=self.page.uploads)
        return await queue.run(
            self.party, lambda: self.page.method is Method.GET and self.is_gone(), partial(do, *args, **named)
        )

    async def read(self, kind: Reads, do: Callable[..., R], *given: Any) -> R:
        """Run one of the `long_reads` and return its result. Raises ConnectionAbortedError if the visitor has left."""
        return await self.console.threads.read(kind, self.party, self.is_gone, do, *given)

    def render(self, name: str, /, status: HTTPStatus = HTTPStatus.OK, **context: Any) -> web.Response:
        """A page rendered from a template in `templates/`. All values are escaped.

        `problem` in the context may be a FormErrors.
        """
        problem = context.get("problem")
        self.errors = problem if isinstance(problem, FormErrors) else None
        text = self.request.app[TEMPLATES].render(name, visit=self, **context)
        return web.Response(text=text, status=status, content_type="text/html")

    def fragment(self, name: str, /, **context: Any) -> str:
        """A rendered part of a page, which htmx swaps into the open page."""
        return self.request.app[TEMPLATES].render(name, visit=self, **context)

    def shared_fragment(self, name: str, shown: object, context: Callable[[], Mapping[str, Any]]) -> str:
        """A part without visitor data, rendered only once per `shown` object and language."""
        speak(self.language)
        return self.request.app[TEMPLATES].shared(name, self.language, shown, context)

    def redirect(self, path: str) -> web.Response:
        """A redirect to another page after a form submission."""
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path})
