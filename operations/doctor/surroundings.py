"""The machine and the service on it: names, clocks, processes, the watchdog. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from .findings import Finding, bad, good, unknown, warning

SLOW_S: Final = 0.2
STILL_S: Final = 1.0
"""Calls stand still for as long as a look-up takes."""

EARLIEST: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""This version is not older; a clock before it has lost the time."""


def name(topic: str, host: str, took_s: float, resolved: bool) -> Finding:
    """One look-up; `took_s` is at least the deadline where it did not end."""
    remedy = (
        f"In /etc/hosts: `127.0.0.1 {host}`"
        if topic == "name-own"
        else (f"In /etc/hosts: the address of {host}; or write the address into ari.url")
    )
    found = f"{host} {'resolves' if resolved else 'does not resolve'}, after {took_s * 1000:.0f} ms"
    if took_s >= STILL_S:
        return bad(topic, found, remedy)
    if not resolved:
        # At once is better than late, yet the connection of the service needs an address.
        return bad(topic, found, remedy) if topic == "name-ari" else warning(topic, found, remedy)
    if took_s >= SLOW_S:
        return warning(topic, found, remedy)
    return good(topic, found)


def synchronised(state: bool | None) -> Finding:
    """What the kernel says of its clock; None where it cannot be asked."""
    topic, remedy = "clock-synchronised", "timedatectl set-ntp true; or install and start chrony"
    if state is None:
        return unknown(topic, "the kernel cannot be asked (adjtimex)", "timedatectl show -p NTPSynchronized")
    if not state:
        return warning(topic, "the kernel's clock is not synchronised", remedy)
    return good(topic, "the kernel's clock is synchronised")


def date(now: datetime) -> Finding:
    if now < EARLIEST:
        return bad(
            "clock-date",
            f"{now.isoformat(timespec='seconds')} is before this version of idtone was made",
            "timedatectl set-ntp true; then restart idtone",
        )
    return good("clock-date", now.isoformat(timespec="seconds"))


def service(running: bool | None) -> Finding:
    """`running`: whether a process holds the ledger's lock; None where processes of others cannot be looked at."""
    if running is None:
        return unknown("service", "the processes of other users cannot be looked at", "Run this as root")
    if not running:
        return bad(
            "service", "no process holds the ledger's lock: it does not run", "systemctl start idtone; or: idtone serve"
        )
    return good("service", "one instance runs, and holds the ledger's lock")


def application(registered: bool, running: bool | None) -> Finding:
    topic = "service-application"
    if registered and running is not False:
        return good(topic, "registered with Asterisk")
    if registered:
        return warning(
            topic,
            "registered, but not by the service of this ledger",
            "Stop the other program that uses the application idtone; then systemctl restart idtone",
        )
    if running:
        return bad(
            topic, "not registered, though the service runs", "journalctl -u idtone; it says why it cannot connect"
        )
    return bad(topic, "not registered", "systemctl start idtone; or: idtone serve")


def listener(address: str, trouble: str) -> Finding:
    """`trouble` says why it does not answer; empty where it does."""
    if trouble:
        return bad(
            "agi",
            f"{address}: {trouble}",
            "systemctl restart idtone; where another program has the address: agi.listen in idtone.yaml, and "
            "idtone dialplan export again",
        )
    return good("agi", f"answers at {address}")


def watchdog(usec: str | None) -> Finding:
    """`usec` is systemd's WatchdogUSec of the unit, None where there is no systemd to ask."""
    topic = "watchdog"
    remedy = (
        "Install idtone.service, the unit that comes with idtone; or systemctl edit idtone, [Service]: "
        "`Type=notify`, `NotifyAccess=all`, `WatchdogSec=1s`, `Restart=always`"
    )
    if usec is None:
        return unknown(
            topic, "there is no systemd here to ask", "Let whatever supervises `idtone serve` restart it when it hangs"
        )
    if usec in ("", "0", "infinity"):
        return warning(topic, "the unit idtone has none", remedy)
    return good(topic, f"the unit idtone has one of {usec}")
