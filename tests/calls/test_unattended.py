"""Evidence of calls that the hook handled without the service. Each has one record, whatever failed."""

import asyncio
import contextlib
import csv
import os
import signal
import sqlite3
import time
from collections import Counter
from dataclasses import replace
from itertools import cycle, product

import pytest

from idtone.core.numbers import parse
from idtone.core.settings.settings import load_settings
from idtone.dialplan import JOURNAL_FILE, channel_of
from idtone.ledger.evidence.steps import NumberRole
from idtone.ledger.keys.day_keys import DayKeys
from idtone.ledger.keys.key_ring import own_key
from idtone.ledger.keys.sealing import LedgerKey
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.verification.verify_ledger import verify_ledger
from lab.asterisk import MODULES, Asterisk
from lab.calls.assert_proved import over_both_interfaces, run_concurrently
from lab.lab import LICENSED, SUSPENDED, Forwarding, lab, wait_until
from lab.publication import LAB_REGISTRY
from lab.service import Service, wait_until_channels_are_younger
from lab.sipp import Load, called

RATE, SECONDS = 20, 5.0
OWN_DIAL_S = 20.0
"""A time in seconds that is longer than an own Dial() waits for a service."""
NUMBERS = [*[LICENSED] * 8, "110", SUSPENDED]


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory):
    """A separate PBX, because the test counts the records in the ledger."""
    files = {
        "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in (*MODULES, "cdr_csv")),
        "cdr.conf": "[general]\nunanswered = yes\n[csv]\nloguniqueid = yes\n",
    }
    scratch = tmp_path_factory.mktemp("fallback")
    (scratch / "log" / "cdr-csv").mkdir(parents=True)
    with Asterisk(installation, scratch, files) as running:
        yield running


def by_asterisks_count(pbx: Asterisk) -> set[str]:
    """Unique ids of the calls in Asterisk's call detail records.

    Channels that write lines of the journal are left out.
    """
    path = pbx.scratch / "log" / "cdr-csv" / "Master.csv"
    rows = csv.reader(path.read_text().splitlines()) if path.exists() else ()
    return {row[-1] for row in rows if not row[5].startswith("Local/s@idtone-journal-later")}


@pytest.fixture
def stopped(pbx) -> Service:
    """A service that has run, has entered everything, and is now down."""
    service = Service(pbx, LAB_REGISTRY)
    service.start()
    service.entered()
    service.stop()
    return service


def reader(service: Service) -> LedgerReader:
    keys = service.ledger.with_name("ledger.key")
    days = DayKeys(keys.with_name("ledger.key.days"), LedgerKey(keys.read_bytes()))
    return LedgerReader.open(f"sqlite:///{service.ledger}", days)


def verify(service: Service) -> None:
    with reader(service) as ledger:
        settings = load_settings(service.settings, {})
        verdict = verify_ledger(ledger, own_key(settings.ledger, settings.node))
    assert not verdict.faults


CASES = {
    "connected": (
        Forwarding(LICENSED, "outgoing"),
        ("NOTICE", "service-unavailable", "CONNECTED", True, "outgoing", 16),
        ["fallback", "answered", "sound-started", "sound-ended", "connected", "ended"],
    ),
    "refused": (
        Forwarding(SUSPENDED),
        ("REFUSE", "number-suspended", "REFUSED", False, "incoming", 21),
        ["fallback", "ended"],
    ),
    "emergency": (
        Forwarding(LICENSED, dialled="119"),
        ("BYPASS", "emergency", "CONNECTED", False, "incoming", 16),
        ["fallback", "connected", "ended"],
    ),
    "malformed": (
        Forwarding("0312345678,1,2,3,4,5"),
        ("REFUSE", "number-malformed", "REFUSED", False, "incoming", 21),
        ["fallback", "ended"],
    ),
}
"""Name → a call, its expected record, and the steps in the record."""


