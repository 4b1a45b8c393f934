"""`idtone console user add | list | unlock | remove`."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.asking import asked
from idtone.core.terminal.command_line import ConfigOption, JsonOption
from idtone.core.translation import Message

from ..access.password_rules import common_passwords, objection
from ..access.passwords import hashed, new_secret, provisioning
from ..access.rights import Role
from ..access.users import User, change_users, read_users
from ..administration import user_rules


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As the user signs in, or as the proxy names the user.")],
    role: Annotated[list[Role], typer.Option("--role", help="May be repeated.")],
    password: Annotated[bool, typer.Option("--password", help="Ask for a password, and make a second factor.")] = False,
    no_code: Annotated[
        bool, typer.Option("--no-code", help="Sign in by the password alone: no second factor, and none of before.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Add a user, or change a user's roles, password or second factor.

    --password removes the passkeys, and prints an address (otpauth:) for an app for one-time codes, with its QR code.
    """
    settings = load_settings(config)
    secret = new_secret() if password and not no_code else None
    new = hashed(_new_password(name, settings.node)) if password else None

    def changed(users: dict[str, User]) -> None:
        old = users.get(name)
        user = (old or User(name=name, roles=tuple(role))).model_copy(update={"roles": tuple(dict.fromkeys(role))})
        if new:
            user = user.model_copy(update={"password": new, "given_until": None, "passkeys": (), "mail": None})
        if no_code or secret:
            user = user.model_copy(update={"totp": secret, "code_due": False})
        users[name] = user

    change_users(settings.console.users, changed)
    if secret:
        address = provisioning(name, secret)
        print(address)
        if sys.stdout.isatty():
            from ..access.qr_code import lines  # reportlab, which takes a while

            print(*lines(address), sep="\n")


def list_users(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the users and their roles."""
    path = load_settings(config).console.users
    users = read_users(path).users if path.exists() else ()
    if as_json:
        command_line.print_json(
            [{"name": each.name, "roles": list(each.roles), "locked": each.locked} for each in users]
        )
        return
    command_line.Rows(["name", "roles", "locked"]).print(
        [each.name, ", ".join(each.roles), Message("locked") if each.locked else ""] for each in users
    )


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `list` shows it.")],
    config: ConfigOption = None,
) -> None:
    """Remove a user. The user's sessions end."""
    path = load_settings(config).console.users

    def changed(users: dict[str, User]) -> None:
        if users.pop(name, None) is None:
            raise UsageError(Message("{path}: there is no user {name}", path=path, name=name))

    change_users(path, changed)


def unlock(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `list` shows it.")],
    config: ConfigOption = None,
) -> None:
    """Let a locked user sign in again."""
    change_users(load_settings(config).console.users, partial(user_rules.unlocked, name=name))


def _new_password(name: str, node: str) -> str:
    entered = asked(Message("Password"), hidden=True)
    if why := objection(entered, (name, node), common_passwords()):
        raise UsageError(why)
    return entered
