"""The ledger as the doctor judges it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from idtone.errors import LedgerError
from idtone.ledger.keys.key_file import KEY_BYTES
from idtone.ledger.replication.own_replica import OwnReplica
from idtone.ledger.store.sqlite import wal_is_safe
from idtone.ledger.writing.reserve import RoomLeft as Left
from idtone.ledger.writing.reserve import judged
from idtone.ledger.writing.unwritten_steps import MissingSteps

from .findings import Finding, bad, good, unknown, warning

ENOUGH_DAYS: Final = 30
FULL_BYTES: Final = 16 * 2**20
"""With less, SQLite's journal alone may find no room."""
SHIPPED_WITHIN: Final = timedelta(minutes=5)
FULL_INODES: Final = 16
"""The ledger needs a handful of files; others on the disk will want some too."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Steps a day at the rate of the last week, and what one takes on the disk."""

    steps_a_day: float
    bytes_a_step: float


@dataclass(frozen=True, slots=True)
class Room:
    """Of the file system; `inodes` None where it counts none."""

    free_bytes: int
    inodes: int | None


def opened(path: Path, exists: bool, writable: bool, error: LedgerError | None) -> Finding:
    """`writable` is for the user who runs this, of the file or, where there is none, of the nearest folder above it."""
    if not writable:
        return bad(
            "ledger",
            f"{path}: this user may not write here",
            "Run this as the user that `idtone serve` runs as; if it is, as root: "
            f"chown idtone {path if exists else path.parent}",
        )
    if not exists:
        return warning("ledger", f"{path}: there is no ledger yet", "systemctl start idtone, which makes it")
    if error:
        return bad("ledger", str(error), "Do what the message says; as a last resort let ledger.url name another file")
    return good("ledger", f"{path} can be read and written")


def room(room: Room, growth: Growth | None) -> Finding:
    """`growth` None means that no rate is known yet."""
    topic = "ledger-room"
    remedy = "Make room on the ledger's disk, or move the ledger: ledger.url in idtone.yaml"
    free = f"{room.free_bytes / 2**20:,.0f} MiB free"
    if room.free_bytes < FULL_BYTES:
        return bad(topic, free, remedy)
    if room.inodes is not None and room.inodes < FULL_INODES:
        return bad(
            topic, f"{free}, but room for {room.inodes} files only", "Remove files from the ledger's disk (df -i)"
        )
    if growth is None or growth.steps_a_day * growth.bytes_a_step <= 0:
        return good(topic, f"{free}; no rate of calls is known yet")
    days = room.free_bytes / (growth.steps_a_day * growth.bytes_a_step)
    found = f"{free}, {min(days, 99_999):,.0f} days at {growth.steps_a_day:,.0f} steps a day"
    return warning(topic, found, remedy) if days < ENOUGH_DAYS else good(topic, found)


def reserve(size: int, left: int | None, free: int, owed: MissingSteps | None) -> Finding:
    """`size` is what is to be kept, `left` what is there, None where no reserve was made yet; in bytes."""
    topic = "ledger-reserve"
    remedy = "Make room on the ledger's disk now, and do not stop or reload the service before"
    if owed:
        return bad(
            topic,
            f"{owed.steps:,} steps of evidence since {owed.since.isoformat(timespec='seconds')} are not written",
            remedy,
        )
    if not size:
        return warning(topic, "there is none", "Set ledger.reserve to what a day of calls takes")
    if left is None:
        return warning(topic, "it is not there yet", "systemctl start idtone, which makes it")
    found = f"{left / 1e6:,.0f} of {size / 1e6:,.0f} MB, {free / 1e6:,.0f} MB free besides"
    match judged(size, left, free):
        case Left.AMPLE:
            return good(topic, found)
        case Left.LOW:
            return warning(topic, found, "Make room on the ledger's disk before the reserve is needed")
        case Left.DRAWN | Left.GONE:
            return bad(topic, found, remedy)


def aside(files: Sequence[Path]) -> Finding:
    """The damaged ledgers that are still where they were set aside."""
    topic = "ledger-aside"
    if not files:
        return good(topic, "none was set aside")
    return warning(
        topic,
        f"{len(files)} set aside, the latest as {files[-1]}",
        f"idtone ledger verify --ledger sqlite:///{files[-1]}, keep a copy of it elsewhere "
        "(docs/how-to/keep-evidence.md), then move it away from here",
    )