async def test_each_call_of_a_service_that_is_away_gets_its_record(pbx, stopped):
    cases = list(product(CASES, ["ari", "agi"]))
    async with lab(pbx) as phones:
        calls = await run_concurrently(cases, lambda case: phones.call(replace(CASES[case[0]][0], interface=case[1])))
        await phones.nothing_is_left()
    with stopped:
        records = stopped.records()
        with reader(stopped) as ledger:
            found = {
                number: {record.call_id: record.clear_numbers for record in ledger.find(parse(number))}
                for number in (LICENSED, SUSPENDED)
            }
    for case, (_, ending) in calls:
        record, (_, words, times) = records[ending.call_id], CASES[case[0]]
        told = tuple(record[name] for name in ("outcome", "reason", "status", "sent", "direction", "hangup_cause"))
        assert told == words, case
        assert (record["fallback"], record["complete"], record["anomalies"]) == (True, True, []), case
        assert list(record["times"]) == times, case
        match case[0]:
            case "connected":
                numbers = found[LICENSED][ending.call_id]
                assert numbers[NumberRole.FORWARDING] == parse(LICENSED)
                assert numbers[NumberRole.CALLED] == parse(Forwarding().dialled)
                assert numbers[NumberRole.CALLER].known
            case "refused":
                assert ending.call_id in found[SUSPENDED]
            case "emergency":
                assert record["numbers"]["called"]["last4"] == "119"
    verify(stopped)


async def test_under_an_own_dial_too(pbx, stopped):
    before = set(stopped.records())
    expected = {LICENSED: ("NOTICE", "CONNECTED", True), SUSPENDED: ("REFUSE", "REFUSED", False)}
    async with lab(pbx) as phones:
        cases = over_both_interfaces(*(Forwarding(number, way="own-dial") for number in expected))
        await run_concurrently(cases, phones.call)
        await phones.nothing_is_left()
    with stopped:
        records = stopped.records()
    new = [records[name] for name in records.keys() - before]
    assert len(new) == len(cases)
    for number, words in expected.items():
        those = [record for record in new if record["numbers"]["forwarding"]["last4"] == number[-4:]]
        assert [(each["outcome"], each["status"], each["sent"]) for each in those] == [words] * 2
    for record in new:
        assert (record["complete"], record["anomalies"]) == (True, [])
        assert record["numbers"]["called"]["last4"] == Forwarding().dialled[-4:]


@pytest.mark.nightly
async def test_who_gives_up_before_anybody_decided_has_a_record(pbx, stopped):
    """The service is frozen when the calls arrive, and is killed after the callers have hung up."""
    before = set(stopped.records())
    stopped.start()
    ways = {f"{number:04}": way for number, way in enumerate(product(["hook", "own-dial"], ["ari", "agi"]))}
    async with lab(pbx) as phones:
        os.kill(stopped.process.pid, signal.SIGSTOP)
        placed = [
            phones.dial(Forwarding(way=way, interface=interface, dialled=f"031234{last4}"))
            for last4, (way, interface) in ways.items()
        ]
        await asyncio.sleep(1)
        await asyncio.gather(*(each.caller.cancel() for each in placed))
        stopped.stop(signal.SIGKILL)
        await phones.nothing_is_left(within_s=OWN_DIAL_S)
    with stopped:
        records = stopped.records()
    new = {records[name]["numbers"]["called"]["last4"]: records[name] for name in records.keys() - before}
    assert new.keys() == ways.keys()
    for last4, (way, interface) in ways.items():
        record = new[last4]
        # By AGI, Asterisk notices under an own Dial() that the service is dead, and plays the notice.
        through = (way, interface) == ("own-dial", "agi")
        expected = ("NOTICE", "service-unavailable", "CONNECTED") if through else (None, None, "CANCEL")
        assert (record["outcome"], record["reason"], record["status"]) == expected, (way, interface)
        assert (record["fallback"], record["anomalies"]) == (True, [])
        assert record["numbers"]["forwarding"]["last4"] == LICENSED[-4:]
        assert record["numbers"]["caller"].get("token") is not None


async def test_a_service_that_decides_too_late_makes_no_second_record(pbx, stopped):
    before = set(stopped.records())
    with stopped:
        wait_until_channels_are_younger()
        async with lab(pbx) as phones:
            os.kill(stopped.process.pid, signal.SIGSTOP)
            try:
                placed = await phones.place()
            finally:
                os.kill(stopped.process.pid, signal.SIGCONT)
            await phones.talk_and_hang_up(placed)
            ending = await phones.ending(placed)
        records = stopped.records()
    assert records.keys() - before == {ending.call_id}
    record = records[ending.call_id]
    assert (record["fallback"], record["outcome"], record["reason"]) == (True, "NOTICE", "service-unavailable")
    assert record["anomalies"][0] == "the service decided PLAY, licence-valid, and the hook acted without it"
    assert record["complete"]
    assert record["sent"]
    verify(stopped)


