"""What the service tells whoever runs it: systemd's protocol, sd_notify(3) and sd_watchdog_enabled(3).

Datagrams of NAME=value lines to the socket that NOTIFY_SOCKET names. Without that variable nobody is told.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

log = logging.getLogger(__name__)

STATUS_EVERY_S: Final = 1.0
"""How often the state is looked at where no watchdog asks for signs of life."""


class ServiceManager:
    """Whoever started us, be it systemd or nobody."""

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        """`address` is the value of NOTIFY_SOCKET; `watchdog_s` how long we may be silent."""
        self.address = address
        self.watchdog_s = watchdog_s
        self._status = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> ServiceManager:
        """The one that the environment names. A watchdog meant for another process (WATCHDOG_PID) is not ours."""
        ours = environment.get("WATCHDOG_PID") in (None, "", str(os.getpid()))
        allowed_us = environment.get("WATCHDOG_USEC", "")
        watchdog_s = int(allowed_us) / 1e6 if ours and allowed_us.isascii() and allowed_us.isdecimal() else None
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog_s or None)

    def tell(self, *assignments: str) -> None:
        """Send assignments such as `READY=1` in one datagram; that they do not arrive is logged."""
        if not self.address:
            return
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
                datagrams.setblocking(False)
                datagrams.sendto("\n".join(assignments).encode(), name)
        except OSError as error:
            log.error("the service manager at %s cannot be told: %s", self.address, error.strerror)

    def status(self, words: str) -> None:
        """Tell in words how things are, where they have changed."""
        if words != self._status:
            self._status = words
            self.tell(f"STATUS={words}")

    async def attend(self, status: Callable[[], str]) -> None:
        """Give signs of life for as long as the event loop lives, three within the time that the watchdog allows.

        They come from the loop itself, so that one that is blocked falls silent like a process that is stopped.
        """
        while True:
            if self.watchdog_s:
                self.tell("WATCHDOG=1")
            self.status(status())
            await asyncio.sleep(self.watchdog_s / 3 if self.watchdog_s else STATUS_EVERY_S)
