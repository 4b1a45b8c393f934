"""The console's users file: names, roles and, if users sign in with passwords, password hashes.

users:
  - name: sato
    roles: [viewer, investigator]
    password: $argon2id$…          # `idtone console user` writes it
    totp: JBSWY3DPEHPK3PXP         # the secret of the second factor
    locked: true                   # cannot sign in until an administrator unlocks the user
"""

import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import AfterValidator, AwareDatetime, Field

from idtone.core.errors import UsageError
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model, read_text, read_tree, validate
from idtone.ledger.keys.private_files import make_parents, replace_private

from ..cached_files import CachedFiles
from .rights import Right, Role, rights_of

SIZE_LIMIT: Final = 2**20
RESERVE: Final = SIZE_LIMIT // 16
"""Number of bytes in the file that are reserved for changes to existing users.

New users, new passkeys and saved searches cannot use them, so existing users can always change their accounts.
"""
NAME_LIMIT: Final = 100


def _name(value: str) -> str:
    if not re.fullmatch(r"[^\s:/?#]+", value) or not value.isprintable():
        raise ValueError(
            Message("has a space or one of : / ? # in it"), Message("Write it like sato or sato@example.jp")
        )
    return value


class Passkey(Model):
    """A user's passkey (WebAuthn).

    `id` and `key` (the public key) are Base64url. `count` is the passkey's signature counter, or 0 if it has none.
    """

    id: Annotated[str, Field(min_length=1, max_length=1400)]
    key: Annotated[str, Field(min_length=1, max_length=2000)]
    count: int = 0
    name: Annotated[str, Field(min_length=1, max_length=60)]


class SavedSearch(Model):
    """A user's saved call search. `query` is its address's query string, without telephone numbers."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    query: Annotated[str, Field(min_length=1, max_length=1000)]


class Administered(Model):
    """The administrator who last created or reset the account or changed its roles, and when."""

    by: str
    at: AwareDatetime


class User(Model):
    """A user. `password` is not used if a proxy or OpenID Connect provider signs users in.

    `given_until` is set while the user has a password from an administrator. That password expires at `given_until`,
    and the user must choose a new one before doing anything else. `code_due` is True if the user must first set up a
    second factor.
    """

    name: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT), AfterValidator(_name)]
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    password: str | None = Field(default=None, repr=False)
    totp: str | None = Field(default=None, repr=False)
    locked: bool = False
    given_until: AwareDatetime | None = None
    code_due: bool = False
    administered: Administered | None = None
    passkeys: Annotated[tuple[Passkey, ...], Field(repr=False)] = ()
    searches: tuple[SavedSearch, ...] = ()
    mail: Annotated[str, Field(min_length=3, max_length=255)] | None = None
    """Address for emails about pending tasks."""

    @property
    def is_new(self) -> bool:
        """True if the user must still choose a password or set up a second factor. Only for sign-in with a password."""
        return self.given_until is not None or (self.code_due and self.totp is None)

    @property
    def rights(self) -> frozenset[Right]:
        return rights_of(self.roles)


class UsersFile(Model):
    """Content of the users file."""

    users: tuple[User, ...] = ()


def read_users(path: Path) -> UsersFile:
    """Read the users from the file. Raises DocumentError."""
    text = read_text(path, size_limit=SIZE_LIMIT)
    return validate(read_tree(text, str(path)), text, str(path), UsersFile)


def change_users(path: Path, change: Callable[[dict[str, User]], None]) -> None:
    """Atomically and durably replace the file, readable only by this account.

    `change` receives the users by name and modifies them in place. If it raises an error, the file stays unchanged. A
    lock serializes changes from several processes.

    Raises DocumentError, UsageError.
    """
    try:
        make_parents(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        users = {each.name: each for each in (read_users(path).users if path.exists() else ())}
        before = _entries(users)
        change(users)
        made = UsersFile(users=tuple(users[name] for name in sorted(users)))
        text = yaml.safe_dump(made.model_dump(mode="json", exclude_defaults=True), allow_unicode=True, sort_keys=False)
        octets = text.encode()
        if len(octets) > (SIZE_LIMIT - RESERVE if _entries(users) > before else SIZE_LIMIT):
            raise UsageError("{path} would be too large; remove users, passkeys or saved searches first", path=path)
        replace_private(path, octets)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        os.close(folder)


def _entries(users: dict[str, User]) -> int:
    return sum(1 + len(each.passkeys) + len(each.searches) for each in users.values())


def _not_written(path: Path, error: OSError) -> UsageError:
    return UsageError(
        "{path} cannot be written: {reason}; its folder must be writable, for the console's unit by ReadWritePaths=",
        path=path,
        reason=error.strerror or error,
    )


class Users:
    """The users in the file. Changes to the file take effect at the next request."""

    def __init__(self, path: Path) -> None:
        self._by_name = CachedFiles(lambda: [path], lambda: {user.name: user for user in read_users(path).users})

    def get(self, name: str) -> User | None:
        """The user with this name, or None if the user is locked or does not exist. Raises DocumentError."""
        found = self._by_name.get().get(name)
        return None if found is None or found.locked else found

    @property
    def is_read(self) -> bool:
        """True if the file has not changed since it was last read, so `get` will not read it."""
        return self._by_name.is_read

    def of_passkey(self, passkey: str) -> tuple[User, Passkey] | None:
        """The passkey with this id and its user, or None if no user who may sign in has it. Raises DocumentError."""
        return next(
            ((user, each) for user in self.all() if not user.locked for each in user.passkeys if each.id == passkey),
            None,
        )

    def all(self) -> list[User]:
        """All users, sorted by name. Raises DocumentError."""
        users = self._by_name.get()
        return [users[name] for name in sorted(users)]
