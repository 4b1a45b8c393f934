"""`idtone console user`, which manages the users of the console."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.command_line import ConfigOption, JsonOption
from idtone.core.terminal.prompts import ask_line
from idtone.core.translation import Message

from ..access.password_rules import common_passwords, objection
from ..access.passwords import hash_password, new_secret, provisioning_uri
from ..access.rights import Role
from ..access.users import User, change_users, read_users
from ..administration import user_rules


def user(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The name with which the user signs in, or that the proxy sends."),
    ] = None,
    role: Annotated[list[Role] | None, typer.Option("--role", help="The user's roles. May be repeated.")] = None,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password, and create a second factor.")
    ] = False,
    no_code: Annotated[
        bool, typer.Option("--no-code", help="Sign in with only the password: remove the second factor.")
    ] = False,
    unlock: Annotated[bool, typer.Option("--unlock", help="Allow a locked user to sign in again.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the user. The user's sessions end.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the users and their roles; with NAME, add or change one, unlock or remove one.

    --role adds a user, or replaces the user's roles. --password removes the passkeys and the mail address, and prints
    an otpauth: address and its QR code for a one-time code app.
    """
    acts = [bool(role), unlock, remove]
    if name is None:
        if any(acts) or password or no_code:
            raise UsageError("name the user: idtone console user NAME …")
        _list_users(config, as_json)
        return
    if sum(acts) != 1 or as_json or ((password or no_code) and not role):
        raise UsageError(
            "say what to do with {name}: --role (with --password or --no-code), --unlock or --remove", name=name
        )
    if role:
        _put(name, role, password, no_code, config)
    else:
        (_unlock if unlock else _remove)(name, config)


def _put(name: str, role: list[Role], password: bool, no_code: bool, config: Path | None) -> None:
    settings = load_settings(config)
    secret = new_secret() if password and not no_code else None
    new = hash_password(_new_password(name, settings.node)) if password else None

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
        address = provisioning_uri(name, secret)
        print(address)
        if sys.stdout.isatty():
            from ..access.terminal_qr_code import lines  # imports reportlab, which is slow

            print(*lines(address), sep="\n")


def _list_users(config: Path | None, as_json: bool) -> None:
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


def _remove(name: str, config: Path | None) -> None:
    path = load_settings(config).console.users

    def changed(users: dict[str, User]) -> None:
        if users.pop(name, None) is None:
            raise UsageError("{path}: there is no user {name}", path=path, name=name)

    change_users(path, changed)


def _unlock(name: str, config: Path | None) -> None:
    change_users(load_settings(config).console.users, partial(user_rules.unlock, name=name))


def _new_password(name: str, node: str) -> str:
    entered = ask_line(Message("Password"), hidden=True)
    if why := objection(entered, (name, node), common_passwords()):
        raise UsageError(why)
    return entered
