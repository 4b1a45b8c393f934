"""A fleet starts, loses a node's Asterisk during calls, and still has the evidence of all calls."""

import time

import pytest

from bench.fleet.call_results import judge_calls
from lab.carrier import RETRANSMITTED_S, CarriedCall, Carrier
from lab.fleet import fleet, wait_until
from lab.kamailio import find_or_get
from lab.lab import LICENSED, SUSPENDED
from lab.postgresql import postgresql_programs

RATE, SECONDS = 8, 8
COUNT = RATE // 2 * SECONDS
"""Number of calls from each carrier."""
DETECTED_S = 6.0
"""Seconds until Kamailio notices a dead node: two OPTIONS with their timeouts."""


def waiting(carrier: Carrier, since_s: float) -> list[CarriedCall]:
    """Calls sent since `since_s` that have not ended."""
    calls = carrier.calls().values()
    return [call for call in calls if call.sent_s > since_s and call.over_s is None and call.status < 400]


@pytest.mark.nightly
def test_a_nodes_asterisk_is_killed_and_the_next_calls_pass(installation, tmp_path):
    with (
        postgresql_programs() as postgresql,
        fleet(tmp_path, installation, find_or_get(), postgresql, count=2) as running,
    ):
        struck, other = running.nodes
        carriers = [
            Carrier(
                proxy.address,
                [*[LICENSED] * 9, SUSPENDED],
                RATE / 2,
                SECONDS,
                tmp_path / f"c{number}",
                name=f"test{number}",
            )
            for number, proxy in enumerate(running.proxies)
        ]
        try:
            time.sleep(SECONDS / 4)
            struck_s = time.time()
            struck.kill_asterisk()
            wait_until(
                lambda: all(not each.states()[struck.asterisk.sip_address].startswith("A") for each in running.proxies),
                "the node to be out",
                DETECTED_S,
            )
            out_s = time.time()
            # SIPp repeats requests that the dead Asterisk does not answer for half a minute.
            wait_until(
                lambda: all(len(carrier.calls()) == COUNT and not waiting(carrier, out_s) for carrier in carriers),
                "the calls to end",
                RETRANSMITTED_S,
            )
        finally:
            for carrier in carriers:
                carrier.stop()
        calls = {name: call for carrier in carriers for name, call in carrier.calls().items()}
        struck.asterisk.start()
        wait_until(
            lambda: all(each.states()[struck.asterisk.sip_address].startswith("A") for each in running.proxies),
            "the node to be back",
            20,
        )
        found = judge_calls(running, calls, struck_s, {struck.name})
    after = [call for call in calls.values() if call.sent_s > out_s and call.number == LICENSED]
    assert after
    assert {(call.status, call.node) for call in after} == {(200, other.asterisk.sip_address)}
    assert found.touched_elsewhere == found.lost_elsewhere == found.suspended_connected == 0
    assert found.without_record == found.not_replicated == found.rang_twice == 0
    assert found.incomplete <= found.cut_on_dead
