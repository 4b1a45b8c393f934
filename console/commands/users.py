"""`idtone console user add | list | remove`."""

from __future__ import annotations

import base64
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer
import yaml

from idtone import command_line
from idtone.asking import asked
from idtone.command_line import ConfigOption, JsonOption
from idtone.errors import UsageError
from idtone.ledger.keys.private_files import make_parents, replace_private
from idtone.settings import load_settings
from idtone.translation import Message

from ..access.passwords import PASSWORD_LIMIT, hashed, one_time_codes
from ..access.rights import Role
from ..access.users import User, UsersFile, read_users

SHORTEST: Final = 12
"""Characters of a password. NIST SP 800-63B asks for 8 of a password with a second factor."""

DIFFERENT: Final = 5
"""Different characters of a password, at least."""


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

    With --password it prints an address (otpauth:) for an app for one-time codes, and its QR code on a terminal.
    """
    path = load_settings(config).console.users
    secret = base64.b32encode(secrets.token_bytes(20)).decode() if password and not no_code else None
    new = hashed(_new_password(name)) if password else None

    def changed(users: dict[str, User]) -> None:
        old = users.get(name)
        users[name] = User(
            name=name,
            roles=tuple(dict.fromkeys(role)),
            password=new or (old.password if old else None),
            totp=None if no_code else secret or (old.totp if old else None),
        )

    _change(path, changed)
    if secret:
        address = one_time_codes(secret).get_provisioning_uri(name, "idtone")
        print(address)
        if sys.stdout.isatty():
            from ..access.qr_code import lines  # reportlab, which takes a while

            print(*lines(address), sep="\n")


def list_users(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the users and their roles."""
    users = _read(load_settings(config).console.users).users
    if as_json:
        command_line.print_json([{"name": each.name, "roles": list(each.roles)} for each in users])
        return
    command_line.Rows(["name", "roles"]).print([each.name, ", ".join(each.roles)] for each in users)


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `list` shows it.")],
    config: ConfigOption = None,
) -> None:
    """Remove a user. The user's sessions end."""
    path = load_settings(config).console.users

    def changed(users: dict[str, User]) -> None:
        if users.pop(name, None) is None:
            raise UsageError(Message("{path}: there is no user {name}", path=path, name=name))

    _change(path, changed)


def _new_password(name: str) -> str:
    entered = asked(Message("Password"), hidden=True)
    if len(entered) < SHORTEST:
        raise UsageError(Message("the password has fewer than {shortest} characters", shortest=SHORTEST))
    if len(entered) > PASSWORD_LIMIT:
        raise UsageError(Message("the password has more than {longest} characters", longest=PASSWORD_LIMIT))
    if len(set(entered)) < DIFFERENT or any(word in entered.casefold() for word in (name.casefold(), "idtone")):
        raise UsageError(
            Message("the password is easy to guess: it repeats itself, or has the user's name or idtone in it")
        )
    return entered


def _read(path: Path) -> UsersFile:
    return read_users(path) if path.exists() else UsersFile()


def _change(path: Path, change: Callable[[dict[str, User]], None]) -> None:
    """Change the file at once and durably; no other user may read it. Raises DocumentError, UsageError."""
    users = {each.name: each for each in _read(path).users}
    change(users)
    made = UsersFile(users=tuple(users[name] for name in sorted(users)))
    text = yaml.safe_dump(made.model_dump(mode="json", exclude_none=True), allow_unicode=True, sort_keys=False)
    try:
        make_parents(path)
        replace_private(path, text.encode())
    except OSError as error:
        raise UsageError(Message("{path}: {reason}", path=path, reason=error.strerror or error)) from error
