"""A socket in the place of journald's."""

from __future__ import annotations

import socket
from pathlib import Path


class Journald:
    """A datagram socket which reads journald's protocol."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(5)

    def read(self) -> dict[str, str]:
        """The fields of the next record."""
        rest, fields = self.socket.recv(2**20), {}
        while rest:
            line, _, after = rest.partition(b"\n")
            name, is_short, value = line.partition(b"=")
            if not is_short:
                size = int.from_bytes(after[:8], "little")
                value, after = after[8 : 8 + size], after[8 + size + 1 :]
            fields[name.decode()] = value.decode()
            rest = after
        return fields
