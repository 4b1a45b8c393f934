"""Calls that are counted by the database: the counts equal those of a look at each record."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from idtone.core.calls import Party
from idtone.core.errors import LedgerError
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CANARY, Step
from idtone.ledger.evidence.tally import tally, tally_groups
from idtone.ledger.store import call_groups as module
from idtone.ledger.store.call_groups import call_groups
from idtone.ledger.store.ledger_reader import LedgerReader
from lab.ledger.sample_calls import BOTH, calls_of_all_kinds, sounded_call
from lab.ledger.sample_evidence import PLAY, decided, heard_call, time_after
from lab.ledger.sample_ledger import write

DAY_MS = 86_400_000


def told() -> list[Step]:
    """Calls of every kind on which a count depends."""
    apart = PLAY._replace(profiles={Party.CALLED: "sample", Party.CALLER: "other"})
    canary, *rest = heard_call("canary", 10)
    return [
        *calls_of_all_kinds(),
        *sounded_call("confirmed", DAY_MS, PLAY, Party.CALLED),
        steps.sound_reported("confirmed", time_after(DAY_MS + 950), True, 0, 0),
        *sounded_call("one-is-confirmed", DAY_MS, BOTH, *Party),
        steps.sound_reported("one-is-confirmed", time_after(DAY_MS + 940), True, 0, 0),
        steps.sound_reported("one-is-confirmed", time_after(DAY_MS + 940), False, 0, 9, Party.CALLER),
        *sounded_call("apart", DAY_MS, apart, *Party),
        *sounded_call("half-apart", DAY_MS, apart, Party.CALLER),
        replace(canary, details=canary.details | {CANARY: True}), *rest,
        decided(PLAY, "hours-later", 3 * DAY_MS + 5 * 3_600_000),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> LedgerReader:
    url = f"sqlite:///{tmp_path_factory.mktemp('alike')}/ledger.sqlite3"
    write(url, told())
    return LedgerReader.open(url)


def day_of(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


@pytest.mark.parametrize("page", [1, 7])
@pytest.mark.parametrize(
    ("start", "end"), [(None, None), (0, None), (7000, DAY_MS), (None, 7000), (DAY_MS, DAY_MS + 1), (9 * DAY_MS, None)]
)
def test_the_counts_are_those_of_each_record(reader, page, start, end, monkeypatch):
    monkeypatch.setattr(module, "PAGE_ROWS", page)
    since, until = (None if ms is None else time_after(ms) for ms in (start, end))
    records = [
        record
        for record in reader.each_record()
        if (since is None or record.steps[0].at >= since) and (until is None or record.steps[0].at < until)
    ]
    assert tally_groups(call_groups(reader, since, until), day_of) == tally(records, day_of)


def test_calls_are_counted_as_they_were_at_a_step(reader):
    everything = sorted(reader.each_record(), key=lambda record: record.steps[0].at)
    newest = reader.newest_place()
    for last in (*range(0, newest, 9), newest):
        then = [now for _, now in reader.changed_records(0, last)]
        assert tally_groups(call_groups(reader, last=last), day_of) == tally(then, day_of)
    assert len(then) == len(everything)


@pytest.mark.parametrize("kind", ["of-a-newer-idtone", "decided[1", ""])
def test_a_kind_that_is_not_known_is_told_with_its_step(tmp_path, kind):
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    write(url, heard_call("c-1"), heard_call("c-2"))
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as connection, connection:
        connection.execute("UPDATE steps SET kind = ? WHERE id = 9", (kind,))
    with LedgerReader.open(url) as reader, pytest.raises(LedgerError, match="step 9 of the ledger cannot be read"):
        list(call_groups(reader))
