import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.errors import LedgerError
from idtone.ledger.evidence.call_record import record_of_steps
from idtone.ledger.evidence.leaves import StoredStep
from idtone.ledger.evidence.steps import CALL_ID_LIMIT, NumberRole, Step, StepKind
from idtone.ledger.keys.sealing import DayKey
from idtone.ledger.store.schema import make_or_upgrade
from idtone.ledger.store.step_rows import microseconds, row_of, step_of
from idtone.ledger.store.stored_tree import STEP
from lab.ledger.sample_evidence import FORWARDING, NOW, RING, decided, heard_call

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
STEPS = st.builds(
    Step,
    call_id=st.text(min_size=1, max_size=CALL_ID_LIMIT).filter(str.isprintable),
    kind=st.sampled_from(StepKind),
    at=st.datetimes(NOW.replace(1971, tzinfo=None), NOW.replace(2200, tzinfo=None), timezones=OFFSETS),
    details=st.dictionaries(
        st.text(),
        st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.floats(1 - 2.0**53, 2.0**53 - 1) | st.text(),
        max_size=5,
    ),
)


KEYS: dict[str, DayKey] = {}


def key_of(day: str) -> DayKey:
    return KEYS.setdefault(day, RING.make(day)[0])


def stored(rows: list[dict[str, Any]]) -> list[StoredStep]:
    with closing(sqlite3.connect(":memory:")) as connection:
        make_or_upgrade(connection, "it")
        connection.executemany(
            f"INSERT INTO steps ({STEP}) VALUES (:id, :node, :call_id, :kind, :at, :details)",  # noqa: S608
            [{"id": number, **row} for number, row in enumerate(rows, 1)],
        )
        return list(map(StoredStep._make, connection.execute(f"SELECT {STEP} FROM steps ORDER BY id")))  # noqa: S608


@settings(max_examples=30, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=5))
def test_every_step_comes_back_as_it_was(written):
    rows = stored([row_of("pbx-1", step, key_of) for step in written])
    assert [step_of(row, key_of) for row in rows] == written


def test_times_come_back_in_utc_to_the_microsecond():
    (row,) = stored([row_of("pbx-1", heard_call()[0], key_of)])
    assert step_of(row, key_of).at == NOW
    assert step_of(row, key_of).at.tzinfo is UTC
    assert microseconds(datetime(1970, 1, 1, 9, 0, 0, 1, timezone(timedelta(hours=9)))) == 1


def test_numbers_are_sealed_and_come_back_to_the_holder_of_the_key():
    asked = heard_call()[0]
    (row,) = stored([row_of("pbx-1", asked, key_of)])
    # In what is encrypted, in tokens and in the nonce digits meet by chance.
    assert not re.search(r"\d{6}", re.sub(r'"(?:[^"]*_token|numbers|numbers_key|nonce)":"[^"]*"', "", row.details))
    assert FORWARDING[1:] not in row.details
    assert step_of(row, key_of).numbers == asked.numbers
    without = step_of(row, lambda day: None)
    assert (without.numbers, "numbers" in without.details) == ({}, False)
    assert without.details["caller_token"] == key_of("2026-11-01").token(asked.numbers[NumberRole.CALLER])


def test_numbers_that_were_moved_to_another_call_are_not_opened():
    first, second = (row_of("pbx-1", decided(call_id=name), key_of) for name in ("c-1", "c-2"))
    (row,) = stored([first | {"details": second["details"]}])
    step = step_of(row, key_of)
    assert (step.numbers, step.details["numbers"]) == ({}, "cannot be opened")
    assert "the numbers cannot be opened" in record_of_steps("pbx-1", [step]).anomalies[0]


def test_a_row_of_another_version_is_an_error_that_names_it():
    for damage in ({"kind": "of-tomorrow"}, {"details": "{"}, {"details": "[]"}, {"at": 10**18}):
        (row,) = stored([row_of("pbx-1", heard_call()[0], key_of) | damage])
        with pytest.raises(LedgerError, match="step 1 of the ledger cannot be read"):
            step_of(row, key_of)
