"""The doctor's checks of the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError
from idtone.core.translation import Message
from idtone.ledger.keys.key_file import KEY_BYTES
from idtone.ledger.keys.successor_trees import DAMAGED
from idtone.ledger.keys.timestamp_store import is_overdue
from idtone.ledger.replication.own_replica import OwnReplica
from idtone.ledger.store.ledger_growth import Growth
from idtone.ledger.store.sqlite import wal_is_safe
from idtone.ledger.writing.disk_reserve import RoomLeft as Left
from idtone.ledger.writing.disk_reserve import room_left
from idtone.ledger.writing.unwritten_steps import MissingSteps

from ..planned_changes import RightsChange
from .findings import Finding, bad, good, unknown, warning

ENOUGH_DAYS: Final = 30
FULL_BYTES: Final = 16 * 2**20
"""Free space in bytes below which SQLite's journal may not fit."""
SHIPPED_WITHIN: Final = timedelta(minutes=5)
LONGEST_KEPT: Final = timedelta(days=366)
"""Maximum usual retention. The guideline on personal data in telecommunications generally allows a year for call
history."""
SHORTEST_KEPT: Final = timedelta(days=90)
"""Minimum retention that the police ask for."""
FULL_INODES: Final = 16
"""Number of inodes that the ledger and other programs on the disk need for new files."""


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """A file system's free space.

    `inodes` is None if the file system does not count them.
    """

    free_bytes: int
    inodes: int | None


def ledger_access(path: Path, exists: bool, writable: bool, error: LedgerError | None) -> Finding:
    """Check that the current user can read and write the ledger.

    `writable` is True if the user may write to the file or, if it is missing, to the nearest existing folder.
    """
    if not writable:
        return bad(
            "ledger",
            Message("{path}: this user may not write here", path=path),
            Message(
                "Run this as the user that `idtone serve` runs as; if you did, run as root: chown idtone {place}",
                place=path if exists else path.parent,
            ),
        )
    if not exists:
        return warning(
            "ledger",
            Message("{path} does not exist yet", path=path),
            Message("systemctl start idtone, which creates it"),
        )
    if error:
        return bad(
            "ledger", str(error), Message("Do what the message says; as a last resort name another file in ledger.url")
        )
    return good("ledger", Message("{path} can be read and written", path=path))


TOKEN_REMEDY: Final = Message(
    "Connect the token, and check ledger.token; meanwhile evidence is written and not signed. A refused PIN is not "
    "tried again until the service is restarted"
)


def token(place: str, trouble: str) -> Finding:
    """Check that the hardware token has the log's key.

    The check does not need the PIN. `trouble` is empty if the token has the key.
    """
    topic = "ledger-token"
    if not trouble:
        return good(topic, Message("{place}: the token has the key of the log", place=place))
    return bad(
        topic,
        trouble,
        TOKEN_REMEDY,
    )


def earlier_log_ends(waiting: Mapping[str, str], given_up: Sequence[str], trouble: str = "") -> Finding:
    """Check that the ends of all earlier logs are signed.

    `waiting` maps each log whose end is not signed yet to the place of its key. `given_up` are logs whose end will
    never be signed. `trouble` says why neither is known.
    """
    topic = "ledger-ends"
    if trouble:
        return unknown(topic, trouble, Message("Run this as the user that `idtone serve` runs as"))
    if waiting:
        return bad(
            topic,
            Message(
                "the end of an earlier log is not signed: {ends}",
                ends=", ".join(f"{log} ({place})" for log, place in waiting.items()),
            ),
            Message(
                "Connect the token with that key, and the service has the end signed. If the key is lost for good: "
                "idtone-evidence log give-up LOG --why …"
            ),
        )
    if given_up:
        return good(topic, Message("none waits for a signature; given up: {ends}", ends=", ".join(given_up)))
    return good(topic, Message("no earlier log waits for the signature of its end"))


