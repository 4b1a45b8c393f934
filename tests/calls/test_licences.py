"""What each kind of number hears and gets, with the service there."""

from __future__ import annotations

import pytest

from ..conftest import LAB_REGISTRY
from ..lab.lab import LICENSED, SUSPENDED, Forwarding, lab, until
from .hearing import assert_heard_then_connected, assert_nothing_before_voice

pytestmark = pytest.mark.usefixtures("interface")


@pytest.mark.parametrize("way", ["hook", "own-dial"])
async def test_a_licensed_number_is_announced_with_the_licensed_sound(asterisk, service, references, way):
    before = service.records()
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding(way=way))
        await phones.talk_and_hang_up(placed)
        assert_heard_then_connected(placed, "sample", references)
        ending = await phones.ending(placed)
        await phones.nothing_is_left()
    (call_id,) = service.records().keys() - before.keys()
    record = service.record(call_id)
    if way == "hook":
        assert (ending.status, ending.reason, ending.cause) == ("CONNECTED", "licence-valid", "16")
        assert ending.call_id == call_id
        assert record["numbers"]["called"]["last4"] == "0000"
    assert record["heard"]
    assert record["complete"]
    assert (record["outcome"], record["licence"], record["status"]) == ("PLAY", "L-0001", "CONNECTED")
    assert not record["anomalies"]
    assert list(record["times"]) == ["decided", "answered", "sound-started", "sound-ended", "connected", "ended"]


@pytest.mark.parametrize(
    ("number", "direction", "reason"),
    [
        ("0352345678", "incoming", "licence-expired"),
        ("0362345678", "incoming", "licence-revoked"),
        ("0452345678", "incoming", "licence-not-yet-valid"),
        ("0782345678", "incoming", "pledge-missing"),
        ("0612345910", "incoming", "chain-unchecked"),
        ("0399999999", "incoming", "number-unknown"),
        ("0523456789", "outgoing", "direction-not-covered"),
        ("", "incoming", "number-withheld"),
        ("03%0d%0a", "incoming", "number-malformed"),
    ],
)
async def test_without_a_valid_licence_there_is_the_notice(asterisk, service, references, number, direction, reason):
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding(number, direction))
        await phones.talk_and_hang_up(placed)
        assert_heard_then_connected(placed, "notice", references)
        ending = await phones.ending(placed)
    assert (ending.status, ending.reason) == ("CONNECTED", reason)
    record = service.record(ending.call_id)
    assert (record["outcome"], record["reason"], record["profile"], record["heard"]) == (
        "NOTICE",
        reason,
        "notice",
        True,
    )


async def test_a_resold_number_is_announced_by_the_licence_of_the_member_in_charge(asterisk, service, references):
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding("0612345900"))
        await phones.talk_and_hang_up(placed)
        assert_heard_then_connected(placed, "sample", references)
        ending = await phones.ending(placed)
    record = service.record(ending.call_id)
    assert (record["outcome"], record["licence"], record["member"], record["wholesale_chain"]) == (
        "PLAY", "L-0005", "m-0005", "m-0001>m-0005"
    )  # fmt: skip


@pytest.mark.parametrize("number", [SUSPENDED, "+81312345677", "03-1234-5677"])
async def test_a_suspended_number_never_rings(asterisk, service, number):
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding(number))
        ending = await phones.ending(placed)
        assert not phones.called.calls
    assert (ending.status, ending.reason, ending.cause) == ("REFUSED", "number-suspended", "21")
    assert placed.caller.final_status == 403  # what PJSIP makes of cause 21
    assert placed.caller.cause == 21
    record = service.record(ending.call_id)
    assert (record["outcome"], record["status"], record["complete"]) == ("REFUSE", "REFUSED", True)


async def test_unlicensed_refuse_gives_the_caller_the_configured_cause(asterisk, serving, references):
    service = serving(policy="unlicensed: refuse, refuse_cause: 38")
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding("0352345678"))
        ending = await phones.ending(placed)
        assert not phones.called.calls
        assert (ending.status, ending.reason, ending.cause) == ("REFUSED", "licence-expired", "38")
        assert placed.caller.cause == 38
        licensed = await phones.place()
        await phones.talk_and_hang_up(licensed)
        assert_heard_then_connected(licensed, "sample", references)
    assert service.record(ending.call_id)["hangup_cause"] == 38


@pytest.mark.parametrize("dialled", ["110", "118", "119", "184110", "186119"])
async def test_an_emergency_call_connects_at_once(asterisk, service, references, dialled):
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding(SUSPENDED, dialled=dialled))
        await phones.talk_and_hang_up(placed)
        assert_nothing_before_voice(placed, references)
        ending = await phones.ending(placed)
    assert (ending.status, ending.reason) == ("CONNECTED", "emergency")


async def test_a_registry_that_changes_is_in_force_soon(asterisk, serving, references, tmp_path):
    """A number is licensed, then suspended, while the service runs."""
    registry = tmp_path / "registry.yaml"
    text = LAB_REGISTRY.read_text()
    registry.write_text(text)
    service = serving(registry)
    already = len(service.log())
    async with lab(asterisk) as phones:
        before = await phones.place()
        await phones.talk_and_hang_up(before)
        assert_heard_then_connected(before, "sample", references)
        suspended = f'  - {{number: "{LICENSED}", since: 2026-03-01T00:00:00+09:00, reference: R-2}}\n'
        registry.write_text(text.replace("version: 42", "version: 43") + suspended)
        await until(lambda: "version 43 is in use" in service.log()[already:], "the new registry")
        after = await phones.place()
        assert after.called is None
        assert (await phones.ending(after)).reason == "number-suspended"
