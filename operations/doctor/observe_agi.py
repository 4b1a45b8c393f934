"""Checks that the service's AGI listener answers.

The check does not send a call's request, so it leaves no record.
"""

import socket
from pathlib import Path
from typing import Final

from idtone.agi.environment import write_fields
from idtone.core.translation import Message

TIMEOUT_S: Final = 2.0

_PRESENTED: Final = {
    "agi_network": b"yes",
    "agi_network_script": b"doctor",
    "agi_request": b"agi://idtone/doctor",
    "agi_channel": b"idtone-doctor",
    "agi_language": b"en",
    "agi_type": b"idtone-doctor",
    "agi_uniqueid": b"idtone-doctor",
    "agi_version": b"idtone-doctor",
    "agi_callerid": b"unknown",
    "agi_calleridname": b"unknown",
    "agi_callingpres": b"0",
    "agi_callingani2": b"0",
    "agi_callington": b"0",
    "agi_callingtns": b"0",
    "agi_dnid": b"unknown",
    "agi_rdnis": b"unknown",
    "agi_context": b"idtone-doctor",
    "agi_extension": b"s",
    "agi_priority": b"1",
    "agi_enhanced": b"0.0",
    "agi_accountcode": b"",
    "agi_threadid": b"1",
}
"""The channel fields that the check sends first. The listener answers with NOOP before it reads a request."""
_PROOF: Final = b"NOOP"
_HUNG_UP: Final = b"511 Command Not Permitted on a dead channel or intercept routine\n"
"""The answer from a channel that has hung up, which the listener treats as a normal end."""


def listener_trouble(address: Path | tuple[str, int]) -> str:
    """Reason why the AGI listener does not answer; empty if it does."""
    target = str(address) if isinstance(address, Path) else address
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        with socket.socket(family) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(target)
            connection.sendall(write_fields(_PRESENTED))
            answer = connection.recv(4096)
            if not answer.startswith(_PROOF):
                return Message("another program listens there")
            connection.sendall(_HUNG_UP)
            return ""
    except OSError as error:
        return error.strerror or str(error)