def free_space(room: FreeSpace, growth: Growth | None) -> Finding:
    """Check that the ledger's disk has enough free space.

    `growth` is None while the growth rate is unknown.
    """
    topic = "ledger-room"
    remedy = Message("Free space on the ledger's disk, or move the ledger: sudo idtone-evidence log move DIR")
    free = Message("{mib:,.0f} MiB free", mib=room.free_bytes / 2**20)
    if room.free_bytes < FULL_BYTES:
        return bad(topic, free, remedy)
    if room.inodes is not None and room.inodes < FULL_INODES:
        return bad(
            topic,
            Message("{free}, but only {inodes} free inodes", free=free, inodes=room.inodes),
            Message("Remove files from the ledger's disk (df -i)"),
        )
    days = growth.days(room.free_bytes) if growth else None
    if growth is None or days is None:
        return good(topic, Message("{free}; the rate of calls is not known yet", free=free))
    found = Message(
        "{free}, enough for {days:,.0f} days at {steps_a_day:,.0f} steps a day",
        free=free,
        days=min(days, 99_999),
        steps_a_day=growth.steps_a_day,
    )
    return warning(topic, found, remedy) if days < ENOUGH_DAYS else good(topic, found)


def reserve(size: int, left: int | None, free: int, owed: MissingSteps | None) -> Finding:
    """Check that the disk space reserved for evidence is complete and has not been used.

    `size` is ledger.reserve, `left` the size of the reserve file (None if it is missing), and `free` the free space,
    all in bytes. `owed` is the evidence that could not be written yet.
    """
    topic = "ledger-reserve"
    remedy = Message("Free space on the ledger's disk now, and do not stop or reload the service before that")
    if owed:
        return bad(
            topic,
            Message(
                "{steps:,} steps of evidence since {since} are not written",
                steps=owed.steps,
                since=owed.since.isoformat(timespec="seconds"),
            ),
            remedy,
        )
    if not size:
        return warning(
            topic, Message("ledger.reserve is 0"), Message("Set ledger.reserve to the size of a day's evidence")
        )
    if left is None:
        return warning(topic, Message("it does not exist yet"), Message("systemctl start idtone, which creates it"))
    found = Message(
        "{left_mb:,.0f} of {size_mb:,.0f} MB left, and {free_mb:,.0f} MB free on the disk",
        left_mb=left / 1e6,
        size_mb=size / 1e6,
        free_mb=free / 1e6,
    )
    match room_left(size, left, free):
        case Left.AMPLE:
            return good(topic, found)
        case Left.LOW:
            return warning(topic, found, Message("Free space on the ledger's disk before the reserve is needed"))
        case Left.DRAWN | Left.GONE:
            return bad(topic, found, remedy)


def ledgers_set_aside(earlier: Sequence[Path]) -> Finding:
    """Check that no damaged ledger was set aside.

    `earlier` are the existing files of earlier ledgers. Ledgers that were restored or that ended with their key are not
    reported, because commands and backups need them.
    """
    topic = "ledger-aside"
    files = [path for path in earlier if f".{DAMAGED}-" in path.name]
    if not files:
        return good(topic, Message("none was set aside"))
    return warning(
        topic,
        Message("{count} set aside, the latest as {latest}", count=len(files), latest=files[-1]),
        Message(
            "idtone ledger verify --ledger sqlite:///{latest}; then move it to another place, and "
            "keep it (docs/how-to/damaged-evidence.md)",
            latest=files[-1],
        ),
    )


