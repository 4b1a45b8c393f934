"""The cost of a verification: twice the input takes twice the operations, whatever its content."""

# ruff: noqa: S608 - the statements are what is tried

import cProfile
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from idtone.ledger.store import sqlite
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import path_of
from idtone.ledger.verification.verify_ledger import verify_ledger
from lab.ledger.sample_evidence import LOG, evidence, heard_call, url_of
from lab.ledger.sample_ledger import write
from lab.nightly_tests import rest_at_night

INSTRUCTIONS: Final = 100
"""Number of instructions of SQLite's machine that are counted as one."""
SIZE: Final = 1500

TIMES: Final = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {size})"
LAST: Final = "(SELECT * FROM steps WHERE leaf >= 0 ORDER BY leaf DESC LIMIT 1)"
CALLED: Final = "'{{\"called_token\":\"' || printf('%016x%016x', x, x) || '\"}}'"

INPUTS: Final = {
    "beginnings of one call, and a search entry too many": f"""
        INSERT INTO steps {TIMES} SELECT 1000 + x, node, 'long', 'decided', at, {CALLED}, NULL FROM n, {LAST};
        INSERT INTO steps SELECT id + 1, node, 'long', 'ended', at, '{{{{}}}}', (SELECT 1 + max(leaf) FROM steps)
            FROM steps ORDER BY id DESC LIMIT 1;
        INSERT INTO sought {TIMES} SELECT x, (SELECT max(id) FROM steps) FROM n;
        INSERT INTO sought VALUES (-1, (SELECT max(id) FROM steps))""",
    "beginnings of one call without an end": f"""
        INSERT INTO steps {TIMES} SELECT 1000 + x, node, 'long', 'decided', at, {CALLED}, NULL FROM n, {LAST};
        INSERT INTO sought {TIMES} SELECT x, 1000 + x FROM n""",
    "leaves of one call": f"""
        INSERT INTO steps {TIMES} SELECT 1000 + x, node, call_id, 'ended', at, '{{{{}}}}', leaf + x FROM n, {LAST}""",
    "leaves of one call, each with beginnings": f"""
        INSERT INTO steps {TIMES} SELECT 1000 + 2 * x, node, 'long', 'decided', at, {CALLED}, NULL FROM n, {LAST};
        INSERT INTO steps {TIMES} SELECT 1001 + 2 * x, node, 'long', 'ended', at, '{{{{}}}}', leaf + x FROM n, {LAST};
        INSERT INTO sought {TIMES} SELECT x, 1001 + 2 * x FROM n WHERE x % 2""",
    "calls in progress": f"""
        INSERT INTO steps {TIMES} SELECT 1000 + x, 'pbx-1', 'c' || x, 'decided', 1, '{{{{}}}}', NULL FROM n""",
    "calls of two leaves, one among the other": f"""
        INSERT INTO steps {TIMES} SELECT 1000 + x, node, 'c' || (x % ({{size}} / 2)), 'ended', at, '{{{{}}}}', leaf + x
            FROM n, {LAST}""",
    "search entries of one step": f"INSERT OR IGNORE INTO sought {TIMES} SELECT x, 9 FROM n",
    "search entries of later steps": f"INSERT INTO sought {TIMES} SELECT x, 10000 + x FROM n",
    "acts that name a request": f"""
        INSERT INTO steps {TIMES} SELECT 1000 + x, node, 'act-' || x, 'exported', at,
            '{{{{"request":"act-' || (x - 1) || '"}}}}', leaf + x FROM n, {LAST}""",
    "steps in quarantine": f"""
        INSERT INTO quarantine {TIMES} SELECT x, 1, x, 'pbx-1', 'c', 'decided', 1, '{{{{}}}}', NULL FROM n""",
}


def forge(file: Path, what: str, size: int) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(INPUTS[what].format(size=size))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("whole") / "ledger.sqlite3"
    write(url_of(file), evidence(8), heard_call("last", 900_000))
    return file.read_bytes()


@pytest.fixture
def instructions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of SQLite instructions that readers have used, in hundreds."""
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    def counting(*arguments: Any) -> sqlite3.Connection:
        connection = connect(*arguments)
        connection.set_progress_handler(count, INSTRUCTIONS)
        return connection

    connect = sqlite._connect
    monkeypatch.setattr(sqlite, "_connect", counting)
    return counted


def operations(file: Path, instructions: list[int]) -> tuple[int, int]:
    """Number of Python function calls and SQLite instructions (in hundreds) of a verification."""
    instructions[0] = 0
    profile = cProfile.Profile()
    with LedgerReader.open(url_of(file)) as reader:
        # Without the key of the steps: a hundred faults of their MACs would keep it from what comes after.
        assert profile.runcall(verify_ledger, reader, LOG).faults
    return sum(entry.callcount for entry in profile.getstats()), instructions[0]


@rest_at_night("what", list(INPUTS))
def test_twice_the_input_takes_twice_the_operations(url, whole, instructions, what):
    file = path_of(url)
    file.parent.mkdir(exist_ok=True)
    counted = []
    for size in (SIZE, 2 * SIZE, 4 * SIZE):
        file.write_bytes(whole)
        forge(file, what, size)
        counted.append(operations(file, instructions))
    for least, most, twice in zip(*counted, strict=True):
        # The part that does not grow with the input is subtracted; it is the same in all three.
        assert twice - most <= 2.3 * (most - least), counted
