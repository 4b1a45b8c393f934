"""Findings from observations of the ledger."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError
from idtone.ledger.replication.own_replica import OwnReplica
from idtone.ledger.writing.unwritten_steps import MissingSteps
from idtone.operations.doctor import ledger_findings
from idtone.operations.doctor.ledger_findings import FreeSpace, Growth
from lab.operations.doctor.check_tables import BAD, GOOD, UNKNOWN, WARNING, check

PATH = Path("/var/lib/idtone/ledger.sqlite3")
MIB = 2**20
NOW = datetime(2026, 11, 1, tzinfo=UTC)
TOO_NEW = LedgerError("a newer idtone made this ledger; upgrade idtone")
MISSING = MissingSteps(NOW, datetime(2026, 11, 2, tzinfo=UTC), 12_000, 2000)
SLOW = Growth(1000, 0.1 * MIB)
MB = 1_000_000
MINUTE = timedelta(minutes=1)


def opened(*observed):
    return ledger_findings.ledger_access(PATH, *observed)


def key(*observed):
    return ledger_findings.key_file(Path("/var/lib/idtone/ledger.key"), *observed)


def stamped(*observed):
    return ledger_findings.timestamps(*observed, timedelta(hours=1), NOW)


def shared(*observed):
    return ledger_findings.replica("postgresql://db/x", *observed, NOW)


TABLE = {
    # exists, writable, error
    opened: [
        ((True, True, None), GOOD, "can be read and written"),
        ((True, False, None), BAD, "may not write"),
        ((False, False, None), BAD, "may not write"),
        ((False, True, None), WARNING, "does not exist yet"),
        ((True, True, TOO_NEW), BAD, "upgrade idtone"),
    ],
    ledger_findings.token: [
        (("hsm:1", ""), GOOD, "the token has the key"),
        (("", "hsm:1: there is no such token"), BAD, "there is no such token"),
    ],
    ledger_findings.earlier_log_ends: [
        (({}, ()), GOOD, "no earlier log waits"),
        (({"a": "hsm:1", "a.2": "hsm:1"}, ["a.3"]), BAD, "an earlier log is not signed: a (hsm:1), a.2 (hsm:1)"),
        (({}, ["a"]), GOOD, "given up: a"),
        (({}, (), "restore it"), UNKNOWN, "restore it"),
    ],
    ledger_findings.free_space: [
        ((FreeSpace(1000 * MIB, 9999), None), GOOD, "the rate of calls is not known"),
        ((FreeSpace(1000 * MIB, None), Growth(0, 100)), GOOD, "the rate of calls is not known"),
        ((FreeSpace(3100 * MIB, 9999), SLOW), GOOD, "31 days at 1,000 steps a day"),
        ((FreeSpace(2900 * MIB, 9999), SLOW), WARNING, "29 days"),
        ((FreeSpace(15 * MIB, 9999), Growth(1, 1)), BAD, "15 MiB free"),
        ((FreeSpace(1000 * MIB, 3), None), BAD, "only 3 free inodes"),
    ],
    # mode and size, why it could not be seen, whether there is a ledger
    key: [
        (((0o600, 32), "", True), GOOD, "0600"),
        (((0o400, 32), "", True), GOOD, "0400"),
        (((0o644, 32), "", True), BAD, "0644"),
        (((0o640, 32), "", True), BAD, "other users can read"),
        (((0o600, 31), "", True), BAD, "31 bytes"),
        ((None, "", True), BAD, "missing"),
        ((None, "", False), WARNING, "does not exist yet"),
        ((None, "Permission denied", True), UNKNOWN, "Permission denied"),
    ],
    # leaves, what is wrong, whether it was looked at
    ledger_findings.signature: [
        ((1234, "", True), GOOD, "1,234 leaves, all signed"),
        ((0, "", True), GOOD, "there is nothing to sign yet"),
        ((None, "2 of its 3 leaves are not signed", True), BAD, "2 of its 3"),
        ((None, "Permission denied", False), UNKNOWN, "Permission denied"),
    ],
    # the authority, the largest tree with a timestamp, signed leaves
    stamped: [
        ((None, None, 5), GOOD, "the settings name no authority"),
        (("https://tsa", None, 0), GOOD, "there is nothing to stamp yet"),
        (("https://tsa", None, 5), WARNING, "has stamped nothing yet"),
        (("https://tsa", (4, NOW - 101 * MINUTE), 5), WARNING, "4 leaves, of 5, stamped at 2026-10-31 22:19"),
        (("https://tsa", (4, NOW - 99 * MINUTE), 5), GOOD, "4 leaves, of 5"),
        (("https://tsa", (5, NOW - 999 * MINUTE), 5), GOOD, "5 leaves, of 5"),
        (("https://tsa", (4, NOW + 2 * MINUTE), 5), WARNING, "4 leaves, of 5"),
    ],
    # SQLite's version, whether the ledger is in WAL mode
    ledger_findings.sqlite: [
        (((3, 51, 3), True), GOOD),
        (((3, 46, 1), False), GOOD),
        (((3, 46, 1), True), WARNING),
        (((3, 44, 6), True), GOOD),
    ],
    # size, what is left of it, free space, steps that are missing
    ledger_findings.reserve: [
        ((64 * MB, 64 * MB, 1000 * MB, None), GOOD, "64 of 64 MB left, and 1,000 MB free"),
        ((64 * MB, 64 * MB, 10 * MB, None), WARNING, "10 MB free"),
        ((64 * MB, 32 * MB, 10 * MB, None), BAD, "32 of 64 MB"),
        ((64 * MB, 0, 10 * MB, None), BAD, "0 of 64 MB"),
        ((64 * MB, None, 1000 * MB, None), WARNING, "does not exist yet"),
        ((0, None, 1000 * MB, None), WARNING, "ledger.reserve is 0"),
        ((64 * MB, 64 * MB, 1000 * MB, MISSING), BAD, "12,000 steps of evidence since 2026-11-01T00:00:00+00:00"),
    ],
    ledger_findings.ledgers_set_aside: [
        (([],), GOOD),
        (([Path("/l/l.restored-2"), Path("/l/l.ended-3")],), GOOD),
        (
            ([Path("/l/l.damaged-1"), Path("/l/l.damaged-2"), Path("/l/l.ended-3")],), WARNING,
            "2 set aside, the latest as /l/l.damaged-2", "--ledger sqlite:////l/l.damaged-2",
        ),
    ],
    # the replica, what is wrong
    shared: [
        ((None, "db: connection refused"), WARNING, "refused"),
        ((None, ""), WARNING, "no ledger of this node yet"),
        ((OwnReplica(False, 0, NOW, True), ""), BAD, "another node replicates by this node's name"),
        ((OwnReplica(True, 0, NOW, True), ""), GOOD, "lacks 0 steps"),
        ((OwnReplica(True, 7, NOW - timedelta(minutes=4), True), ""), GOOD, "lacks 7 steps"),
        ((OwnReplica(True, 7, NOW - timedelta(minutes=6), True), ""), WARNING, "lacks 7 steps"),
        ((OwnReplica(True, 0, NOW - timedelta(minutes=6), True), ""), GOOD, "lacks 0 steps"),
        ((OwnReplica(True, 0, NOW, False), ""), WARNING, "the connection is not encrypted"),
        ((OwnReplica(True, -3, NOW, True), ""), BAD, "has 3 steps that ledger.spool lacks"),
        ((OwnReplica(True, 0, NOW, True, 9), ""), GOOD, "9 leaves of damaged ledgers were never replicated"),
    ],
    ledger_findings.other_servers: [
        (([], []), GOOD, "not used"),
        ((["db-b", "db-c"], []), GOOD, "db-b, db-c: each answers"),
        ((["db-b", "db-c"], [LedgerError("db-c: away")]), WARNING, "1 of 2 servers cannot be read; db-c: away"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("rule", TABLE)
def test_findings(rule):
    check(rule, TABLE[rule])
