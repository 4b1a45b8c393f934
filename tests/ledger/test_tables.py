from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert, select

from idtone.errors import LedgerError
from idtone.ledger.steps import CALL_ID_LIMIT, Step, StepKind
from idtone.ledger.tables import metadata, microseconds, row_of, step_of, steps

from .evidence import NOW, heard_call

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
STEPS = st.builds(
    Step,
    call_id=st.text(min_size=1, max_size=CALL_ID_LIMIT).filter(str.isprintable),
    kind=st.sampled_from(StepKind),
    at=st.datetimes(NOW.replace(1971, tzinfo=None), NOW.replace(2200, tzinfo=None), timezones=OFFSETS),
    details=st.dictionaries(
        st.text(),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        max_size=5,
    ),
)


def stored(rows: list[dict[str, Any]]) -> list[Any]:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(steps), rows)
        found = list(connection.execute(select(steps).order_by(steps.c.id)))
    engine.dispose()
    return found


@settings(max_examples=30, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=5))
def test_every_step_comes_back_as_it_was(written: list[Step]) -> None:
    rows = stored([row_of("pbx-1", step) for step in written])
    assert [step_of(row) for row in rows] == written


def test_times_come_back_in_utc_to_the_microsecond() -> None:
    (row,) = stored([row_of("pbx-1", heard_call()[0])])
    assert step_of(row).at == NOW
    assert step_of(row).at.tzinfo is UTC
    assert microseconds(datetime(1970, 1, 1, 9, 0, 0, 1, timezone(timedelta(hours=9)))) == 1


@pytest.mark.parametrize(
    "damage",
    [{"kind": "of-tomorrow"}, {"details": "{"}, {"details": "[]"}, {"at": 10**18}],
)
def test_a_row_of_another_version_is_an_error_that_names_it(damage: dict[str, object]) -> None:
    (row,) = stored([row_of("pbx-1", heard_call()[0]) | damage])
    with pytest.raises(LedgerError, match="step 1 of the ledger cannot be read"):
        step_of(row)
