"""A socket that replaces journald's."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Journald:
    """A datagram socket that reads journald's protocol."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(60)

    def read(self) -> dict[str, str]:
        """Wait for the next record and return its fields."""
        return _fields(self.socket.recv(2**20))

    @contextmanager
    def reading(self) -> Iterator[list[dict[str, str]]]:
        """Context with a thread that reads records as they arrive, as journald does.

        Yields the list of the records received so far. Closes the socket.
        """
        read: list[dict[str, str]] = []
        self.socket.settimeout(None)

        def read_on() -> None:
            while octets := self.socket.recv(2**20):
                read.append(_fields(octets))

        thread = threading.Thread(target=read_on, name="journald")
        thread.start()
        try:
            yield read
        finally:
            with self.socket, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.sendto(b"", str(self.path))
                thread.join()


def _fields(rest: bytes) -> dict[str, str]:
    fields = {}
    while rest:
        line, _, after = rest.partition(b"\n")
        name, is_short, value = line.partition(b"=")
        if not is_short:
            size = int.from_bytes(after[:8], "little")
            value, after = after[8 : 8 + size], after[8 + size + 1 :]
        fields[name.decode()] = value.decode()
        rest = after
    return fields
