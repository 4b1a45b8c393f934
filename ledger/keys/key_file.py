"""Files with the ledger's secret keys, which are created on the first start and never overwritten.

Without the keys, numbers cannot be opened and nothing can be signed. idtone rejects a key file that other users can
read.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError

from .private_files import PRIVATE_FILE, make_parents, owner_in

KEY_BYTES: Final = 32


def load_key(path: Path, mode: int = PRIVATE_FILE) -> bytes:
    """Read a secret key from a file. If the file is missing, a new key is created.

    `mode` is the mode for a new file, and may allow the file's group to read it. Raises LedgerError if the key cannot
    be created or read, if other users can read it, or if its size is wrong.
    """
    try:
        make_parents(path)
        _create(path, mode)
    except OSError as error:
        raise LedgerError(
            "{path}: the key cannot be made: {reason}; check the path and its permissions",
            path=path,
            reason=error.strerror,
        ) from error
    return read_key(path, mode)


def read_key(path: Path, allowed: int = PRIVATE_FILE) -> bytes:
    """Read an existing secret key from a file.

    Raises LedgerError if the file is missing or unreadable, if its mode allows more than `allowed`, or if its size is
    wrong.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            key = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise LedgerError(
            "{path}: the key cannot be read: {reason}; check the path and its permissions",
            path=path,
            reason=error.strerror,
        ) from error
    if mode & 0o077 & ~allowed:
        raise LedgerError(
            "{path}: others can read the key (mode {mode:04o}); run: chmod {allowed:o} {path}",
            path=path,
            mode=mode,
            allowed=allowed,
        )
    if len(key) != KEY_BYTES:
        raise LedgerError(
            "{path}: the key must have exactly {wanted} bytes; restore it from a backup", path=path, wanted=KEY_BYTES
        )
    return key


def _create(path: Path, mode: int) -> None:
    """Create a key file atomically if it is missing."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            os.fchown(descriptor, owner_in(path.parent), -1)  # root replaces a key while the service is down
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link, unlike a rename, does not replace a key that another process made meanwhile.
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
