"""The signed Identity header of the incoming call (RFC 8224).

A setting passes it to the trunk of the forwarded call.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from lab.asterisk import Asterisk
from lab.calls.assert_proved import over_both_interfaces, run_concurrently
from lab.lab import LICENSED, Forwarding, lab
from lab.publication import LAB_REGISTRY
from lab.service import Service

TOKEN = "eyJhbGciOiJFUzI1NiIsInBwdCI6InNoYWtlbiJ9." + 600 * "eyJ9" + ".c2ln_-"
IDENTITIES = [
    f'{TOKEN};info=<https://cert.example.jp/a.pem?x=1,2&y=%41>;alg=ES256;ppt="shaken"',
    f"{TOKEN[::-1]};info=<https://cert.example.jp/b.pem>;alg=ES256;ppt=div",
    "c;info=<https://cert.example.jp/c.pem>;alg=ES256;ppt=div",
]
SIGNED = tuple(("Identity", each) for each in IDENTITIES)
ASKED, NOT_ASKED = "asserting", "lab"


@pytest.fixture(scope="module")
def asking(installation, tmp_path_factory) -> Iterator[Asterisk]:
    """A PBX with its service, which passes the Identity to one of its trunks."""
    exported = {"IDTONE_POLICY_IDENTITY_TRUNKS": ASKED}
    pbx = Asterisk(installation, tmp_path_factory.mktemp("asking"), exported=exported)
    with pbx, Service(pbx, LAB_REGISTRY):
        yield pbx


CASES = {
    "all of them, in their order": (Forwarding(endpoint=ASKED, headers=SIGNED), IDENTITIES),
    "one": (Forwarding(endpoint=ASKED, headers=SIGNED[:1]), IDENTITIES[:1]),
    "none": (Forwarding(endpoint=ASKED), []),
    "another trunk": (Forwarding(endpoint=NOT_ASKED, headers=SIGNED), []),
    "outgoing": (Forwarding(endpoint=ASKED, headers=SIGNED, direction="outgoing"), []),
}


async def test_the_identity_is_passed_on_as_it_is(asking):
    cases = [
        (name, each, expected)
        for name, (forwarding, expected) in CASES.items()
        for each in over_both_interfaces(forwarding)
    ]
    async with lab(asking) as phones:
        calls = await run_concurrently(cases, lambda case: phones.call(case[1], 0.1))
    for (name, _, expected), (placed, ending) in calls:
        assert ending.status == "CONNECTED", name
        assert placed.called.request.all("Identity") == expected, name


async def test_without_the_setting_it_is_not(asterisk, service):
    async with lab(asterisk) as phones:
        placed, _ = await phones.call(replace(CASES["one"][0], number=LICENSED), 0.1)
    assert not placed.called.request.all("Identity")
