"""The table of spellings with the service up: hook and service together mean the same as each of them alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from ..conftest import LAB_REGISTRY
from ..lab.asterisk import Asterisk
from ..lab.dialplan_steps import HookCall, begin, hook_calls, written
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


@pytest.mark.parametrize("interface", ["ari", "agi"])
def test_every_spelling_means_the_same_to_hook_and_service(up, interface):
    """A suspended number is refused in each of its spellings; an emergency number passes at once in each."""
    up.asterisk.command(f"dialplan set global IDTONE_INTERFACE {interface}")
    before = up.records().keys()
    for context in ("numbers", "called", "licensed"):
        begin(up.asterisk, context)
    of_number = dict(zip(NUMBERS, written(up.asterisk, "numbers"), strict=True))
    of_called, of_licensed = (
        dict(zip(CALLED, written(up.asterisk, context), strict=True)) for context in ("called", "licensed")
    )
    assert [number for number in NUMBERS if of_number[number] == REFUSED] == list(OF_SUSPENDED)
    assert {of_number[number].split()[2] for number in OF_OTHERS} == {"verdict"}
    for found in (of_called, of_licensed):
        assert [called for called in CALLED if found[called] == PASSED] == list(EMERGENCIES)
        assert {called: found[called] for called in LOOKING_ALIKE if not found[called].endswith(" verdict")} == {}
    assert {called: of_called[called] for called in LOOKING_ALIKE if of_called[called] != REFUSED} == {}
    records = [record for call_id, record in up.records().items() if call_id not in before]
    assert not [record for record in records if record["anomalies"]]
    decided = Counter((record["outcome"], record["reason"]) for record in records)
    assert decided["REFUSE", "number-suspended"] == len(OF_SUSPENDED) + len(LOOKING_ALIKE)
    assert decided["BYPASS", "emergency"] == 2 * len(EMERGENCIES)
