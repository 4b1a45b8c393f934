"""A number is suspended during its calls. They end at any step, and no other call ends."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.core.signed_notes import Signer
from idtone.ledger.keys.key_file import read_key
from idtone.office.desk.document_desk import DocumentDesk
from idtone.office.desk.suspension_confirmations import confirmations
from idtone.registry.trust.tuf_roles import Keys
from lab.asterisk import Asterisk
from lab.calls.assert_heard import assert_heard_then_connected
from lab.calls.assert_proved import over_both_interfaces, run_concurrently
from lab.calls.suspend_in_progress import WITHIN_S, in_progress, suspend
from lab.lab import LICENSED, SUSPENDED, Forwarding, lab, wait_until
from lab.named_sites import SITES
from lab.nightly_tests import rest_at_night
from lab.office.desk.desk_process import running_desk
from lab.phone import Answer
from lab.publication import LAB_REGISTRY
from lab.registry.trust.association import STOPPED, Association, Machine
from lab.registry.trust.publication_server import serve_https, write_certificate
from lab.service import Service


@pytest.fixture
def own_service(asterisk: Asterisk, shared_service, tmp_path, request) -> Iterator[Service]:
    """A service with a registry that the test may change. The parameter is its policy."""
    shared_service.stop()
    registry = tmp_path / "registry.yaml"
    registry.write_text(LAB_REGISTRY.read_text())
    with Service(asterisk, registry, getattr(request, "param", "")) as service:
        yield service


@pytest.mark.alone
async def test_its_calls_are_ended_and_no_others(asterisk, own_service):
    before = own_service.records().keys()
    async with lab(asterisk) as phones:
        calls = await in_progress(phones)
        suspended_s = time.monotonic()
        suspend(own_service)
        for placed in (calls.ringing, *calls.talking):
            await asyncio.wait_for(placed.caller.ended(), WITHIN_S)
        took_s = time.monotonic() - suspended_s
        refused = await phones.place()
        assert (await phones.ending(refused)).reason == "number-suspended"
        for placed in calls.others:
            assert not placed.caller.ended_ns
            await phones.talk_and_hang_up(placed)
        endings = [await phones.ending(placed) for placed in (calls.ringing, *calls.talking[:2])]
        other = await phones.ending(calls.others[0])
        await phones.nothing_is_left()
    print(f"\nsuspended → all ended: {took_s:.2f} s")
    assert took_s < WITHIN_S
    assert [ending.status for ending in endings] == ["CANCEL", "CONNECTED", "CONNECTED"]
    records = {call_id: record for call_id, record in own_service.records().items() if call_id not in before}
    for record in records.values():
        assert record["complete"], record
        emergency = record["outcome"] == "BYPASS"
        assert record["anomalies"] == ["an emergency call of a suspended number"] * emergency, record
    stopped = [record for record in records.values() if "suspended" in record["times"]]
    assert len(stopped) == 4
    assert {ending.call_id for ending in endings} < {record["call_id"] for record in stopped}
    assert "suspended" not in records[other.call_id]["times"]


RESOLD = ("0612345900", "0523456789")
"""Numbers that m-0005 has through m-0001."""


async def test_the_stock_of_a_member_is_stopped_and_stays_so_while_the_service_is_away(asterisk, own_service):
    async with lab(asterisk) as phones:
        talking = [await phones.place(Forwarding(number)) for number in RESOLD]
        suspend(own_service, "\nsuspensions:\n  - {member: m-0005, since: 2026-01-01T00:00:00+09:00, reference: R-1}\n")
        for placed in talking:
            await asyncio.wait_for(placed.caller.ended(), WITHIN_S)
        refused = [await phones.ending(await phones.place(Forwarding(number))) for number in RESOLD]
        await asyncio.to_thread(own_service.stop)
        refused += [await phones.ending(await phones.place(Forwarding(number))) for number in RESOLD]
        kept, _ = await phones.call(Forwarding(LICENSED))
        assert (await phones.ending(kept)).reason == "service-unavailable", "the number of another member"
    assert [(ending.status, ending.reason) for ending in refused] == [("REFUSED", "number-suspended")] * 4


@pytest.mark.alone
@rest_at_night("way", ["https", "folder"])
async def test_on_the_word_of_the_duty_officers(asterisk, shared_service, tmp_path, monkeypatch, way):
    """Two duty keys suspend a number. The keys for licences are not needed."""
    shared_service.stop()
    association = Association(tmp_path / "association")
    association.write(LAB_REGISTRY.read_text().partition("\nsuspensions:")[0])
    association.begin()
    machine = Machine(association, tmp_path / "machine")
    certificate = tmp_path / "server.pem"
    write_certificate(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    served = serve_https(association.repository, certificate) if way == "https" else nullcontext("")
    with (
        served as address,
        Service(asterisk, Path(machine.source), trust=str(machine.trust), address=address) as own,
    ):
        async with lab(asterisk) as phones:
            calls = await in_progress(phones)
            stopped = STOPPED.replace("0312345677", LICENSED)
            association.write(suspensions=stopped)
            suspended_s = time.monotonic()
            association.publish(association.signers(Keys.DUTY))
            for placed in (calls.ringing, *calls.talking):
                await asyncio.wait_for(placed.caller.ended(), WITHIN_S)
            took_s = time.monotonic() - suspended_s
            _, refused = await phones.call()
            for placed in calls.others:
                await phones.talk_and_hang_up(placed)
            other = await phones.ending(calls.others[0])
            await phones.nothing_is_left()
        print(f"\nsigned, {way} → all ended: {took_s:.2f} s")
        assert took_s < WITHIN_S
        assert (refused.status, refused.reason) == ("REFUSED", "number-suspended")
        record = own.record(other.call_id)
    assert (record["outcome"], record["registry_version"], record["registry_trust"]) == ("PLAY", 42, "signed")


@pytest.mark.alone
async def test_the_association_knows_within_two_seconds_who_has_stopped_a_range(asterisk, shared_service, tmp_path):
    """The association also gets the number of calls that were ended."""
    key = read_key(shared_service.serving().ledger.with_name("ledger.key.sign"))
    shared_service.stop()
    association = Association(tmp_path / "association")
    text = LAB_REGISTRY.read_text().partition("\nsuspensions:")[0]
    keys = f"    keys: ['{Signer('m-0001/lab', key).key}']\n    licences:"
    association.write(text.replace("    licences:", keys, 1))
    association.begin()
    machine = Machine(association, tmp_path / "machine")
    desk = DocumentDesk(association.folder, {})
    with running_desk(association.folder) as url:
        member = f"member: m-0001, desk: '{url}'"
        with Service(asterisk, Path(machine.source), trust=str(machine.trust), association=member):
            async with lab(asterisk) as phones:
                talking = [await phones.place(Forwarding(number)) for number in (LICENSED, "0312345679")]
                stop = '  - {numbers: "031234567*", since: 2026-11-02T00:00:00+09:00, reference: R-1}\n'
                association.write(suspensions=f"issued: {datetime.now(UTC).isoformat()}\nsuspensions:\n{stop}")
                began_s = time.monotonic()
                association.publish(association.signers(Keys.DUTY))
                await wait_until(
                    lambda: list(desk.documents.of("suspension-confirmation")), "the confirmation", WITHIN_S
                )
                took_s = time.monotonic() - began_s
                for placed in talking:
                    await asyncio.wait_for(placed.caller.ended(), WITHIN_S)
        print(f"\npublished → confirmed at the desk: {took_s:.2f} s")
    rows = [each for each in confirmations(desk, "R-1") if each.node]
    assert [(each.node, each.calls_ended) for each in rows] == [("m-0001/lab", 2)]
    assert took_s < WITHIN_S


async def test_a_call_of_an_earlier_service_is_known_by_its_token(asterisk, own_service):
    async with lab(asterisk) as phones:
        calls = await in_progress(phones)
        await asyncio.to_thread(own_service.stop)
        suspend(own_service)
        await asyncio.to_thread(own_service.start)
        for placed in (calls.ringing, *calls.talking):
            await asyncio.wait_for(placed.caller.ended(), WITHIN_S)
        for placed in calls.others:
            assert not placed.caller.ended_ns
            await phones.talk_and_hang_up(placed)
        await phones.nothing_is_left()


@pytest.mark.parametrize("own_service", ["suspended_calls: let-end"], indirect=True)
async def test_they_may_be_let_end(asterisk, own_service):
    async with lab(asterisk) as phones:
        talking = await phones.place()
        suspend(own_service)
        await wait_until(lambda: "version 43 is in use" in own_service.log(), "the service to look at its registry")
        await asyncio.sleep(1)
        assert not talking.caller.ended_ns
        await phones.talk_and_hang_up(talking)
        ending = await phones.ending(talking)
    assert "suspended" not in own_service.record(ending.call_id)["times"]


async def test_a_called_party_that_calls_itself_110_makes_no_emergency_call(installation, tmp_path_factory, references):
    """The call uses the operator's own Dial(), over a trunk whose identities are trusted.

    It is tested with and without the service.
    """
    site = SITES["trusting"]
    scratch = tmp_path_factory.mktemp("trusting")
    police = Answer(headers=(("P-Asserted-Identity", "<sip:110@pbx.example>"),))
    cases = over_both_interfaces(Forwarding(SUSPENDED, way="own-dial"), Forwarding(way="own-dial"))
    with Asterisk(installation, scratch, site=site) as pbx, Service(pbx, LAB_REGISTRY) as service:
        async with lab(pbx, police) as phones:
            up = await run_concurrently(cases, phones.call)
            await phones.nothing_is_left()
        records = service.records().values()
        service.stop()
        async with lab(pbx, police) as phones:
            away = await run_concurrently(cases, phones.call)
            await phones.nothing_is_left()
    assert Counter(record["outcome"] for record in records) == {"REFUSE": 2, "PLAY": 2}
    for calls, sound in ((up, "sample"), (away, "notice")):
        for forwarding, (placed, _) in calls:
            if forwarding.number == SUSPENDED:
                assert placed.caller.final_status != 200
            else:
                assert_heard_then_connected(placed, sound, references)
