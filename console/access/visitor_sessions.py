"""Begins, renews and ends visitors' sessions, and sets their cookies."""

from aiohttp import web

from ..page import Visit
from .cookies import SESSION
from .sessions import Session


def begin_session(visit: Visit, name: str) -> web.Response:
    """Begin a session for a user who has just signed in, and redirect to the first page."""
    answer = visit.redirect("/")
    SESSION.set_on(answer, signed_in(visit, name))
    return answer


def signed_in(visit: Visit, name: str) -> str:
    """Begin a session and return its token. Ends the browser's earlier session."""
    console = visit.console
    before = console.sessions.find(SESSION.value_in(visit.request))
    if before:
        console.sessions.end(before)
    token, _ = console.sessions.begin(name, visit.address)
    console.sign_ins.signed_in(name, visit.address)
    console.waits.look_again()
    return token


def renew_session(visit: Visit, answer: web.Response, name: str) -> None:
    """Replace all sessions of a user who has proved their identity again with a new one in this browser."""
    visit.console.sessions.end_all_of(name)
    token, _ = visit.console.sessions.begin(name, visit.address)
    SESSION.set_on(answer, token)


async def still_admits(visit: Visit) -> bool:
    """True if the visitor's session, user and right are still valid for a streaming page."""
    session, right = visit.session, visit.page.right
    if session is None or right is None or not visit.console.sessions.is_open(session):
        return False
    user = await visit.console.user(session.name)
    return user is not None and session.belongs_to(user.password) and right in user.rights


def end_session(visit: Visit, session: Session) -> web.Response:
    """End the session of a user who signs out, and redirect to the sign-in page."""
    visit.console.sessions.end(session)
    visit.console.sign_ins.signed_out(session.name, visit.address)
    answer = visit.redirect("/")
    SESSION.delete_on(answer)
    answer.headers["Clear-Site-Data"] = '"cache"'  # the "back" button must not show pages of the session
    return answer
