"""Pages for all signed-in users: first page, language choice and sign-out."""

from http import HTTPStatus
from urllib.parse import unquote

from aiohttp import web

from idtone.core.translation import Message

from .access.cookies import LANGUAGE, WANTED
from .access.rights import Right
from .access.visitor_sessions import end_session
from .language import LANGUAGES
from .own_address import own_page
from .page import Method, Page, Visit


async def show_first_page(visit: Visit) -> web.StreamResponse:
    """Redirect to the page that the visitor requested before signing in, or to the first page in the menu."""
    if wanted := own_page(unquote(WANTED.value_in(visit.request))):
        answer = visit.redirect(wanted)
        WANTED.delete_on(answer)
        return answer
    first = next((page.path for pages in visit.menu().values() for page, _ in pages), None)
    if first is None:
        return visit.render(
            "problem.html", HTTPStatus.NOT_FOUND, problem=Message("This console has no page for your role.")
        )
    return visit.redirect(first)


async def choose_language(visit: Visit) -> web.StreamResponse:
    """Store the language in a cookie and return to the same page in that language."""
    answer = visit.redirect(own_page(visit.field("to")) or "/")
    if (chosen := visit.field("language")) in LANGUAGES:
        LANGUAGE.set_on(answer, chosen)
    return answer


async def sign_out(visit: Visit) -> web.StreamResponse:
    assert visit.session is not None
    return end_session(visit, visit.session)


PAGES = (
    Page("/", show_first_page, Right.ENTER),
    Page("/language", choose_language, Right.ENTER, Method.POST, while_new=True),
    Page("/sign-out", sign_out, Right.ENTER, Method.POST, while_new=True),
)
