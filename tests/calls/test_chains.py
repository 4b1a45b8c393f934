"""Calls without a sound: further forwardings of a call that had its sound, and numbers that the member named."""

from collections.abc import Iterator

import pytest

from idtone.dialplan import NO_TRUNKS
from lab.calls.assert_heard import (
    assert_heard_by,
    assert_heard_then_connected,
    assert_nothing_before_voice,
    heard_by_called,
)
from lab.calls.assert_proved import RECOGNISED_S, over_both_interfaces, run_concurrently
from lab.lab import CALLED_NUMBER, LICENSED, Forwarding, lab
from lab.sound_detection import hear, in_order

AGAIN = "0312345679"
"""Another number of the same member, whose calls are forwarded once more."""
INSIDE = f"Local/{AGAIN}@lab-again"
CHAINS = {"inside Asterisk": INSIDE, "through a carrier": f"PJSIP/lab/sip:*{AGAIN}*{{port}}*{{name}}@"}


def chain(phones, way: str) -> Forwarding:
    destination = CHAINS[way]
    if destination.endswith("@"):
        destination += "{}:{}".format(*phones.asterisk.sip_address)
    return Forwarding(destination=destination, dialled=AGAIN)


@pytest.fixture
def believed(asterisk) -> Iterator[None]:
    """Trust the Diversion header of all trunks during the test."""
    asterisk.command("dialplan set global IDTONE_DIVERSION_TRUNKS ^PJSIP/")
    yield
    asterisk.command(f"dialplan set global IDTONE_DIVERSION_TRUNKS {NO_TRUNKS}")


@pytest.mark.parametrize("way", CHAINS)
async def test_a_call_that_is_forwarded_twice_is_sounded_once(asterisk, serving, references, way, interface, believed):
    service = serving(policy="chain: once")
    before = service.records()
    async with lab(asterisk) as phones:
        placed, _ = await phones.call(chain(phones, way), RECOGNISED_S)
        assert_heard_then_connected(placed, "sample", references)
        await phones.nothing_is_left()
    records = service.records()
    outer, inner = sorted(
        (records[new] for new in records.keys() - before.keys()), key=lambda one: one["times"]["decided"]
    )
    assert (outer["skip"], [*outer["known_by"]], outer["status"]) == (None, ["called"], "CONNECTED")
    assert (inner["skip"], [*inner["known_by"]], inner["status"]) == ("announced", [], "CONNECTED")
    for record in (outer, inner):
        assert (record["outcome"], record["complete"], record["anomalies"]) == ("PLAY", True, [])


async def test_a_chain_where_both_parties_hear_the_sound(asterisk, serving, references):
    serving(policy="notify: {incoming: both}")
    async with lab(asterisk) as phones:
        for forwarding in over_both_interfaces(chain(phones, "inside Asterisk")):
            placed, _ = await phones.call(forwarding, RECOGNISED_S)
            assert_heard_by(placed, {"called": "sample", "caller": "sample"}, references, through_local=True)
        await phones.nothing_is_left()


async def test_each_leg_of_a_chain_where_the_member_wants_that(asterisk, serving, references):
    service = serving(policy="chain: each")
    async with lab(asterisk) as phones:
        placed, ending = await phones.call(chain(phones, "inside Asterisk"), RECOGNISED_S)
        assert placed.called
        await phones.nothing_is_left()
    assert service.record(ending.call_id)["known_by"]
    heard = hear(in_order(placed.called.packets), 0, reference=references["sample"])
    assert heard.times == 2


async def test_a_call_that_is_forwarded_three_times_is_sounded_once(fallback_pbx, references):
    """The service is down, so Asterisk alone recognises the chain."""
    async with lab(fallback_pbx) as phones:
        placed, _ = await phones.call(Forwarding(destination=f"Local/{AGAIN}@lab-twice", dialled=AGAIN), RECOGNISED_S)
        # The sound may be incomplete: in a row of Local channels, Asterisk can lose the first frame of audio.
        assert heard_by_called(placed, references["notice"]).times == 1
        await phones.nothing_is_left()


async def test_a_chain_while_the_service_is_away(fallback_pbx, references):
    async with lab(fallback_pbx) as phones:
        placed, _ = await phones.call(chain(phones, "inside Asterisk"), RECOGNISED_S)
        assert_heard_then_connected(placed, "notice", references)


async def test_a_forged_diversion_silences_nothing(asterisk, service, references, interface):
    """The forged header names a call in progress that has its sound, but arrives over a trunk that is not trusted."""
    diversion = ("Diversion", f"<sip:{LICENSED}@pbx.example>;reason=unconditional")
    async with lab(asterisk) as phones:
        first = await phones.place(Forwarding(dialled=AGAIN))
        forged, ending = await phones.call(Forwarding(AGAIN, headers=(diversion,)))
        assert_heard_then_connected(forged, "sample", references)
        await phones.talk_and_hang_up(first)
    record = service.record(ending.call_id)
    assert (record["skip"], record["sent"], record["anomalies"]) == (None, True, [])


async def test_a_stranger_s_diversion_by_a_believed_trunk_silences_nothing(asterisk, service, references, believed):
    """The header names another caller's call in progress, which has its sound."""
    diversion = ("Diversion", f"<sip:{LICENSED}@pbx.example>;reason=unconditional")
    async with lab(asterisk) as phones:
        first = await phones.place(Forwarding(dialled=AGAIN))
        placed, _ = await phones.call(Forwarding(AGAIN, headers=(diversion,), caller="05087654321"))
        assert_heard_then_connected(placed, "sample", references)
        await phones.talk_and_hang_up(first)


async def test_a_number_that_is_to_hear_nothing(asterisk, serving, references):
    """A number, and all numbers with a prefix, hear no sound. Neighbouring numbers hear the sound."""
    service = serving(policy=f'silent: ["{CALLED_NUMBER}", "05123*"]')
    cases = over_both_interfaces(
        *(Forwarding(dialled=dialled) for dialled in (CALLED_NUMBER, "0512340000", "0312340001"))
    )
    async with lab(asterisk) as phones:
        calls = await run_concurrently(cases, phones.call)
    for forwarding, (placed, ending) in calls:
        assert (ending.status, ending.reason) == ("CONNECTED", "licence-valid")
        if forwarding.dialled == "0312340001":
            assert_heard_then_connected(placed, "sample", references)
            continue
        assert_nothing_before_voice(placed, references)
        record = service.record(ending.call_id)
        assert (record["outcome"], record["skip"], [*record["known_by"]]) == ("PLAY", "silent-number", []), forwarding
        assert (record["complete"], record["anomalies"]) == (True, [])
