"""Calls from numbers that never originate, through a real Asterisk. They are refused with and without the service."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from urllib.parse import quote

import pytest

from lab.asterisk import Asterisk
from lab.calls.assert_heard import assert_heard_then_connected
from lab.calls.assert_proved import over_both_interfaces, run_concurrently
from lab.dialplan_steps import HookCall, results, steps
from lab.lab import LICENSED, Forwarding, lab, wait_until
from lab.nightly_tests import breadth, nightly
from lab.publication import LAB_REGISTRY
from lab.registry.trust.association import Association, Machine
from lab.service import Service
from lab.spellings import OF_OTHERS, OF_SUSPENDED, UNREADABLE
from lab.spellings import SUSPENDED as BANK

MEMBERS = LAB_REGISTRY.read_text().partition("\nsuspensions:")[0] + "\n"
LISTED = f"""\
never_originates:
  - {{number: "{BANK}", holder: 見本銀行, reference: N-1, since: 2026-03-01T00:00:00+09:00}}
  - {{numbers: "0335810*", holder: 見本警察署, reference: N-2, since: 2026-03-01T00:00:00+09:00}}
"""
POLICE = "0335810110"
REFUSED = ("REFUSED", "number-never-originates", "21")
SPOOFED = (
    Forwarding(BANK),
    Forwarding("+81-3-3581-0110", "outgoing"),
    Forwarding(caller=POLICE),
    Forwarding(direction="outgoing", caller="+81335810110"),
)
OWN_DIALS = (Forwarding(BANK, way="own-dial"), Forwarding(way="own-dial", caller=POLICE))
HONEST = (Forwarding(), Forwarding(dialled=POLICE), Forwarding(way="own-dial"))


@pytest.fixture
def listed(serving, tmp_path) -> Service:
    """A service with an unsigned list."""
    registry = tmp_path / "registry.yaml"
    registry.write_text(MEMBERS + LISTED)
    return serving(registry)


async def assert_refused(asterisk: Asterisk, references, sound: str) -> None:
    """Check that calls from numbers that never originate reach no phone, and that others hear the sound."""
    async with lab(asterisk) as phones:
        for forwarding, (placed, ending) in await run_concurrently(over_both_interfaces(*SPOOFED), phones.call):
            assert (ending.status, ending.reason, ending.cause) == REFUSED, forwarding
            assert placed.called is None
        for forwarding, (placed, _) in await run_concurrently(over_both_interfaces(*OWN_DIALS), phones.call):
            assert placed.caller.answered_ns is None, forwarding
        for _, (placed, _) in await run_concurrently(over_both_interfaces(*HONEST), phones.call):
            assert_heard_then_connected(placed, sound, references)
        _, emergency = await phones.call(Forwarding(BANK, dialled="110", caller=POLICE))
        assert (emergency.status, emergency.reason) == ("CONNECTED", "emergency")
        await phones.nothing_is_left()


async def test_the_service_refuses_them(asterisk, listed, references):
    before = listed.records().keys()
    await assert_refused(asterisk, references, "sample")
    records = [record for call_id, record in listed.records().items() if call_id not in before]
    refused = [record for record in records if record["outcome"] == "REFUSE"]
    assert len(refused) == len(over_both_interfaces(*SPOOFED, *OWN_DIALS))
    for record in refused:
        assert (record["reason"], record["anomalies"]) == (
            "number-never-originates",
            ["the call came from a number that never originates"],
        )


async def test_the_hook_refuses_them_while_the_service_is_away(asterisk, listed, shared_service, references):
    shared_service.stop()
    await assert_refused(asterisk, references, "notice")


async def test_a_service_that_starts_without_a_registry_still_refuses_them(
    asterisk, listed, shared_service, serving, references, tmp_path
):
    shared_service.stop()
    serving(tmp_path / "none.yaml")
    await assert_refused(asterisk, references, "notice")


async def test_the_association_enters_one_while_the_service_runs(asterisk, shared_service, tmp_path):
    """The duty keys suffice, as for suspensions."""
    shared_service.stop()
    association = Association(tmp_path / "association")
    association.write(MEMBERS)
    association.begin()
    machine = Machine(association, tmp_path / "machine")
    with Service(asterisk, Path(machine.source), trust=str(machine.trust)) as own:
        assert "no list of numbers that never originate" in own.log()
        async with lab(asterisk) as phones:
            _, before = await phones.call(Forwarding(caller=POLICE))
            association.write(never=f"issued: 2026-11-02T00:00:00+09:00\n{LISTED}")
            association.publish()
            await wait_until(lambda: "2 entries of numbers that never originate" in own.log(), "the list", 5)
            _, after = await phones.call(Forwarding(caller=POLICE))
            own.stop()
            _, away = await phones.call(Forwarding(caller=POLICE))
    assert before.status == "CONNECTED"
    assert [(each.status, each.reason, each.cause) for each in (after, away)] == [REFUSED] * 2


FORMS = {
    "some": tuple(form for kind in (OF_SUSPENDED, UNREADABLE, OF_OTHERS) for form in tuple(kind)[::7]),
    "callers": (*OF_SUSPENDED, *UNREADABLE, *OF_OTHERS),
    "numbers": (*OF_SUSPENDED, *UNREADABLE, *OF_OTHERS),
}
"""Context → the caller's numbers. For `numbers`, they are the forwarding numbers.

`make test` runs only `some`: tests/dialplan has all callers without the service, and test_spellings all forwarding
numbers with the service.
"""


def presenting(number: str) -> list[str]:
    return [f"Set(CALLERID(num)=${{URIDECODE({quote(number, safe='')})}})", HookCall(LICENSED).action]


def calls(context: str) -> str:
    actions = ["Answer()"]
    for index, number in enumerate(FORMS[context]):
        actions += [HookCall(number).action] if context == "numbers" else presenting(number)
        actions.append(f"Set(DB({context}/{index})=${{IDTONE_STATUS}} ${{IDTONE_REASON}} ${{IDTONE_VIA}})")
    return steps(context, actions)


@pytest.fixture(scope="module")
def up(installation, tmp_path_factory) -> Iterator[Service]:
    """A service with its own Asterisk."""
    folder = tmp_path_factory.mktemp("never")
    (folder / "registry.yaml").write_text(MEMBERS + LISTED)
    extensions = "\n".join(("#include idtone.conf", *map(calls, FORMS)))
    with (
        Asterisk(installation, folder, {"extensions.conf": extensions}) as asterisk,
        Service(asterisk, folder / "registry.yaml") as service,
    ):
        yield service


@pytest.mark.parametrize(
    ("context", "interface"),
    [breadth("some", "agi"), *(nightly(*each) for each in product(("callers", "numbers"), ("ari", "agi")))],
)
def test_every_spelling_is_refused_by_the_service(up, interface, context):
    up.asterisk.command(f"dialplan set global IDTONE_INTERFACE {interface}")
    found = dict(zip(FORMS[context], results(up.asterisk, context, 120), strict=True))
    refused = "REFUSED number-never-originates verdict"
    assert {form: result for form, result in found.items() if form in OF_SUSPENDED and result != refused} == {}
    assert not [form for form in OF_OTHERS if found.get(form) == refused]
    assert {found[form] for form in UNREADABLE if form in found} == {
        refused,
        "REFUSED number-malformed verdict" if context == "numbers" else "UNAVAILABLE licence-valid verdict",
    }
