"""Names, clocks, the service and its watchdog → findings."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from idtone.operations.doctor import machine_findings
from idtone.operations.doctor.findings import State


@pytest.mark.parametrize(
    ("topic", "took_s", "resolved", "state"),
    [
        ("name-own", 0.01, True, State.GOOD),
        ("name-own", 0.3, True, State.WARNING),
        ("name-own", 1.5, True, State.BAD),
        ("name-own", 0.01, False, State.WARNING),
        ("name-own", 3.0, False, State.BAD),
        ("name-ari", 0.01, True, State.GOOD),
        ("name-ari", 0.01, False, State.BAD),
    ],
)
def test_a_name(topic, took_s, resolved, state):
    finding = machine_findings.name(topic, "pbx", took_s, resolved)
    assert finding.state is state
    assert state is State.GOOD or "/etc/hosts" in finding.remedy


def test_the_clock():
    assert [machine_findings.synchronised(state).state for state in (True, False, None)] == [
        State.GOOD,
        State.WARNING,
        State.UNKNOWN,
    ]
    assert machine_findings.date(datetime(2026, 11, 25, tzinfo=UTC)).state is State.GOOD
    assert machine_findings.date(datetime(1970, 1, 1, tzinfo=UTC)).state is State.BAD


@pytest.mark.parametrize(
    ("registered", "running", "states"),
    [
        (True, True, (State.GOOD, State.GOOD)),
        (True, None, (State.UNKNOWN, State.GOOD)),
        (True, False, (State.BAD, State.WARNING)),
        (False, True, (State.GOOD, State.BAD)),
        (False, None, (State.UNKNOWN, State.BAD)),
        (False, False, (State.BAD, State.BAD)),
    ],
)
def test_the_service_and_its_application(registered, running, states):
    findings = machine_findings.service(running), machine_findings.application(registered, running)
    assert tuple(finding.state for finding in findings) == states


def test_the_agi_listener():
    assert machine_findings.listener("127.0.0.1:4573", "").state is State.GOOD
    finding = machine_findings.listener("127.0.0.1:4573", "Connection refused")
    assert finding.state is State.BAD
    assert "127.0.0.1:4573: Connection refused" in finding.found


@pytest.mark.parametrize(
    ("usec", "state"),
    [("3s", State.GOOD), ("0", State.WARNING), ("infinity", State.WARNING), ("", State.WARNING), (None, State.UNKNOWN)],
)
def test_the_watchdog(usec, state):
    finding = machine_findings.watchdog(usec)
    assert finding.state is state
    assert state is not State.WARNING or "`WatchdogSec=1s`" in finding.remedy