@pytest.mark.nightly
async def test_a_service_that_is_killed_during_load_loses_no_call(pbx, stopped, tmp_path):
    """The ledger has a record for each call that the callers and Asterisk counted. The interfaces alternate."""
    before, already = set(stopped.records()), by_asterisks_count(pbx)

    async def alternate() -> None:
        for interface in cycle(("agi", "ari")):
            pbx.command(f"dialplan set global IDTONE_INTERFACE {interface}")
            await asyncio.sleep(0.2)

    stopped.start()
    alternating = asyncio.create_task(alternate())
    with called(tmp_path / "called") as answering:
        load = Load(pbx.sip_address, answering.port, NUMBERS, RATE, SECONDS, tmp_path / "caller")
        try:
            for _ in range(3):
                await asyncio.sleep(SECONDS / 4)
                stopped.stop(signal.SIGKILL)
                await asyncio.to_thread(stopped.start)
            outcomes = await asyncio.to_thread(load.outcomes)
        finally:
            load.stop()
            alternating.cancel()
    await wait_until(lambda: pbx.channels() == 0, "the end of the calls", 20)
    records = await asyncio.to_thread(stopped.records)
    stopped.stop()
    pbx.command("dialplan set global IDTONE_INTERFACE ari")
    new = [records[name] for name in records.keys() - before]
    print(f"\n{len(new)} records: {Counter((each['outcome'], each['reason'], each['fallback']) for each in new)}")
    assert len(outcomes) == load.offered == len(new)
    assert {channel_of(each["call_id"]) for each in new} == by_asterisks_count(pbx) - already
    assert sum(each["outcome"] == "BYPASS" for each in new) == load.offered // 10
    assert {each["fallback"] for each in new if each["outcome"] == "NOTICE"} == {True}
    assert {each["interface"] for each in new if each["outcome"] == "PLAY"} == {"ari", "agi"}
    verify(stopped)


async def test_a_service_that_is_killed_while_it_enters_enters_each_once(pbx, stopped):
    before = set(stopped.records())
    began_s = int(time.time())
    names = [f"{began_s}.{number:06}-1" for number in range(600)]
    with (pbx.sounds / "journal" / JOURNAL_FILE).open("a") as file:
        for number, name in enumerate(names):
            head = f"{name},{number:012},{began_s}.{number:06}"
            file.write(f"decided,{head},0312345678,,0901234{number:04},,0612345678,,,SHED,overload,none,\n")
            file.write(f"ended,{head},REFUSED,42,overload,,\n")
    for share in (0.05, 0.5):
        stopped.start()
        await wait_until(
            lambda wanted=share: entered(stopped, f"{began_s}.%") > wanted * 2 * len(names), "some of them", 30
        )
        stopped.stop(signal.SIGKILL)
    with stopped:
        records = stopped.records()
    assert records.keys() - before == set(names)
    for name in names:
        assert (records[name]["outcome"], records[name]["complete"]) == ("SHED", True)
        assert not records[name]["anomalies"]
    assert entered(stopped, f"{began_s}.%") == 2 * len(names)
    verify(stopped)


def entered(service: Service, call_ids: str) -> int:
    """Number of steps of these calls in the ledger."""
    with contextlib.closing(sqlite3.connect(service.ledger)) as ledger:
        (steps,) = ledger.execute("SELECT count(*) FROM steps WHERE call_id LIKE ?", (call_ids,)).fetchone()
    return int(steps)


async def test_a_line_that_cannot_be_read_is_set_aside_and_told_without_its_numbers(pbx, stopped):
    journal = pbx.sounds / "journal" / JOURNAL_FILE
    refused = journal.with_name("refused")
    already = refused.read_text() if refused.exists() else ""
    with journal.open("a") as file:
        file.write("decided,1795564585.1-1,123456789012,1795564585.000000,0312345678,,0901234567\n")
    with stopped:
        await wait_until(lambda: refused.exists() and refused.read_text() != already, "the line to be set aside", 10)
        await wait_until(lambda: "a journal line was refused" in stopped.log(), "the log", 5)
    assert "0312345678" not in stopped.log() + refused.read_text()
    assert refused.stat().st_mode & 0o777 == 0o600
