"""How each kind of number is treated while the service is running: sound, notice or refusal, over each interface."""

import pytest

from lab.calls.assert_heard import assert_heard_then_connected, assert_nothing_before_voice
from lab.calls.assert_proved import over_both_interfaces, run_concurrently
from lab.chosen_asterisk import transports
from lab.lab import LICENSED, SUSPENDED, Forwarding, lab, wait_until
from lab.nightly_tests import rest_in_breadth
from lab.publication import LAB_REGISTRY

TIMES = ["decided", "answered", "sound-started", "sound-ended", "connected", "ended"]
NOTICED = {
    ("0352345678", "incoming"): "licence-expired",
    ("0362345678", "incoming"): "licence-revoked",
    ("0452345678", "incoming"): "licence-not-yet-valid",
    ("0782345678", "incoming"): "pledge-missing",
    ("0612345910", "incoming"): "chain-unchecked",
    ("0399999999", "incoming"): "number-unknown",
    ("0523456789", "outgoing"): "direction-not-covered",
}
"""Number and direction of a call → the reason for its notice."""


@pytest.mark.parametrize("interface", ["ari", "agi"], indirect=True)
@pytest.mark.parametrize("way", ["hook", "own-dial"])
async def test_a_licensed_number_is_announced_with_the_licensed_sound(asterisk, service, references, way, interface):
    before = service.records()
    async with lab(asterisk) as phones:
        placed, ending = await phones.call(Forwarding(way=way))
        assert_heard_then_connected(placed, "sample", references)
        await phones.nothing_is_left()
    (call_id,) = service.records().keys() - before.keys()
    record = service.record(call_id)
    if way == "hook":
        assert (ending.status, ending.reason, ending.cause) == ("CONNECTED", "licence-valid", "16")
        assert ending.call_id == call_id
        assert record["numbers"]["called"]["last4"] == "0000"
    assert (record["outcome"], record["licence"], record["status"]) == ("PLAY", "L-0001", "CONNECTED")
    assert (record["sent"], record["complete"], record["anomalies"]) == (True, True, [])
    assert list(record["times"]) == TIMES


@rest_in_breadth("transport", transports())
async def test_a_licensed_call_is_recorded_whichever_way_the_requests_go(asterisk, serving, references, transport):
    service = serving(transport=transport)
    words = {"websocket": "requests over the WebSocket", "http": "requests over HTTP"}[transport]
    assert words in service.log().rpartition("ready: ")[2]
    async with lab(asterisk) as phones:
        placed, ending = await phones.call(Forwarding(interface="ari"))
        assert_heard_then_connected(placed, "sample", references)
    record = service.record(ending.call_id)
    assert (record["sent"], record["complete"], record["anomalies"]) == (True, True, [])
    assert list(record["times"]) == TIMES


async def test_without_a_valid_licence_there_is_the_notice(asterisk, service, references):
    async with lab(asterisk) as phones:
        calls = await run_concurrently(over_both_interfaces(*(Forwarding(*case) for case in NOTICED)), phones.call)
    records = service.records()
    for forwarding, (placed, ending) in calls:
        expected = NOTICED[forwarding.number, forwarding.direction]
        assert_heard_then_connected(placed, "notice", references)
        assert (ending.status, ending.reason) == ("CONNECTED", expected), forwarding
        record = records[ending.call_id]
        assert (record["outcome"], record["reason"], record["profile"]) == ("NOTICE", expected, "notice"), forwarding
        assert (record["sent"], record["interface"]) == (True, forwarding.interface), forwarding


async def test_a_resold_number_is_announced_by_the_licence_of_the_member_in_charge(asterisk, service, references):
    async with lab(asterisk) as phones:
        placed, ending = await phones.call(Forwarding("0612345900"))
        assert_heard_then_connected(placed, "sample", references)
    record = service.record(ending.call_id)
    assert (record["outcome"], record["licence"], record["member"], record["wholesale_chain"]) == (
        "PLAY",
        "L-0005",
        "m-0005",
        "m-0001>m-0005",
    )


async def test_a_suspended_number_never_rings(asterisk, service):
    numbers = (SUSPENDED, "+81312345677", "03-1234-5677")
    async with lab(asterisk) as phones:
        calls = await run_concurrently(over_both_interfaces(*map(Forwarding, numbers)), phones.call)
        assert not phones.called.calls
    for forwarding, (placed, ending) in calls:
        assert (ending.status, ending.reason, ending.cause) == ("REFUSED", "number-suspended", "21"), forwarding
        assert (placed.caller.final_status, placed.caller.cause) == (403, 21)  # PJSIP derives it from cause 21
        record = service.record(ending.call_id)
        assert (record["outcome"], record["status"], record["complete"]) == ("REFUSE", "REFUSED", True)


async def test_a_number_that_cannot_be_read_never_rings(asterisk, service):
    reasons = {"": "number-withheld", "03%0d%0a": "number-malformed", "0033-03-1234-5678": "number-malformed"}
    async with lab(asterisk) as phones:
        calls = await run_concurrently(over_both_interfaces(*map(Forwarding, reasons)), phones.call)
        assert not phones.called.calls
    for forwarding, (placed, ending) in calls:
        assert (ending.status, ending.reason, ending.cause) == ("REFUSED", reasons[forwarding.number], "21"), forwarding
        assert (placed.caller.final_status, placed.caller.cause) == (403, 21)
        record = service.record(ending.call_id)
        assert (record["outcome"], record["status"], record["complete"]) == ("REFUSE", "REFUSED", True)


async def test_unlicensed_refuse_gives_the_caller_the_configured_cause(asterisk, serving, references):
    service = serving(policy="unlicensed: refuse, refuse_cause: 38")
    async with lab(asterisk) as phones:
        for forwarding in over_both_interfaces(Forwarding("0352345678")):
            placed, ending = await phones.call(forwarding)
            assert not phones.called.calls
            assert (ending.status, ending.reason, ending.cause) == ("REFUSED", "licence-expired", "38")
            assert placed.caller.cause == 38
            assert service.record(ending.call_id)["hangup_cause"] == 38
        licensed, _ = await phones.call()
        assert_heard_then_connected(licensed, "sample", references)


async def test_an_emergency_call_connects_at_once(asterisk, service, references):
    cases = [Forwarding(SUSPENDED, dialled=dialled) for dialled in ("110", "118", "119", "184110", "186119")]
    async with lab(asterisk) as phones:
        for _, (placed, ending) in await run_concurrently(over_both_interfaces(*cases), phones.call):
            assert_nothing_before_voice(placed, references)
            assert (ending.status, ending.reason) == ("CONNECTED", "emergency")


async def test_a_registry_that_changes_is_in_force_soon(asterisk, serving, references, tmp_path):
    """A number is first licensed and then suspended while the service is running."""
    registry = tmp_path / "registry.yaml"
    text = LAB_REGISTRY.read_text()
    registry.write_text(text)
    service = serving(registry)
    already = len(service.log())
    async with lab(asterisk) as phones:
        before, _ = await phones.call()
        assert_heard_then_connected(before, "sample", references)
        suspended = f'  - {{number: "{LICENSED}", since: 2026-03-01T00:00:00+09:00, reference: R-2}}\n'
        registry.write_text(text.replace("version: 42", "version: 43") + suspended)
        await wait_until(lambda: "version 43 is in use" in service.log()[already:], "the new registry")
        for forwarding in over_both_interfaces(Forwarding()):
            after, ending = await phones.call(forwarding)
            assert after.called is None
            assert ending.reason == "number-suspended"
