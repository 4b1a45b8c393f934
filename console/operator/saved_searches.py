"""Call searches that users have saved under a name."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import Message

from ..access.rights import Right
from ..access.users import SavedSearch, User, change_users
from ..page import Method, Page, Visit
from ..search import is_number
from .call_query import PATH, CallQuery

SAVE: Final = f"{PATH}/searches"
MOST: Final = 20
NAME_LIMIT: Final = 60


def with_search(user: User, name: str, query: str) -> User:
    """The user with this search added, replacing any search of the same name.

    `query` is the query string of a page's address. Parameters other than search fields are dropped. Raises UsageError.
    """
    kept = CallQuery.of(dict(parse_qsl(query))).address().partition("?")[2]
    if not kept:
        raise UsageError("choose a condition first, and search")
    if any(is_number(value) for value in dict(parse_qsl(kept)).values()):
        raise UsageError("a saved search must not hold a telephone number")
    if len(kept) > 1000 or len(name) > NAME_LIMIT:
        raise UsageError("the name or the search is too long")
    others = [each for each in user.searches if each.name != name]
    if len(others) >= MOST:
        raise UsageError("you have {most} saved searches; remove one first", most=MOST)
    searches = sorted((*others, SavedSearch(name=name, query=kept)), key=lambda each: each.name)
    return user.model_copy(update={"searches": tuple(searches)})


def without_search(user: User, name: str) -> User:
    return user.model_copy(update={"searches": tuple(each for each in user.searches if each.name != name)})


async def save(visit: Visit) -> web.StreamResponse:
    query = visit.field("query")
    return await _changed(
        visit, query, lambda user: with_search(user, checked_line(visit.field("name"), Message("Name")), query)
    )


async def remove(visit: Visit) -> web.StreamResponse:
    return await _changed(visit, "", lambda user: without_search(user, visit.field("name")))


async def _changed(visit: Visit, query: str, change: Callable[[User], User]) -> web.StreamResponse:
    """Save the changed user and redirect back to the search."""
    assert visit.user is not None
    name = visit.user.name

    def changed(users: dict[str, User]) -> None:
        if name in users:
            users[name] = change(users[name])

    try:
        await visit.in_thread(change_users, visit.console.settings.console.users, changed)
        address = CallQuery.of(dict(parse_qsl(query))).address()
    except IdtoneError as error:
        return visit.render("problem.html", HTTPStatus.BAD_REQUEST, problem=error)
    return visit.redirect(address)


PAGES = (
    Page(SAVE, save, Right.LOOK, Method.POST),
    Page(f"{SAVE}/remove", remove, Right.LOOK, Method.POST),
)
