"""Sends messages to systemd (sd_notify(3), sd_watchdog_enabled(3)) and reads properties of its units.

Each message is a datagram of NAME=value lines, sent to the socket in NOTIFY_SOCKET. Without that variable, nothing is
sent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

STATUS_EVERY_S: Final = 1.0
"""How often the status is checked if there is no watchdog, in seconds."""


class ServiceManager:
    """Connection to systemd. Nothing is sent if the service was started without systemd."""

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        """Set the value of NOTIFY_SOCKET and the maximum time in seconds between two signs of life."""
        self.address = address
        self.watchdog_s = watchdog_s
        self._status = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> ServiceManager:
        """Create the connection from environment variables. WATCHDOG_PID may name another process."""
        ours = environment.get("WATCHDOG_PID") in (None, "", str(os.getpid()))
        allowed_us = environment.get("WATCHDOG_USEC", "")
        watchdog_s = int(allowed_us) / 1e6 if ours and allowed_us.isascii() and allowed_us.isdecimal() else None
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog_s or None)

    def notify(self, *assignments: str) -> None:
        """Send assignments such as `READY=1` in one datagram. An error is logged."""
        if not self.address:
            return
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
                datagrams.setblocking(False)
                datagrams.sendto("\n".join(assignments).encode(), name)
        except OSError as error:
            log.error("the service manager at %s cannot be notified: %s", self.address, error.strerror)

    def status(self, words: str) -> None:
        """Send the status text if it has changed."""
        if words != self._status:
            self._status = words
            self.notify(f"STATUS={words}")

    async def report(self, status: Callable[[], str]) -> None:
        """Send the status, and a sign of life three times per watchdog period, until cancelled.

        The signs come from the event loop itself, so they stop if the loop is blocked.
        """
        while True:
            if self.watchdog_s:
                self.notify("WATCHDOG=1")
            self.status(status())
            await asyncio.sleep(self.watchdog_s / 3 if self.watchdog_s else STATUS_EVERY_S)


def unit_properties(unit: str, properties: Sequence[str], deadline_s: float) -> dict[str, str] | None:
    """Properties of a systemd unit; None if systemd is not running or fails."""
    if not Path("/run/systemd/system").is_dir():
        return None
    asked = subprocess.run(  # noqa: S603  the arguments are ours
        ["/usr/bin/env", "systemctl", "show", unit, f"--property={','.join(properties)}"],
        capture_output=True,
        text=True,
        timeout=deadline_s,
        check=False,
    )
    return dict(line.partition("=")[::2] for line in asked.stdout.splitlines()) if asked.returncode == 0 else None
