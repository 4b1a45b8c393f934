"""Parallel checks: one that crashes or hangs becomes a finding, and does not stop the others."""

import threading
import time
from datetime import UTC, datetime

import pytest

from idtone.core.settings.settings import Settings
from idtone.operations.doctor.check_inputs import CheckInputs
from idtone.operations.doctor.checks import Check
from idtone.operations.doctor.findings import State, good
from idtone.operations.doctor.run_checks import run


@pytest.fixture
def inputs() -> CheckInputs:
    return CheckInputs(Settings(), None, None, {}, lambda: datetime.now(UTC))


def sound(inputs):
    yield good("sounds", "10 files")
    yield good("fallback", "as it should be")


def crashing(inputs):
    yield good("ledger", "opened")
    raise RuntimeError("0312345678 is in the text of this error")


def test_a_topic_without_a_finding_gets_one(inputs):
    (finding,) = run(inputs, [Check(("watchdog",), lambda inputs: iter(()))])
    assert (finding.state, finding.found) == (State.UNKNOWN, "the check gave no finding")


def test_a_crash_is_a_finding_without_the_text_of_the_error(inputs):
    findings = run(inputs, [Check(("ledger", "ledger-key"), crashing), Check(("sounds", "fallback"), sound)])
    assert [(f.topic, f.state) for f in findings] == [
        ("sounds", State.GOOD),
        ("fallback", State.GOOD),
        ("ledger", State.GOOD),
        ("ledger-key", State.UNKNOWN),
    ]
    assert "RuntimeError in test_run_checks.py, line" in findings[-1].found
    assert "0312345678" not in findings[-1].found


def test_a_check_that_hangs_ends_at_the_deadline(inputs):
    release = threading.Event()

    def hanging(inputs):
        yield good("ledger", "opened")
        release.wait(60)
        yield good("ledger-key", "too late")

    told: list[list[str]] = []
    started_s = time.monotonic()
    findings = run(
        inputs,
        [Check(("ledger", "ledger-key"), hanging), Check(("sounds", "fallback"), sound)],
        1.5,
        lambda topics: told.append(list(topics)),
    )
    took_s = time.monotonic() - started_s
    release.set()
    assert 1.4 < took_s < 20
    assert [f.state for f in findings] == [State.GOOD, State.GOOD, State.GOOD, State.UNKNOWN]
    assert findings[-1].found == "the check did not end within 1.5 s"
    assert sorted(told[0]) == ["fallback", "ledger", "ledger-key", "sounds"]
    assert told[-1] == ["ledger-key"]


def test_checks_run_in_parallel(inputs):
    meeting = threading.Barrier(2, timeout=60)

    def meets(topic):
        def look(inputs):
            meeting.wait()
            yield good(topic, "met")

        return look

    findings = run(inputs, [Check(("service",), meets("service")), Check(("watchdog",), meets("watchdog"))])
    assert {f.found for f in findings} == {"met"}