def key_file(path: Path, status: tuple[int, int] | None, trouble: str, ledger_exists: bool) -> Finding:
    """Check that the ledger's key file exists and is private.

    `status` is the mode and size, or None if the file is missing or unreadable. `trouble` says why it cannot be read.
    """
    topic = "ledger-key"
    if status is None:
        if trouble:
            return unknown(
                topic,
                Message("{path}: {trouble}", path=path, trouble=trouble),
                Message("Run this as the user that `idtone serve` runs as"),
            )
        if ledger_exists:
            return bad(
                topic,
                Message("{path} is missing", path=path),
                Message("Restore {path} from a backup; a new key cannot open the sealed numbers", path=path),
            )
        return warning(
            topic,
            Message("{path} does not exist yet", path=path),
            Message("systemctl start idtone, which creates it; then make a backup of it"),
        )
    mode, size = status
    if mode & 0o077:
        private = RightsChange(path, 0o600)
        found = Message("other users can read {path} (mode {mode:04o})", path=path, mode=mode)
        return bad(topic, found, str(private), private)
    if size != KEY_BYTES:
        return bad(
            topic,
            Message("{path} has {size} bytes instead of {wanted}", path=path, size=size, wanted=KEY_BYTES),
            Message("Restore {path} from a backup", path=path),
        )
    return good(topic, Message("{path}, mode {mode:04o}", path=path, mode=mode))


def signature(leaves: int | None, trouble: str, looked: bool, remedy: str = "") -> Finding:
    """Check that the ledger's leaves are signed.

    `leaves` is the number of signed leaves, or None if the signature is wrong. `trouble` then describes the fault, and
    `remedy` the remedy if one is known. `looked` is False if the ledger or its signing key cannot be read.
    """
    topic = "ledger-signed"
    if not looked:
        return unknown(topic, trouble, Message("Run this as the user that `idtone serve` runs as"))
    if leaves is None:
        return bad(
            topic,
            trouble,
            remedy
            or Message(
                "idtone ledger verify, which says what is wrong; restore the newest copy of the ledger, "
                "or move it away and set ledger.origin to another name; then systemctl restart idtone"
            ),
        )
    return good(
        topic,
        Message("{leaves:,} leaves, all signed", leaves=leaves) if leaves else Message("there is nothing to sign yet"),
    )


def timestamps(
    url: str | None, newest: tuple[int, datetime] | None, leaves: int, every: timedelta, now: datetime
) -> Finding:
    """Check that the newest timestamp on the ledger is recent.

    `url` is the authority's address. `newest` is the size and time of the largest timestamped tree. `leaves` is the
    number of signed leaves.
    """
    topic = "ledger-timestamp"
    if url is None:
        return good(topic, Message("not used: the settings name no authority"))
    remedy = Message("See `journalctl -u idtone`, which says what the authority answers; then ledger.timestamp")
    if newest is None:
        found = Message("the authority has stamped nothing yet")
        return warning(topic, found, remedy) if leaves else good(topic, Message("there is nothing to stamp yet"))
    size, at = newest
    found = Message(
        "{size:,} leaves, of {leaves:,}, stamped at {at:%Y-%m-%d %H:%M} UTC", size=size, leaves=leaves, at=at
    )
    return warning(topic, found, remedy) if size < leaves and is_overdue(at, every, now) else good(topic, found)


def replica(server: str, copy: OwnReplica | None, trouble: str, now: datetime) -> Finding:
    """Check that the ledger's replica in PostgreSQL is up to date.

    `copy` is None if PostgreSQL has no replica of the node or does not answer. `trouble` says why.
    """
    topic = "ledger-postgresql"
    log = Message("See `journalctl -u idtone`; until this is corrected, ledger.spool keeps the evidence")
    if trouble:
        return warning(topic, trouble, log)
    if copy is None:
        return warning(
            topic,
            Message("{server} has no ledger of this node yet", server=server),
            Message("systemctl start idtone, which replicates it"),
        )
    if not copy.is_own:
        return bad(
            topic,
            Message("{server}: another node replicates by this node's name, with another key", server=server),
            Message("Give this node another name in idtone.yaml: `node: NAME`, or `ledger: {{origin: NAME}}`"),
        )
    found = Message(
        "{server} lacks {steps:,} steps; it heard from this node at {heard:%Y-%m-%d %H:%M} UTC",
        server=server,
        steps=copy.behind,
        heard=copy.heard,
    )
    if copy.behind < 0:
        return bad(
            topic,
            Message(
                "{server} has {steps:,} steps that ledger.spool lacks: an older copy of ledger.spool was restored",
                server=server,
                steps=-copy.behind,
            ),
            Message("Restore its newest copy, or move it away and set `ledger: {{origin: NAME}}` to another name"),
        )
    if copy.lost_leaves:
        lost = copy.lost_leaves
        found = Message(
            "{found}; {lost:,} leaves of damaged ledgers were never replicated, and are only in these files",
            found=found,
            lost=lost,
        )
    if copy.behind and now - copy.heard > SHIPPED_WITHIN:
        return warning(topic, found, log)
    if not copy.is_private:
        return warning(
            topic,
            Message("{found}; the connection is not encrypted, so others on the network can read it", found=found),
            Message("Add `?sslmode=verify-full` to ledger.url, and sslrootcert if its certificate is your own"),
        )
    return good(topic, found)


