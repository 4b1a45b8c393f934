"""The recipe for FreePBX with the dialplan of FreePBX 16, which uses Macro(), on a real Asterisk."""

from collections.abc import Iterator
from typing import Any

import pytest

from lab.asterisk_installation import AsteriskInstallation
from lab.calls.assert_heard import assert_heard_by, assert_nothing_before_voice
from lab.calls.assert_proved import run_concurrently
from lab.calls.how_to_dialplans import Case, Pbx, network, records_of, running_pbx, wait_for_records
from lab.lab import SUSPENDED
from lab.macro_asterisk import with_macros

HEARD = {
    Case("from-trunk", "0312345601", "09010000001", forwarding="0312345601"): ["called"],  # a misc. destination
    Case("from-trunk", "0312345602", "09010000002", "agi", forwarding="0312345602"): ["called"],  # *72
    Case("from-internal", "09010000008", "09010000008"): ["called", "caller"],
}


@pytest.fixture(scope="module")
def pbx(installation: AsteriskInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pbx]:
    with running_pbx(with_macros(installation), tmp_path_factory.mktemp("freepbx-16"), macros=True) as one:
        yield one


async def test_calls_by_a_trunk_have_the_sound(pbx: Pbx, references: dict[str, Any]) -> None:
    async with wait_for_records(pbx, len(HEARD)) as records, network(pbx) as net:
        calls = await run_concurrently([*HEARD], net.talked)
    for case, placed in calls:
        assert_heard_by(placed, dict.fromkeys(HEARD[case], "sample"), references)
        (record,) = records_of(records, case.number)
        assert (record["outcome"], record["status"]) == ("PLAY", "CONNECTED"), case


async def test_emergency_calls_are_connected_at_once(pbx: Pbx, references: dict[str, Any]) -> None:
    """110 uses an emergency route, which the recipe does not change. 119 uses an ordinary route with the hook."""
    async with wait_for_records(pbx, 1) as records, network(pbx) as net:
        for number in ("110", "119"):
            assert_nothing_before_voice(await net.talked(Case("from-internal", number, number)), references)
    assert [record["outcome"] for record in records] == ["BYPASS"]


async def test_a_suspended_number_gets_the_refusals_cause_and_no_further_trunk(pbx: Pbx) -> None:
    async with wait_for_records(pbx, 2) as records, network(pbx) as net:
        for case in (
            Case("from-trunk", SUSPENDED, "09010000077"),
            Case("from-internal", "709010000076", "09010000076", did=SUSPENDED),
        ):
            assert await net.dial(case).caller.final() == 403, case
        assert net.rung_at_all() == []
    assert [record["outcome"] for record in records] == ["REFUSE"] * 2
