"""The state of the clock, as a record of the ledger."""

import asyncio

import pytest

from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing import clock_status
from idtone.ledger.writing.clock_status import chrony_status, kernel_status, record_clock
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.ledger.sample_evidence import heard_call, key_ring_of, url_of, write_each

TRACKING = "CB00710F,203.0.113.15,2,1796049986.5,-0.000012345,0.0,0.00002,-21.0,0.0,0.02,0.01,0.001,64.4,Normal\n"


def test_the_kernel_says_whether_the_clock_is_synchronised():
    found = kernel_status()
    assert found["synchronised"] in (True, False)
    assert all(type(value) in (bool, int) for value in found.values())
    assert ("max_error_us" in found) is found["synchronised"]


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (TRACKING, {"source": "chrony 203.0.113.15 stratum 2", "offset_us": -12}),
        (TRACKING.replace("Normal", "Not synchronised"), {"source": "chrony"}),
        ("", {}),
        ("506 Cannot talk to daemon", {}),
        (TRACKING.replace("-0.000012345", "nan"), {}),
    ],
)
def test_what_chrony_says(text, known):
    assert chrony_status(text) == known


def test_it_is_a_leaf_that_lists_leave_out(tmp_path, monkeypatch):
    monkeypatch.setattr(clock_status, "_chrony_tracking", lambda: TRACKING)
    url = url_of(tmp_path / "ledger.sqlite3")

    async def some(writer: object) -> None:
        recording = asyncio.create_task(record_clock(writer, 0.01))  # type: ignore[arg-type]
        with LedgerReader.open(url) as reader:
            while not reader.acts(frozenset({StepKind.CLOCK})):  # noqa: ASYNC110  the ledger has no event for this
                await asyncio.sleep(0.01)
        recording.cancel()

    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        write_each(writer, *heard_call())
        asyncio.run(some(writer))
    with LedgerReader.open(url) as reader:
        clock = reader.acts(frozenset({StepKind.CLOCK}))[0]
        assert clock.details["source"] == "chrony 203.0.113.15 stratum 2"
        assert [record.call_id for record in reader.records()] == ["c-1"]
        assert reader.record(clock.call_id)
        assert reader.proofs(clock.call_id)
