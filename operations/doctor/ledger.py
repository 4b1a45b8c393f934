"""Observations of the ledger → findings. Pure."""

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
"""With less free space, SQLite's journal may not fit."""
SHIPPED_WITHIN: Final = timedelta(minutes=5)
FULL_INODES: Final = 16
"""The ledger needs a few new files, and so do other programs on the disk."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Steps a day at the rate of the last week, and the bytes of one step on the disk."""

    steps_a_day: float
    bytes_a_step: float


@dataclass(frozen=True, slots=True)
class Room:
    """Free space of a file system; `inodes` is None if it does not count them."""

    free_bytes: int
    inodes: int | None


def opened(path: Path, exists: bool, writable: bool, error: LedgerError | None) -> Finding:
    """`writable` says whether this user may write to the file, or to the nearest folder above a missing file."""
    if not writable:
        return bad(
            "ledger",
            f"{path}: this user may not write here",
            "Run this as the user that `idtone serve` runs as; if you did, run as root: "
            f"chown idtone {path if exists else path.parent}",
        )
    if not exists:
        return warning("ledger", f"{path} does not exist yet", "systemctl start idtone, which creates it")
    if error:
        return bad("ledger", str(error), "Do what the message says; as a last resort name another file in ledger.url")
    return good("ledger", f"{path} can be read and written")


def room(room: Room, growth: Growth | None) -> Finding:
    """`growth` None means that the rate is not known yet."""
    topic = "ledger-room"
    remedy = "Free space on the ledger's disk, or move the ledger: ledger.url in idtone.yaml"
    free = f"{room.free_bytes / 2**20:,.0f} MiB free"
    if room.free_bytes < FULL_BYTES:
        return bad(topic, free, remedy)
    if room.inodes is not None and room.inodes < FULL_INODES:
        return bad(topic, f"{free}, but only {room.inodes} free inodes", "Remove files from the ledger's disk (df -i)")
    if growth is None or growth.steps_a_day * growth.bytes_a_step <= 0:
        return good(topic, f"{free}; the rate of calls is not known yet")
    days = room.free_bytes / (growth.steps_a_day * growth.bytes_a_step)
    found = f"{free}, enough for {min(days, 99_999):,.0f} days at {growth.steps_a_day:,.0f} steps a day"
    return warning(topic, found, remedy) if days < ENOUGH_DAYS else good(topic, found)


def reserve(size: int, left: int | None, free: int, owed: MissingSteps | None) -> Finding:
    """`size` is ledger.reserve, `left` the size of its file, None if it does not exist; `free` is the free space; in
    bytes. `owed` is evidence that is not written.
    """
    topic = "ledger-reserve"
    remedy = "Free space on the ledger's disk now, and do not stop or reload the service before that"
    if owed:
        return bad(
            topic,
            f"{owed.steps:,} steps of evidence since {owed.since.isoformat(timespec='seconds')} are not written",
            remedy,
        )
    if not size:
        return warning(topic, "ledger.reserve is 0", "Set ledger.reserve to the size of a day's evidence")
    if left is None:
        return warning(topic, "it does not exist yet", "systemctl start idtone, which creates it")
    found = f"{left / 1e6:,.0f} of {size / 1e6:,.0f} MB left, and {free / 1e6:,.0f} MB free on the disk"
    match judged(size, left, free):
        case Left.AMPLE:
            return good(topic, found)
        case Left.LOW:
            return warning(topic, found, "Free space on the ledger's disk before the reserve is needed")
        case Left.DRAWN | Left.GONE:
            return bad(topic, found, remedy)


def aside(files: Sequence[Path]) -> Finding:
    """`files` are the damaged ledgers that were set aside and not moved away."""
    topic = "ledger-aside"
    if not files:
        return good(topic, "none was set aside")
    return warning(
        topic,
        f"{len(files)} set aside, the latest as {files[-1]}",
        f"idtone ledger verify --ledger sqlite:///{files[-1]}; then move it to another place, and keep it "
        "(docs/how-to/keep-evidence.md)",
    )


def key(path: Path, status: tuple[int, int] | None, trouble: str, ledger_exists: bool) -> Finding:
    """`status` is mode and size of the key file, None if it does not exist, or if it cannot be read: `trouble`."""
    topic = "ledger-key"
    if status is None:
        if trouble:
            return unknown(topic, f"{path}: {trouble}", "Run this as the user that `idtone serve` runs as")
        if ledger_exists:
            return bad(
                topic, f"{path} is missing", f"Restore {path} from a backup; a new key cannot open the sealed numbers"
            )
        return warning(
            topic, f"{path} does not exist yet", "systemctl start idtone, which creates it; then make a backup of it"
        )
    mode, size = status
    if mode & 0o077:
        return bad(topic, f"other users can read {path} (mode {mode:04o})", f"chmod 600 {path}")
    if size != KEY_BYTES:
        return bad(topic, f"{path} has {size} bytes instead of {KEY_BYTES}", f"Restore {path} from a backup")
    return good(topic, f"{path}, mode {mode:04o}")


def signed(leaves: int | None, trouble: str, looked: bool) -> Finding:
    """`leaves` is how many leaves are signed; None if the signature is wrong: `trouble` says how.

    `looked` is false if the ledger or its signing key cannot be read.
    """
    topic = "ledger-signed"
    if not looked:
        return unknown(topic, trouble, "Run this as the user that `idtone serve` runs as")
    if leaves is None:
        return bad(
            topic,
            trouble,
            "idtone ledger verify, which says what is wrong; restore the newest copy of the ledger, or move it away "
            "and set ledger.origin to another name; then systemctl restart idtone",
        )
    return good(topic, f"{leaves:,} leaves, all signed" if leaves else "there is nothing to sign yet")


def shared(server: str, copy: OwnReplica | None, trouble: str, now: datetime) -> Finding:
    """`copy` is None if PostgreSQL has no replica of this node, or does not answer: `trouble`."""
    topic = "ledger-postgresql"
    log = "See `journalctl -u idtone`; until this is corrected, ledger.spool keeps the evidence"
    if trouble:
        return warning(topic, trouble, log)
    if copy is None:
        return warning(topic, f"{server} has no ledger of this node yet", "systemctl start idtone, which replicates it")
    if not copy.is_own:
        return bad(
            topic,
            f"{server}: another node replicates by this node's name, with another key",
            "Give this node another name in idtone.yaml: `node: NAME`, or `ledger: {origin: NAME}`",
        )
    found = f"{server} lacks {copy.behind:,} steps; it heard from this node at {copy.heard:%Y-%m-%d %H:%M} UTC"
    if copy.behind < 0:
        return bad(
            topic,
            f"{server} has {-copy.behind:,} steps that ledger.spool lacks: an older copy of ledger.spool was restored",
            "Restore its newest copy, or move it away and set `ledger: {origin: NAME}` to another name",
        )
    if copy.lost_leaves:
        found += f"; {copy.lost_leaves:,} leaves of damaged ledgers were never replicated, and are only in these files"
    if copy.behind and now - copy.heard > SHIPPED_WITHIN:
        return warning(topic, found, log)
    if not copy.is_private:
        return warning(
            topic,
            f"{found}; the connection is not encrypted, so others on the network can read it",
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
            "systemctl restart idtone, which ends WAL mode; do not let another program write to the ledger",
        )
    return good("ledger-sqlite", f"{number} has the WAL-reset bug; the ledger does not use WAL")
