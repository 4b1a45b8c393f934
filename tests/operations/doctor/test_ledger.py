"""Observations of the ledger → findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idtone.errors import LedgerError
from idtone.ledger.replication.own_replica import OwnReplica
from idtone.ledger.writing.unwritten_steps import MissingSteps
from idtone.operations.doctor import ledger
from idtone.operations.doctor.findings import State
from idtone.operations.doctor.ledger import Growth, Room

PATH = Path("/var/lib/idtone/ledger.sqlite3")
KEY = Path("/var/lib/idtone/ledger.key")
MIB = 2**20
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("exists", "writable", "error", "state", "found"),
    [
        (True, True, None, State.GOOD, "can be read and written"),
        (True, False, None, State.BAD, "may not write"),
        (False, False, None, State.BAD, "may not write"),
        (False, True, None, State.WARNING, "does not exist yet"),
        (True, True, LedgerError("a newer idtone made this ledger; upgrade idtone"), State.BAD, "upgrade idtone"),
    ],
)
def test_whether_it_can_be_used(exists, writable, error, state, found):
    finding = ledger.opened(PATH, exists, writable, error)
    assert finding.state is state
    assert found in finding.found


@pytest.mark.parametrize(
    ("room", "growth", "state", "found"),
    [
        (Room(1000 * MIB, 9999), None, State.GOOD, "the rate of calls is not known"),
        (Room(1000 * MIB, None), Growth(0, 100), State.GOOD, "the rate of calls is not known"),
        (Room(3100 * MIB, 9999), Growth(1000, 0.1 * MIB), State.GOOD, "31 days at 1,000 steps a day"),
        (Room(2900 * MIB, 9999), Growth(1000, 0.1 * MIB), State.WARNING, "29 days"),
        (Room(15 * MIB, 9999), Growth(1, 1), State.BAD, "15 MiB free"),
        (Room(1000 * MIB, 3), None, State.BAD, "only 3 free inodes"),
    ],
)
def test_room(room, growth, state, found):
    finding = ledger.room(room, growth)
    assert finding.state is state
    assert found in finding.found


@pytest.mark.parametrize(
    ("status", "trouble", "ledger_exists", "state", "found"),
    [
        ((0o600, 32), "", True, State.GOOD, "0600"),
        ((0o400, 32), "", True, State.GOOD, "0400"),
        ((0o644, 32), "", True, State.BAD, "0644"),
        ((0o640, 32), "", True, State.BAD, "other users can read"),
        ((0o600, 31), "", True, State.BAD, "31 bytes"),
        (None, "", True, State.BAD, "missing"),
        (None, "", False, State.WARNING, "does not exist yet"),
        (None, "Permission denied", True, State.UNKNOWN, "Permission denied"),
    ],
)
def test_the_key(status, trouble, ledger_exists, state, found):
    finding = ledger.key(KEY, status, trouble, ledger_exists)
    assert finding.state is state
    assert found in finding.found


@pytest.mark.parametrize(
    ("leaves", "trouble", "looked", "state", "found"),
    [
        (1234, "", True, State.GOOD, "1,234 leaves, all signed"),
        (0, "", True, State.GOOD, "there is nothing to sign yet"),
        (None, "2 of its 3 leaves are not signed", True, State.BAD, "2 of its 3"),
        (None, "Permission denied", False, State.UNKNOWN, "Permission denied"),
    ],
)
def test_the_signature(leaves, trouble, looked, state, found):
    finding = ledger.signed(leaves, trouble, looked)
    assert finding.state is state
    assert found in finding.found


@pytest.mark.parametrize(
    ("version", "is_wal", "state"),
    [
        ((3, 51, 3), True, State.GOOD),
        ((3, 46, 1), False, State.GOOD),
        ((3, 46, 1), True, State.WARNING),
        ((3, 44, 6), True, State.GOOD),
    ],
)
def test_sqlite(version, is_wal, state):
    assert ledger.sqlite(version, is_wal).state is state


MISSING = MissingSteps(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC), 12_000, 2000)


@pytest.mark.parametrize(
    ("size", "left", "free", "owed", "state", "found"),
    [
        (64_000_000, 64_000_000, 10**9, None, State.GOOD, "64 of 64 MB left, and 1,000 MB free"),
        (64_000_000, 64_000_000, 10**7, None, State.WARNING, "10 MB free"),
        (64_000_000, 32_000_000, 10**7, None, State.BAD, "32 of 64 MB"),
        (64_000_000, 0, 10**7, None, State.BAD, "0 of 64 MB"),
        (64_000_000, None, 10**9, None, State.WARNING, "does not exist yet"),
        (0, None, 10**9, None, State.WARNING, "ledger.reserve is 0"),
        (64_000_000, 64_000_000, 10**9, MISSING, State.BAD, "12,000 steps of evidence since 2026-11-01T00:00:00+00:00"),
    ],
)
def test_the_reserve(size, left, free, owed, state, found):
    finding = ledger.reserve(size, left, free, owed)
    assert finding.state is state
    assert found in finding.found


def test_what_was_set_aside():
    assert ledger.aside([]).state is State.GOOD
    finding = ledger.aside([Path("/l/one"), Path("/l/two")])
    assert finding.state is State.WARNING
    assert finding.found == "2 set aside, the latest as /l/two"
    assert "--ledger sqlite:////l/two" in finding.remedy


@pytest.mark.parametrize(
    ("copy", "trouble", "state", "found"),
    [
        (None, "db: connection refused", State.WARNING, "refused"),
        (None, "", State.WARNING, "no ledger of this node yet"),
        (OwnReplica(False, 0, NOW, True), "", State.BAD, "another node replicates by this node's name"),
        (OwnReplica(True, 0, NOW, True), "", State.GOOD, "lacks 0 steps"),
        (OwnReplica(True, 7, NOW - timedelta(minutes=4), True), "", State.GOOD, "lacks 7 steps"),
        (OwnReplica(True, 7, NOW - timedelta(minutes=6), True), "", State.WARNING, "lacks 7 steps"),
        (OwnReplica(True, 0, NOW - timedelta(minutes=6), True), "", State.GOOD, "lacks 0 steps"),
        (OwnReplica(True, 0, NOW, False), "", State.WARNING, "the connection is not encrypted"),
        (OwnReplica(True, -3, NOW, True), "", State.BAD, "has 3 steps that ledger.spool lacks"),
        (OwnReplica(True, 0, NOW, True, 9), "", State.GOOD, "9 leaves of damaged ledgers were never replicated"),
    ],
)
def test_what_postgresql_has_of_it(copy, trouble, state, found):
    finding = ledger.shared("postgresql://db/x", copy, trouble, NOW)
    assert finding.state is state
    assert found in finding.found
