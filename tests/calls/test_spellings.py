"""The table of spellings with the service up: hook and service together mean the same as each of them alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from ..conftest import LAB_REGISTRY
from ..lab.asterisk import Asterisk
from ..lab.dialplan_steps import HookCall, hook_calls, results
from ..lab.lab import LICENSED
from ..lab.service import Service
from ..spellings import EMERGENCIES, LOOKING_ALIKE, OF_OTHERS, OF_SUSPENDED, SUSPENDED

NUMBERS = (*OF_SUSPENDED, *OF_OTHERS)
CALLED = (*EMERGENCIES, *LOOKING_ALIKE)
EXTENSIONS = "\n".join(
    [
        "#include idtone.conf",
        hook_calls("numbers", [HookCall(number) for number in NUMBERS]),
        hook_calls("called", [HookCall(SUSPENDED, called) for called in CALLED]),
        hook_calls("licensed", [HookCall(LICENSED, called) for called in CALLED]),
    ]
)
REFUSED = "REFUSED number-suspended verdict"
PASSED = "UNAVAILABLE emergency emergency"


@pytest.fixture(scope="module")
def up(installation, tmp_path_factory) -> Iterator[Service]:
    """A service beside an Asterisk of its own."""
    with (
        Asterisk(installation, tmp_path_factory.mktemp("spellings"), {"extensions.conf": EXTENSIONS}) as asterisk,
        Service(asterisk, LAB_REGISTRY) as service,
    ):
        yield service


@pytest.fixture(params=["ari", "agi"])
def asked(up, request) -> Service:
    """The service, asked over either interface."""
    up.asterisk.command(f"dialplan set global IDTONE_INTERFACE {request.param}")
    return up


def test_every_spelling_of_a_suspended_number_is_refused(asked):
    before = asked.records().keys()
    found = dict(zip(NUMBERS, results(asked.asterisk, "numbers"), strict=True))
    assert [number for number in NUMBERS if found[number] == REFUSED] == list(OF_SUSPENDED)
    assert {found[number].split()[2] for number in OF_OTHERS} == {"verdict"}
    assert decisions(asked, before)["REFUSE", "number-suspended"] == len(OF_SUSPENDED)


@pytest.mark.parametrize("context", ["called", "licensed"])
def test_every_spelling_of_an_emergency_number_passes_at_once(asked, context):
    before = asked.records().keys()
    found = dict(zip(CALLED, results(asked.asterisk, context), strict=True))
    assert [called for called in CALLED if found[called] == PASSED] == list(EMERGENCIES)
    assert {called: found[called] for called in LOOKING_ALIKE if not found[called].endswith(" verdict")} == {}
    if context == "called":
        assert {called: found[called] for called in LOOKING_ALIKE if found[called] != REFUSED} == {}
    assert decisions(asked, before)["BYPASS", "emergency"] == len(EMERGENCIES)


def decisions(service: Service, before: object) -> Counter[tuple[str, str]]:
    """How often each was decided since, by the evidence."""
    records = [record for call_id, record in service.records().items() if call_id not in before]
    assert not [record for record in records if record["anomalies"]]
    return Counter((record["outcome"], record["reason"]) for record in records)
