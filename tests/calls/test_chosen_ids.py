"""Calls on channels whose ids an ARI application chose. Each has its record, with and without the service."""

import http.client
import json
from textwrap import dedent
from urllib.parse import quote, urlencode

import pytest

from idtone.dialplan import channel_of
from lab.asterisk import LAB_DIALPLAN, LOOPBACK, Asterisk
from lab.lab import LICENSED, Lab, lab, wait_until
from lab.nightly_tests import rest_at_night
from lab.publication import LAB_REGISTRY
from lab.service import Service

IDS = ["plain-{}", 'a,b "c" it\'s (d) {}', "a){}(%2C", "$[1]${{x}};&|^\\:/?={}", "日本{}", "x" * 140 + "{}"]
"""Patterns of channel ids. `{}` makes them unique."""
WAITING = """
    [waiting]
    exten = s,1,Answer()
     same = n,Wait(60)
"""


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory):
    """A PBX with an extension that answers and sends nothing."""
    files = {"extensions.conf": f"#include idtone.conf\n{dedent(LAB_DIALPLAN)}{dedent(WAITING)}"}
    with Asterisk(installation, tmp_path_factory.mktemp("ids"), files) as running:
        yield running


def originate(asterisk: Asterisk, phones: Lab, channel: str, interface: str) -> None:
    """Make Asterisk call an answering extension in a channel with this id, and forward the call to the called phone."""
    host, port = phones.called.address
    query = {
        "endpoint": "Local/s@waiting",
        "context": "lab-again",
        "extension": LICENSED,
        "priority": "1",
        "channelId": channel,
    }
    variables = {"LAB_PHONE": f"PJSIP/lab/sip:{port}@{host}:{port}", "IDTONE_INTERFACE": interface}
    connection = http.client.HTTPConnection(LOOPBACK, asterisk.http_port, timeout=10)
    connection.request(
        "POST",
        f"/ari/channels?{urlencode(query, quote_via=quote)}&api_key=idtone:{asterisk.ari_password}",
        json.dumps({"variables": variables}),
        {"Content-Type": "application/json"},
    )
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    assert json.loads(answer.read())["id"] == channel
    connection.close()


@rest_at_night("interface", ["none", "ari", "agi"])
async def test_a_call_on_a_channel_of_any_id_has_its_record(pbx, interface):
    """The service is down for `none`, so that the hook decides."""
    ids = {text.format(f"{interface}{number}") for number, text in enumerate(IDS)}
    service = Service(pbx, LAB_REGISTRY)
    async with lab(pbx) as phones:
        service.start()
        if interface == "none":  # this keeps the suspended numbers, without which the hook refuses each call
            service.stop()
        try:
            for number, channel in enumerate(ids, 1):
                originate(pbx, phones, channel, "ari" if interface == "none" else interface)
                await wait_until(
                    lambda count=number: len(phones.called.calls) == count, f"{channel} to reach the phone", 10
                )
                await wait_until(lambda: pbx.bridges() == 1, f"{channel} to be connected", 10)
                await phones.called.calls[-1].hangup()
                await phones.nothing_is_left(10)
            if interface == "none":
                service.start()
            records = {channel_of(call_id): record for call_id, record in service.records().items()}
        finally:
            service.stop()
    assert ids - records.keys() == set()
    for channel in ids:
        record = records[channel]
        assert (record["status"], record["complete"], record["sent"]) == ("CONNECTED", True, True), record
        assert record["anomalies"] == [], record
        assert record["outcome"] == ("NOTICE" if interface == "none" else "PLAY"), record