def key(path: Path, status: tuple[int, int] | None, trouble: str, ledger_exists: bool) -> Finding:
    """`status` is mode and size of the key file, None where there is none or it cannot be looked at."""
    topic = "ledger-key"
    if status is None:
        if trouble:
            return unknown(topic, f"{path}: {trouble}", "Run this as the user that `idtone serve` runs as")
        if ledger_exists:
            return bad(
                topic, f"{path} is missing", f"Restore {path} from a backup; a new one opens no number that was sealed"
            )
        return warning(topic, f"{path} is not there yet", "systemctl start idtone, which makes it; then back it up")
    mode, size = status
    if mode & 0o077:
        return bad(topic, f"others can read {path} (mode {mode:04o})", f"chmod 600 {path}")
    if size != KEY_BYTES:
        return bad(topic, f"{path} has {size} bytes instead of {KEY_BYTES}", f"Restore {path} from a backup")
    return good(topic, f"{path}, mode {mode:04o}")


def signed(leaves: int | None, trouble: str, looked: bool) -> Finding:
    """`leaves` are how many are signed; None where that is not so, which `trouble` tells.

    Not `looked` at where the ledger or its signing key cannot be read.
    """
    topic = "ledger-signed"
    if not looked:
        return unknown(topic, trouble, "Run this as the user that `idtone serve` runs as")
    if leaves is None:
        return bad(
            topic,
            trouble,
            "idtone ledger verify tells what is wrong; restore the newest copy of the ledger, or move it away and give "
            "ledger.origin another name, then: systemctl restart idtone",
        )
    return good(topic, f"{leaves:,} leaves, all signed" if leaves else "nothing is to be signed yet")


def shared(server: str, copy: OwnReplica | None, trouble: str, now: datetime) -> Finding:
    """`copy` None where PostgreSQL has none, or cannot be asked, of which `trouble` tells."""
    topic = "ledger-postgresql"
    log = "See what `journalctl -u idtone` says of it; evidence is kept in ledger.spool meanwhile"
    if trouble:
        return warning(topic, trouble, log)
    if copy is None:
        return warning(
            topic, f"{server} has no ledger of this node yet", "systemctl start idtone, which ships it there"
        )
    if not copy.is_own:
        return bad(
            topic,
            f"{server}: another node ships by this one's name, with another key",
            "Give this node another name in idtone.yaml: `node: NAME`, or `ledger: {origin: NAME}`",
        )
    found = f"{server} has all but {copy.behind:,} steps, and has heard of this node at {copy.heard:%Y-%m-%d %H:%M} UTC"
    if copy.behind < 0:
        return bad(
            topic,
            f"{server} has {-copy.behind:,} steps that ledger.spool does not have: it was put back to an older copy",
            "Restore its newest copy, or move it away and give `ledger: {origin: NAME}` another name",
        )
    if copy.lost_leaves:
        found += (
            f"; of the ledgers that were set aside {copy.lost_leaves:,} leaves never came there, and are in those alone"
        )
    if copy.behind and now - copy.heard > SHIPPED_WITHIN:
        return warning(topic, found, log)
    if not copy.is_private:
        return warning(
            topic,
            f"{found}, by a connection that others on the way can read",
            "Add `?sslmode=verify-full` to ledger.url, and sslrootcert if its certificate is your own",
        )
    return good(topic, found)


def sqlite(version: tuple[int, ...], is_wal: bool) -> Finding:
    """`is_wal` says whether the file itself is in WAL mode."""
    number = ".".join(map(str, version))
    if wal_is_safe(version):
        return good("ledger-sqlite", number)
    if is_wal:
        return warning(
            "ledger-sqlite",
            f"{number} has the WAL-reset bug, and the ledger is in WAL mode",
            "systemctl restart idtone, which leaves that mode; let no other program write to the ledger",
        )
    return good("ledger-sqlite", f"{number} has the WAL-reset bug; the ledger is kept without WAL")
