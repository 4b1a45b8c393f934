"""The troubles that `idtone status` and the mails name."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from idtone.service.troubles import troubles

NOW = datetime(2026, 11, 1, tzinfo=UTC)
WELL: dict[str, Any] = {
    "running": True,
    "instance": {"since": "2026-10-31T23:59:00+00:00", "hand_overs": 0},
    "ari": {"connected": True},
    "hook": {"loaded": "abc", "current": True},
    "registry": {"version": 42, "expires": "2026-11-02T00:00:00+00:00"},
    "association": {"trouble": ""},
    "fallback": {"trouble": ""},
    "ledger": {"trouble": "", "set_aside": []},
    "journal": {"lag_seconds": 0.4},
    "replication": None,
    "lines": None,
    "canary": None,
}


def lapse(days: int, direction: str = "incoming") -> dict[str, str]:
    return {"direction": direction, "at": (NOW + timedelta(days=days)).isoformat(), "licence": "L-1"}


DOWN = {"running": False, "trouble": "no service runs", "ledger": {}, "registry": {}}


@pytest.mark.parametrize(
    ("changed", "ids"),
    [
        ({}, []),
        ({"ari": {"connected": False}, "hook": {"loaded": None}}, ["asterisk"]),
        ({"hook": {"loaded": ""}}, ["hook"]),
        ({"registry": {"version": 0, "expires": None}}, ["registry"]),
        ({"registry": {"version": 42, "expires": NOW.isoformat()}}, ["registry-expired"]),
        ({"association": {"trouble": "not set"}, "fallback": {"trouble": "cannot be written"}}, ["member", "fallback"]),
        ({"ledger": {"trouble": "the ledger's disk is full", "set_aside": []}}, ["ledger"]),
        ({"ledger": {"trouble": "", "set_aside": ["/l.damaged-1"]}}, ["ledger-damaged"]),
        ({"ledger": {"trouble": "", "timestamp": {"overdue": True, "trouble": "it answered 503"}}}, ["timestamp"]),
        ({"ledger": {"trouble": "", "timestamp": {"overdue": False, "trouble": "it answered 503"}}}, []),
        ({"ledger": {"trouble": ""}}, []),  # a service of the version before
        ({"registry": WELL["registry"] | {"licence_lapses": [lapse(0)]}}, ["licence-lapsed-incoming"]),
        (
            {"registry": WELL["registry"] | {"licence_lapses": [lapse(-9), lapse(30, "outgoing")]}},
            ["licence-lapsed-incoming", "licence-lapses-soon-outgoing"],
        ),
        ({"registry": WELL["registry"] | {"licence_lapses": [lapse(31)]}}, []),
        ({"journal": {"lag_seconds": 11}}, ["journal"]),
        ({"replication": {"trouble": "no answer"}, "lines": {"trouble": "faults"}}, ["replication", "lines"]),
        ({"backup": {"at": None, "overdue": True}}, ["backup"]),
        ({"backup": {"at": "…", "overdue": False}}, []),
        ({"canary": {"at": None}}, []),
        ({"canary": {"at": "…", "good": False, "says": "absent"}}, ["canary"]),
    ],
)
def test_each_fault_is_a_trouble(changed: dict[str, Any], ids: list[str]) -> None:
    assert [each.id for each in troubles({**copy.deepcopy(WELL), **changed}, 0, NOW)] == ids


@pytest.mark.parametrize(
    ("found", "later", "ids"),
    [
        pytest.param(WELL, timedelta(0), ["restarts"], id="just restarted"),
        pytest.param(WELL, timedelta(minutes=20), [], id="long ago"),
        pytest.param(WELL | {"instance": WELL["instance"] | {"hand_overs": 1}}, timedelta(0), [], id="reloaded since"),
        pytest.param(DOWN, timedelta(0), ["service", "restarts"], id="between two restarts"),
    ],
)
def test_a_crash_is_told_for_ten_minutes(found: dict[str, Any], later: timedelta, ids: list[str]) -> None:
    told = troubles(found, 3, NOW + later)
    assert [each.id for each in told if each.id != "registry-expired"] == ids
    assert all(each.to_json() == {"id": each.id, "text": each.text} for each in told)
