"""Client for the running service's status feed.

The module imports little, because a systemd timer runs it every minute.
"""

import json
import socket
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.settings.settings import Settings
from idtone.core.translation import Message
from idtone.ledger.store.sqlite import path_of

from .feed_messages import restore_messages
from .local_sockets import connected_socket
from .service_user import SYSTEMD_S, UNIT
from .systemd import unit_properties

FORMAT: Final = 1
"""The feed's version. New fields do not change it."""
ANSWER_WITHIN_S: Final = 5.0
"""How long a command waits for the feed, in seconds."""


def socket_path(ledger: Path) -> Path:
    """Path of the status socket next to a ledger."""
    return ledger.with_name(ledger.name + ".status")


def ask(ledger: Path) -> dict[str, Any] | None:
    """Status feed of the service that uses a ledger; None if no service is running. Raises UsageError."""
    if not ledger.parent.is_dir():
        return None
    with connected_socket(socket_path(ledger), socket.SOCK_STREAM, ANSWER_WITHIN_S) as end:
        if end is None:
            return None
        octets = b""
        try:
            while more := end.recv(2**16):
                octets += more
            found = json.loads(octets)
        except TimeoutError as error:
            raise UsageError(
                "the service does not answer within {seconds:g} s; its log, and `systemctl status idtone`, say why",
                seconds=ANSWER_WITHIN_S,
            ) from error
        except (OSError, ValueError):
            return None  # it has just ended
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UsageError("the service is of another version; use the `idtone` that it runs")
    return restore_messages(found)


def answer(settings: Settings) -> dict[str, Any]:
    """The service's status feed, or an object with `running` set to false and a reason."""
    try:
        found = ask(path_of(settings.ledger.own_url()))
        trouble = Message("no service runs; start it: systemctl start idtone")
    except IdtoneError as error:
        found, trouble = None, Message("{error}", error=error)
    return found or {"format": FORMAT, "running": False, "trouble": trouble}


def restarts() -> int:
    """Number of automatic restarts since the service was started; 0 without systemd."""
    shown = unit_properties(UNIT, ("NRestarts",), SYSTEMD_S) or {}
    return int(shown.get("NRestarts") or 0)
