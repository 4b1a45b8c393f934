"""Rules for administrators' changes to the console's users.

Administrators cannot change their own roles or lock or remove their own accounts, and they must still be administrators
when the change is made. At least one administrator therefore remains, even if two try to remove each other.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from idtone.core.errors import UsageError

from ..access.rights import Role
from ..access.users import Administered, User
from ..form_errors import FormErrors

GIVEN: Final = timedelta(days=3)
"""Lifetime of a password set by an administrator."""
Users = dict[str, User]


def by_administrator(users: Users, change: Callable[[Users], None], by: str) -> None:
    """Apply a change by `by`. Raises UsageError if `by` is no longer an administrator who may sign in."""
    me = users.get(by)
    if me is None or me.locked or Role.ADMINISTRATOR not in me.roles:
        raise UsageError("you are no administrator any more")
    change(users)


def add_user(users: Users, name: str, roles: Sequence[Role], password: str | None, by: str, now: datetime) -> None:
    """Add a user. `password` is a hash, or None if a proxy or a provider signs users in. Raises FormErrors."""
    errors = FormErrors()
    errors.read("name", lambda: _check_name(users, name))
    errors.read("roles", lambda: _need(roles))
    errors.check()
    user = User(name=name, roles=tuple(roles), administered=Administered(by=by, at=now))
    users[name] = _given(user, password, now) if password else user


def _check_name(users: Users, name: str) -> None:
    if name in users:
        raise UsageError("there is a user {name} already", name=name)
    try:
        User(name=name, roles=(Role.VIEWER,))
    except ValidationError as error:
        raise UsageError(
            "the name is empty, too long, or has a space or one of : / ? # in it; write it like sato"
        ) from error


def change_roles(users: Users, name: str, roles: Sequence[Role], by: str, now: datetime) -> None:
    errors = FormErrors()
    errors.read("roles", lambda: _need(roles))
    errors.check()
    _other(name, by)
    administered = Administered(by=by, at=now)
    users[name] = _of(users, name).model_copy(update={"roles": tuple(roles), "administered": administered})


def lock(users: Users, name: str, by: str) -> None:
    _other(name, by)
    users[name] = _of(users, name).model_copy(update={"locked": True})


def unlock(users: Users, name: str) -> None:
    users[name] = _of(users, name).model_copy(update={"locked": False})


def reset_password(users: Users, name: str, password: str, by: str, now: datetime) -> None:
    """Set a temporary password for a user who has lost their password or second factor.

    This also removes the second factor, the passkeys and the email address. The user must choose a password and set up
    a second factor again.
    """
    _other(name, by)
    administered = Administered(by=by, at=now)
    users[name] = _given(_of(users, name), password, now).model_copy(update={"administered": administered})


def remove_user(users: Users, name: str, by: str) -> None:
    _other(name, by)
    del users[_of(users, name).name]


def _given(user: User, password: str, now: datetime) -> User:
    return user.model_copy(
        update={
            "password": password, "totp": None, "passkeys": (), "mail": None, "given_until": now + GIVEN,
            "code_due": True,
        }
    )  # fmt: skip


def _of(users: Users, name: str) -> User:
    if name not in users:
        raise UsageError("there is no user {name}", name=name)
    return users[name]


def _need(roles: Sequence[Role]) -> None:
    if not roles:
        raise UsageError("choose a role at least")


def _other(name: str, by: str) -> None:
    if name == by:
        raise UsageError("this is your own account; another administrator can do it")
