"""What an administrator may do with the console's users. Pure.

Nobody locks, removes or demotes the own account: so there is always an administrator left.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from idtone.core.errors import UsageError
from idtone.core.translation import Message

from ..access.rights import Role
from ..access.users import User

GIVEN: Final = timedelta(days=3)
"""How long a password signs in that an administrator has given."""
Users = dict[str, User]


def added(users: Users, name: str, roles: Sequence[Role], password: str | None, now: datetime) -> None:
    """`password` is its hash; None where a proxy or a provider knows the users. Raises UsageError."""
    if name in users:
        raise UsageError(Message("there is a user {name} already", name=name))
    _need(roles)
    try:
        user = User(name=name, roles=tuple(roles))
    except ValidationError as error:
        raise UsageError(
            Message("the name is empty, too long, or has a space or one of : / ? # in it; write it like sato")
        ) from error
    users[name] = _given(user, password, now) if password else user


def with_roles(users: Users, name: str, roles: Sequence[Role], by: str) -> None:
    _need(roles)
    if name == by and Role.ADMINISTRATOR not in roles:
        raise UsageError(Message("you cannot give up your own role of administrator; ask another administrator"))
    users[name] = _of(users, name).model_copy(update={"roles": tuple(roles)})


def locked(users: Users, name: str, by: str) -> None:
    _other(name, by)
    users[name] = _of(users, name).model_copy(update={"locked": True})


def unlocked(users: Users, name: str) -> None:
    users[name] = _of(users, name).model_copy(update={"locked": False})


def reset(users: Users, name: str, password: str, by: str, now: datetime) -> None:
    """Another password and no second factor, for somebody who has lost them. The user has to choose both anew."""
    _other(name, by)
    users[name] = _given(_of(users, name), password, now)


def removed(users: Users, name: str, by: str) -> None:
    _other(name, by)
    del users[_of(users, name).name]


def _given(user: User, password: str, now: datetime) -> User:
    return user.model_copy(
        update={"password": password, "totp": None, "passkeys": (), "given_until": now + GIVEN, "code_due": True}
    )  # fmt: skip


def _of(users: Users, name: str) -> User:
    if name not in users:
        raise UsageError(Message("there is no user {name}", name=name))
    return users[name]


def _need(roles: Sequence[Role]) -> None:
    if not roles:
        raise UsageError(Message("choose a role at least"))


def _other(name: str, by: str) -> None:
    if name == by:
        raise UsageError(Message("this is your own account; another administrator can do it"))
