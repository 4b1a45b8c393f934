"""Settings under `fleet`, which connect this node with the operator's other nodes."""

import os
import stat
from pathlib import Path
from typing import Annotated, Final

from ..errors import DocumentError, Fault
from ..translation import Message
from ..yaml_documents import Model
from .values import COMMA_LIST, EndpointName, VerifierLine

FLEET_KEY_BYTES: Final = 32
_DIGITS: Final = 2 * FLEET_KEY_BYTES


class FleetSettings(Model):
    """The key and settings file that the nodes share and the trunks between them."""

    key_file: Path | None = None
    """The file with the key that all nodes share."""
    trunks: Annotated[tuple[EndpointName, ...], COMMA_LIST] = ()
    """This node's PJSIP endpoints that lead to other nodes and through which their calls arrive."""
    settings: Path | None = None
    """The signed settings file; None if this node has only its own settings."""
    trust: VerifierLine | None = None
    """The verifier key for that file's signature."""

    def key(self) -> bytes | None:
        """The fleet key of `FLEET_KEY_BYTES` bytes, read from its file; None if no trunk leads to another node.

        Raises DocumentError if trunks are set but no usable key exists.
        """
        if not self.trunks:
            return None
        if self.key_file is None:
            raise _fault(
                Message("is not set, and fleet.trunks is"),
                Message("Make a key with `idtone-fleet new-key FILE`, and copy it to all nodes"),
            )
        return read_fleet_key(self.key_file)


def read_fleet_key(path: Path) -> bytes:
    """Read a fleet key from a file.

    Raises DocumentError if the file is unreadable, is readable by other users or contains no valid key.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(_DIGITS + 3)
    except OSError as error:
        raise _fault(
            Message("{path} cannot be read: {reason}", path=path, reason=error.strerror),
            Message("Check the path, and that the service's user owns the file"),
        ) from error
    if mode & 0o077:
        raise _fault(
            Message("{path}: others can read the key (mode {mode:04o})", path=path, mode=mode),
            Message("Run: chmod 600 {path}", path=path),
        )
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != FLEET_KEY_BYTES:
        raise _fault(
            Message("{path} does not have exactly {digits} hexadecimal digits", path=path, digits=_DIGITS),
            Message("Copy the file again from another node"),
        )
    return key


def _fault(problem: Message, remedy: Message) -> DocumentError:
    return DocumentError([Fault("settings", 0, 0, "fleet.key_file", problem, remedy)])