def other_servers(servers: Sequence[str], silent: Sequence[LedgerError]) -> Finding:
    """Check that the PostgreSQL servers in ledger.others can be read.

    `silent` maps each server that cannot be read to the error.
    """
    topic = "ledger-others"
    names = ", ".join(servers)
    if not servers:
        return good(topic, Message("not used: ledger.others names no other server"))
    if not silent:
        return good(topic, Message("{servers}: each answers", servers=names))
    found: str = Message("{silent} of {servers} servers cannot be read", silent=len(silent), servers=len(servers))
    for error in silent:
        found = Message("{found}; {error}", found=found, error=error)
    return warning(
        topic,
        found,
        Message("Correct it on that server, or remove a server that has no replica any more from ledger.others"),
    )


def retention(kept: timedelta | None) -> Finding:
    """Check that telephone numbers are kept neither too short nor too long.

    `kept` is ledger.retention, or None if numbers are kept forever.
    """
    topic = "ledger-retention"
    if kept is None:
        return warning(
            topic,
            Message("ledger.retention is null: the numbers of calls can be opened for ever"),
            Message(
                "Write ledger.retention: P184D (six months) into the settings, and hold the calls of a case before: "
                "idtone-evidence hold place"
            ),
        )
    if kept > LONGEST_KEPT:
        return warning(
            topic,
            Message("ledger.retention is {days} days, longer than the year that the guideline allows", days=kept.days),
            Message("Write a shorter time, such as P184D, or write down why you need it so long"),
        )
    if kept < SHORTEST_KEPT:
        return warning(
            topic,
            Message("ledger.retention is {days} days, and the police ask for three to six months", days=kept.days),
            Message("Write a longer time, such as P184D"),
        )
    return good(topic, Message("numbers can be opened for {days} days", days=kept.days))


def legal_holds(due: Sequence[str], standing: int) -> Finding:
    """Check that no legal hold is waiting for a person's decision.

    `due` are the ids of the holds that need a decision now. `standing` is the number of holds in force.
    """
    topic = "ledger-holds"
    if due:
        return warning(
            topic,
            Message("the last day of these holds is over: {names}", names=", ".join(due[:5])),
            Message(
                "idtone-evidence hold list; lift them by `idtone-evidence hold lift HOLD --why TEXT`, or place "
                "a new hold"
            ),
        )
    return good(topic, Message("{count} legal holds stand", count=standing))


def sqlite(version: tuple[int, ...], is_wal: bool) -> Finding:
    """Check that SQLite is free of the WAL-reset bug, or that the ledger does not use WAL.

    `is_wal` is True if the ledger's file is in WAL mode.
    """
    number = ".".join(map(str, version))
    if wal_is_safe(version):
        return good("ledger-sqlite", number)
    if is_wal:
        return warning(
            "ledger-sqlite",
            Message("{number} has the WAL-reset bug, and the ledger is in WAL mode", number=number),
            Message("systemctl restart idtone, which ends WAL mode; do not let another program write to the ledger"),
        )
    return good("ledger-sqlite", Message("{number} has the WAL-reset bug; the ledger does not use WAL", number=number))
