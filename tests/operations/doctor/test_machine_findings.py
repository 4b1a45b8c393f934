"""Findings on names, clocks, the service and its watchdog."""

from datetime import UTC, datetime

import pytest

from idtone.operations.doctor import machine_findings
from lab.operations.doctor.check_tables import BAD, GOOD, UNKNOWN, WARNING, check


def name(topic, took_s, resolved):
    return machine_findings.name_look_up(topic, "pbx", took_s, resolved)


TABLE = {
    name: [
        (("name-own", 0.01, True), GOOD),
        (("name-own", 0.3, True), WARNING, "", "/etc/hosts"),
        (("name-own", 1.5, True), BAD, "", "/etc/hosts"),
        (("name-own", 0.01, False), WARNING, "", "/etc/hosts"),
        (("name-own", 3.0, False), BAD, "", "/etc/hosts"),
        (("name-ari", 0.01, True), GOOD),
        (("name-ari", 0.01, False), BAD, "", "/etc/hosts"),
    ],
    machine_findings.clock_synchronisation: [((True,), GOOD), ((False,), WARNING), ((None,), UNKNOWN)],
    machine_findings.clock_date: [
        ((datetime(2026, 11, 25, tzinfo=UTC),), GOOD),
        ((datetime(1970, 1, 1, tzinfo=UTC),), BAD),
    ],
    machine_findings.service: [((True,), GOOD), ((None,), UNKNOWN), ((False,), BAD)],
    # whether it is registered, whether the service runs
    machine_findings.application: [
        ((True, True), GOOD), ((True, None), GOOD), ((True, False), WARNING),
        ((False, True), BAD), ((False, None), BAD), ((False, False), BAD),
    ],
    machine_findings.listener: [
        (("127.0.0.1:4573", ""), GOOD),
        (("127.0.0.1:4573", "Connection refused"), BAD, "127.0.0.1:4573: Connection refused"),
    ],
    machine_findings.watchdog: [
        (("3s",), GOOD),
        *(((usec,), WARNING, "", "`WatchdogSec=1s`") for usec in ("0", "infinity", "")),
        ((None,), UNKNOWN),
    ],
}  # fmt: skip


@pytest.mark.parametrize("rule", TABLE)
def test_findings(rule):
    check(rule, TABLE[rule])
