"""The doctor's checks of the machine and the service."""

from datetime import UTC, datetime
from typing import Final

from idtone.core.translation import Message

from .findings import Finding, bad, good, unknown, warning

SLOW_S: Final = 0.2
HOLD_UP_S: Final = 1.0
"""Seconds from which a lookup noticeably delays calls."""

EARLIEST: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""Earliest plausible time, because this version was released later."""


def name_look_up(topic: str, host: str, took_s: float, resolved: bool) -> Finding:
    """Check that a host name resolves quickly.

    If the lookup did not finish, `took_s` is at least the deadline.
    """
    remedy = (
        Message("In /etc/hosts: `127.0.0.1 {host}`", host=host)
        if topic == "name-own"
        else (Message("In /etc/hosts: the address of {host}; or write the address into ari.url", host=host))
    )
    if resolved:
        found = Message("{host} resolves, after {took_ms:.0f} ms", host=host, took_ms=took_s * 1000)
    else:
        found = Message("{host} does not resolve, after {took_ms:.0f} ms", host=host, took_ms=took_s * 1000)
    if took_s >= HOLD_UP_S:
        return bad(topic, found, remedy)
    if not resolved:
        # A quick failure holds up no call, but the service's connection needs the address.
        return bad(topic, found, remedy) if topic == "name-ari" else warning(topic, found, remedy)
    if took_s >= SLOW_S:
        return warning(topic, found, remedy)
    return good(topic, found)


def clock_synchronisation(state: bool | None) -> Finding:
    """Check that the machine's clock is synchronised.

    `state` is the kernel's answer, or None if it did not answer.
    """
    topic, remedy = "clock-synchronised", Message("timedatectl set-ntp true; or install and start chrony")
    if state is None:
        return unknown(
            topic, Message("the kernel cannot be asked (adjtimex)"), Message("timedatectl show -p NTPSynchronized")
        )
    if not state:
        return warning(topic, Message("the kernel's clock is not synchronised"), remedy)
    return good(topic, Message("the kernel's clock is synchronised"))


def clock_date(now: datetime) -> Finding:
    if now < EARLIEST:
        return bad(
            "clock-date",
            Message("{now}: this version of idtone was made later", now=now.isoformat(timespec="seconds")),
            Message("timedatectl set-ntp true; then restart idtone"),
        )
    return good("clock-date", now.isoformat(timespec="seconds"))


def service(running: bool | None) -> Finding:
    """Check that an instance of the service is running.

    `running` is True if a process holds the ledger's lock, and None if other users' processes cannot be read.
    """
    if running is None:
        return unknown("service", Message("the processes of other users cannot be read"), Message("Run this as root"))
    if not running:
        return bad(
            "service",
            Message("it does not run: no process holds the ledger's lock"),
            Message("systemctl start idtone; or: idtone serve"),
        )
    return good("service", Message("one instance runs and holds the ledger's lock"))


def application(registered: bool, running: bool | None) -> Finding:
    topic = "service-application"
    if registered and running is not False:
        return good(topic, Message("registered with Asterisk"))
    if registered:
        return warning(
            topic,
            Message("registered, but not by the service of this ledger"),
            Message("Stop the other program that uses the application idtone; then systemctl restart idtone"),
        )
    if running:
        return bad(
            topic,
            Message("not registered, although the service runs"),
            Message("journalctl -u idtone, which says why it cannot connect"),
        )
    return bad(topic, Message("not registered"), Message("systemctl start idtone; or: idtone serve"))


def listener(address: str, trouble: str) -> Finding:
    """Check that the service's AGI listener answers.

    `trouble` says why the listener does not answer, and is empty if it does.
    """
    if trouble:
        return bad(
            "agi",
            Message("{address}: {trouble}", address=address, trouble=trouble),
            Message(
                "systemctl restart idtone; if another program has the address: change agi.listen in "
                "idtone.yaml, then idtone dialplan export again"
            ),
        )
    return good("agi", Message("answers at {address}", address=address))


def watchdog(usec: str | None) -> Finding:
    """Check that systemd restarts the service when it hangs.

    `usec` is the unit's WatchdogUSec in systemd, or None if systemd is not running.
    """
    topic = "watchdog"
    remedy = Message(
        "Install idtone.service, the unit that comes with idtone; or systemctl edit idtone, "
        "[Service]: `Type=notify`, `NotifyAccess=all`, `WatchdogSec=1s`, `Restart=always`"
    )
    if usec is None:
        return unknown(
            topic,
            Message("systemd does not run here"),
            Message("Have your supervisor restart `idtone serve` when it hangs"),
        )
    if usec in ("", "0", "infinity"):
        return warning(topic, Message("the unit idtone has no watchdog"), remedy)
    return good(topic, Message("the unit idtone has a watchdog of {usec}", usec=usec))
