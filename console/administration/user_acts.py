"""Administrators' actions on users: add, change roles, lock, unlock, reset, end all sessions, remove.

If the console has passwords, each of these requires the administrator's own password and code again.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.translation import Message

from ..access.password_proof import Refusal
from ..access.passwords import new_password
from ..access.rights import Right, Role
from ..access.session_rows import rows_of
from ..access.sign_in_method import SIGN_IN_METHOD
from ..access.users import User, change_users
from ..page import Method, Page, Visit
from . import user_rules
from .users_and_sessions import PATH, USERS, show_users, user_path

Change = Callable[[dict[str, User]], None]
_ABSENT: Final = Message("There is no such user.")


async def show_user(visit: Visit, refusal: Refusal | None = None) -> web.StreamResponse:
    """Show one user with the administrator's forms."""
    console, name = visit.console, visit.part("name")
    user = next((each for each in await visit.in_thread(console.users.all) if each.name == name), None)
    if user is None:
        return visit.render("problem.html", HTTPStatus.NOT_FOUND, problem=_ABSENT)
    return visit.render(
        "administration_user.html",
        refusal.status if refusal else HTTPStatus.OK,
        problem=refusal.problem if refusal else None,
        user=user,
        is_own=visit.user == user,
        sent=visit.page.path.rpartition("/")[2] if refusal else "",
        path=user_path(name),
        sessions=rows_of(visit, console.sessions.of(name)),
        roles=[*Role],
        asks=visit.request.app[SIGN_IN_METHOD].proof is not None,
    )


async def add(visit: Visit) -> web.StreamResponse:
    name, roles = visit.field("name"), _roles(visit)
    password, hashed = await _password(visit)
    change = partial(user_rules.add_user, name=name, roles=roles, password=hashed, by=_me(visit), now=datetime.now(UTC))
    if refusal := await _changed(visit, name, "added", change):
        return await show_users(visit, refusal)
    return _given(visit, name, password) if password else visit.redirect(user_path(name))


async def reset(visit: Visit) -> web.StreamResponse:
    name = visit.part("name")
    password, hashed = await _password(visit)
    change = partial(user_rules.reset_password, name=name, password=hashed, by=_me(visit), now=datetime.now(UTC))
    verb = "reset the password and the second factor of"
    return await _done(visit, verb, change, lambda: _given(visit, name, password))


async def change_roles(visit: Visit) -> web.StreamResponse:
    change = partial(
        user_rules.change_roles, name=visit.part("name"), roles=_roles(visit), by=_me(visit), now=datetime.now(UTC)
    )
    return await _done(visit, "changed the roles of", change, ends=False)


async def lock(visit: Visit) -> web.StreamResponse:
    return await _done(visit, "locked", partial(user_rules.lock, name=visit.part("name"), by=_me(visit)))


async def unlock(visit: Visit) -> web.StreamResponse:
    return await _done(visit, "unlocked", partial(user_rules.unlock, name=visit.part("name")), ends=False)


async def remove(visit: Visit) -> web.StreamResponse:
    change = partial(user_rules.remove_user, name=visit.part("name"), by=_me(visit))
    return await _done(visit, "removed", change, lambda: visit.redirect(PATH))


async def end_sessions(visit: Visit) -> web.StreamResponse:
    """End all of the user's sessions except the current one."""
    name = visit.part("name")
    if refusal := await _asked(visit):
        return await show_user(visit, refusal)
    sessions = visit.console.sessions
    for session in sessions.of(name):
        if session is not visit.session:
            sessions.end(session)
            visit.console.sign_ins.ended(name, _me(visit))
    return visit.redirect(user_path(name))


async def _done(
    visit: Visit,
    verb: str,
    change: Change,
    answer: Callable[[], web.StreamResponse] | None = None,
    *,
    ends: bool = True,
) -> web.StreamResponse:
    """Change the user and return the response.

    If `ends` is True, the user's sessions end now, so that none of them becomes valid again when the user is unlocked
    or reset.
    """
    name = visit.part("name")
    if refusal := await _changed(visit, name, verb, change):
        return await show_user(visit, refusal)
    if ends:
        visit.console.sessions.end_all_of(name)
    return answer() if answer else visit.redirect(user_path(name))


async def _changed(visit: Visit, name: str, verb: str, change: Change) -> Refusal | None:
    if refusal := await _asked(visit):
        return refusal
    try:
        allowed = partial(user_rules.by_administrator, change=change, by=_me(visit))
        await visit.in_thread(change_users, visit.console.settings.console.users, allowed)
    except IdtoneError as error:
        return Refusal(HTTPStatus.BAD_REQUEST, error)
    visit.console.sign_ins.administered(name, _me(visit), verb, visit.address)
    return None


async def _asked(visit: Visit) -> Refusal | None:
    proof = visit.request.app[SIGN_IN_METHOD].proof
    return await proof.verify_again(visit) if proof else None


async def _password(visit: Visit) -> tuple[str, str]:
    """A new password and its hash, or two empty strings if a proxy or a provider signs users in."""
    proof = visit.request.app[SIGN_IN_METHOD].proof
    password = new_password() if proof else ""
    return password, await proof.hash_password(visit, password) if proof else ""


def _given(visit: Visit, name: str, password: str) -> web.Response:
    """The only page that shows the new password."""
    return visit.render(
        "administration_password.html", name=name, password=password, path=user_path(name), days=user_rules.GIVEN.days
    )


def _me(visit: Visit) -> str:
    assert visit.user is not None
    return visit.user.name


def _roles(visit: Visit) -> list[Role]:
    return [role for role in Role if visit.field(f"role-{role}")]


_ACTS: Final = {
    "roles": change_roles, "lock": lock, "unlock": unlock, "sessions": end_sessions, "remove": remove, "reset": reset,
}  # fmt: skip


def pages(*, has_passwords: bool) -> Sequence[Page]:
    return (
        Page(USERS, add, Right.ADMINISTER, Method.POST),
        Page(USERS + "/{name}", show_user, Right.ADMINISTER),
        *(
            Page(f"{USERS}/{{name}}/{name}", act, Right.ADMINISTER, Method.POST)
            for name, act in _ACTS.items()
            if has_passwords or act is not reset
        ),
    )
