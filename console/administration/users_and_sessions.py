"""The page with all sessions, failed sign-ins, and users with their roles."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from aiohttp import web

from idtone.core.translation import Message, template

from ..access.password_proof import Refusal
from ..access.rights import RIGHTS, Right, Role
from ..access.session_rows import rows_of
from ..access.sign_in_log import count_failures
from ..access.sign_in_method import SIGN_IN_METHOD
from ..page import Method, Page, Section, Visit

PATH: Final = "/administration"
USERS: Final = f"{PATH}/users"
IN_WORDS: Final[Mapping[Right, str]] = {
    Right.ENTER: template("signs in"),
    Right.LOOK: template("sees this node and its calls, with masked numbers"),
    Right.OPEN_NUMBERS: template("opens and searches numbers, for a purpose that is recorded"),
    Right.REQUEST_EXPORTS: template("requests exports of evidence"),
    Right.APPROVE_EXPORTS: template("approves exports of evidence"),
    Right.STOP_NUMBERS: template("stops numbers of this node, and lifts that"),
    Right.OFFICE: template("does the work of the association's office"),
    Right.ADMINISTER: template("adds, locks and removes users, and ends sessions"),
}


def user_path(name: str) -> str:
    return f"{USERS}/{quote(name, safe='')}"


async def show_users(visit: Visit, refusal: Refusal | None = None) -> web.StreamResponse:
    """Show the page. `refusal` says why the form for a new user was refused."""
    console = visit.console
    users = await visit.in_thread(console.users.all)
    failures = console.sign_ins.of_last_day()
    return visit.render(
        "administration.html",
        refusal.status if refusal else HTTPStatus.OK,
        problem=refusal.problem if refusal else None,
        asks=visit.request.app[SIGN_IN_METHOD].proof is not None,
        sessions=rows_of(visit, console.sessions.all()),
        failures=count_failures(failures)[:50],
        failed=len(failures),
        users=users,
        rights={role: [IN_WORDS[right] for right in Right if right in rights] for role, rights in RIGHTS.items()},
        roles=[*Role],
        user_path=user_path,
        started=console.sign_ins.began,
    )


async def end(visit: Visit) -> web.StreamResponse:
    """End the session named in the form."""
    assert visit.user is not None
    sessions = visit.console.sessions
    session = next((each for each in sessions.all() if each.id == visit.field("session")), None)
    if session is None:
        return visit.render("problem.html", HTTPStatus.NOT_FOUND, problem=Message("This session is over already."))
    sessions.end(session)
    visit.console.sign_ins.ended(session.name, visit.user.name)
    return visit.redirect(PATH)


PAGES = (
    Page(PATH, show_users, Right.ADMINISTER, title=template("Users and sessions"), section=Section.ADMINISTRATION),
    Page(PATH + "/end", end, Right.ADMINISTER, Method.POST),
)
