"""Each customer's line presents only the customer's own numbers, on a real Asterisk.

All states of the table of lines are tested.
"""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.dialplan import LINES_FILE
from lab.asterisk import Asterisk
from lab.calls.assert_heard import assert_heard_then_connected, assert_nothing_before_voice
from lab.calls.assert_proved import over_both_interfaces, run_concurrently
from lab.lab import LICENSED, SUSPENDED, Forwarding, Lab, lab, wait_until
from lab.publication import LAB_REGISTRY
from lab.registry.customer_lines.databases import FREEPBX
from lab.service import Service
from lab.site import make_reachable

OTHERS, NOBODYS = "0312345700", "0399999999"
TABLE = f"""
lines:
  - {{customer: c-1, endpoints: [lab], numbers: ["{LICENSED}", "{SUSPENDED}"], checked: {{by: Sato, day: 2026-04-01}}}}
  - {{customer: c-2, endpoints: [wide], accounts: [acme], numbers: ["0312345700-0312345709"]}}
"""
LESS = TABLE.replace(f'"{LICENSED}", ', "")


def write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(path)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.yaml"
    write(path, TABLE)
    return path


@pytest.fixture
def own_service(asterisk: Asterisk, shared_service, table) -> Iterator[Service]:
    shared_service.stop()
    make_reachable(table.parent)
    with Service(asterisk, LAB_REGISTRY, lines=f"source: {table}") as service:
        yield service


def outgoing(number: str, endpoint: str = "lab", **more: str) -> Forwarding:
    return Forwarding(number, "outgoing", endpoint=endpoint, **more)


ALLOWED = {outgoing(LICENSED): "c-1", outgoing("+81312345678"): "c-1", outgoing(OTHERS, "wide"): "c-2"}
REFUSED = {
    outgoing(OTHERS): ("number-of-another-customer", "c-1"),
    outgoing("+81 3-1234-5700"): ("number-of-another-customer", "c-1"),
    outgoing(LICENSED, "wide"): ("number-of-another-customer", "c-2"),
    outgoing(NOBODYS): ("number-unknown", "c-1"),
    outgoing("0335810110"): ("number-unknown", "c-1"),
    outgoing(LICENSED, "anonymous"): ("line-unknown", None),
    outgoing(SUSPENDED): ("number-suspended", "c-1"),
    outgoing("03-1234-567x"): ("number-malformed", "c-1"),
    outgoing(""): ("number-withheld", "c-1"),
}


async def test_a_line_presents_its_own_numbers_alone(asterisk, own_service, references):
    async with lab(asterisk) as phones:
        for forwarding, (placed, ending) in await run_concurrently(over_both_interfaces(*ALLOWED), phones.call):
            assert (ending.status, ending.reason) == ("CONNECTED", "licence-valid"), forwarding
            assert_heard_then_connected(placed, "sample", references)
            record = own_service.record(ending.call_id)
            customer = next(name for asked, name in ALLOWED.items() if asked.number == forwarding.number)
            assert (record["customer"], record["anomalies"]) == (customer, []), forwarding
        already = len(phones.called.calls)
        for forwarding, (placed, ending) in await run_concurrently(over_both_interfaces(*REFUSED), phones.call):
            case = (forwarding.number, forwarding.endpoint)
            (expected,) = (found for asked, found in REFUSED.items() if (asked.number, asked.endpoint) == case)
            record = own_service.record(ending.call_id)
            assert (ending.status, ending.reason, ending.cause) == ("REFUSED", expected[0], "21"), forwarding
            assert (placed.caller.final_status, placed.caller.cause) == (403, 21)
            assert (record["outcome"], record["reason"], record["customer"]) == ("REFUSE", *expected), forwarding
            its_own = expected[0] not in ("number-of-another-customer", "line-unknown")
            assert bool(record["anomalies"]) is not its_own
        assert len(phones.called.calls) == already, "a refused call rang"
        # An incoming call is forwarded regardless of its trunk, and an emergency call always.
        for forwarding, (placed, ending) in await run_concurrently(
            over_both_interfaces(Forwarding(LICENSED, endpoint="wide"), outgoing(OTHERS, dialled="110")), phones.call
        ):
            record = own_service.record(ending.call_id)
            if forwarding.direction == "incoming":
                assert_heard_then_connected(placed, "sample", references)
                assert record["customer"] == "c-1"
            else:
                assert_nothing_before_voice(placed, references)
                assert (ending.reason, record["customer"]) == ("emergency", None)


AWAY = {
    **dict.fromkeys(ALLOWED, ("CONNECTED", "service-unavailable")),
    **{forwarding: ("REFUSED", reason) for forwarding, (reason, _) in REFUSED.items() if reason != "number-withheld"},
    outgoing(""): ("REFUSED", "number-malformed"),
    outgoing(OTHERS, "video"): ("CONNECTED", "service-unavailable"),
    outgoing("０３-1234-5678", "video"): ("REFUSED", "number-of-another-customer"),
    outgoing(OTHERS, dialled="110"): ("CONNECTED", "emergency"),
    Forwarding(OTHERS): ("CONNECTED", "service-unavailable"),
}


async def test_while_the_service_is_away_too(asterisk, own_service):
    """Calls by endpoint or account code, and in the operator's own Dial().

    Without the file, no outgoing call connects.
    """
    own_service.stop()
    since = datetime.now(UTC)
    (asterisk.sounds / LINES_FILE).rename(kept := asterisk.sounds / "kept")
    try:
        async with lab(asterisk) as phones:
            for forwarding, expected in ((outgoing(LICENSED), "lines-missing"), (Forwarding(), "service-unavailable")):
                assert await reason(phones, forwarding) == expected
            kept.rename(asterisk.sounds / LINES_FILE)
            for forwarding, (placed, ending) in await run_concurrently(list(AWAY), phones.call):
                assert (ending.status, ending.reason) == AWAY[forwarding], forwarding
                assert (placed.called is not None) is (ending.status == "CONNECTED"), forwarding
            for number, may in ((OTHERS, True), (LICENSED, False)):
                placed = await phones.place(outgoing(number, "video", way="own-dial", caller=number))
                assert bool(placed.caller.answered_ns) is may, number
                await phones.talk_and_hang_up(placed) if may else None
            await phones.nothing_is_left()
    finally:
        own_service.start()
    records = own_service.records(since).values()
    assert {record["reason"] for record in records if record["outcome"] == "REFUSE"} == {
        "lines-missing",
        *(reason for status, reason in AWAY.values() if status == "REFUSED"),
    }


async def test_under_an_own_dial_the_account_code_names_the_line(asterisk, own_service, references):
    cases = {
        outgoing(number, "video", way="own-dial", caller=number): may
        for number, may in ((OTHERS, True), (LICENSED, False))
    }
    async with lab(asterisk) as phones:
        for forwarding, may in cases.items():
            for asked in over_both_interfaces(forwarding):
                before = own_service.records()
                placed = await phones.place(asked)
                if placed.caller.answered_ns:
                    await phones.talk_and_hang_up(placed)
                await phones.nothing_is_left()
                ((_, record),) = (found for found in own_service.records().items() if found[0] not in before)
                assert (record["reason"], record["customer"]) == (
                    "licence-valid" if may else "number-of-another-customer",
                    "c-2",
                )
                if may:
                    assert_heard_then_connected(placed, "sample", references)
                else:
                    assert not placed.caller.answered_ns


async def reason(phones: Lab, forwarding: Forwarding) -> str:
    _, ending = await phones.call(forwarding, talk_s=0)
    return ending.reason


async def test_a_table_that_changes_during_calls_counts_for_the_next(asterisk, own_service, table, references):
    async with lab(asterisk) as phones:
        talking = await phones.place(outgoing(LICENSED))
        already = len(own_service.log())
        write(table, LESS)
        await wait_until(lambda: "the table of lines is in use" in own_service.log()[already:], "the changed table", 20)
        for forwarding in over_both_interfaces(outgoing(LICENSED)):
            assert await reason(phones, forwarding) == "number-of-another-customer"
        already = len(own_service.log())
        write(table, TABLE.replace("0312345700", "0312345"))
        await wait_until(lambda: "the table of lines cannot be used" in own_service.log()[already:], "its faults", 20)
        assert f"{table}:4:" in own_service.log()[already:]
        assert await reason(phones, outgoing(LICENSED)) == "number-of-another-customer"
        already = len(own_service.log())
        write(table, TABLE)
        await wait_until(lambda: "the table of lines is in use" in own_service.log()[already:], "the table again", 20)
        assert await reason(phones, outgoing(LICENSED)) == "licence-valid"
        await phones.talk_and_hang_up(talking)
        assert_heard_then_connected(talking, "sample", references)


async def test_a_restart_without_the_table_keeps_the_last_good_one(asterisk, own_service, table):
    async with lab(asterisk) as phones:
        own_service.stop()
        table.unlink()
        own_service.start()
        assert await reason(phones, outgoing(LICENSED)) == "licence-valid"
        assert await reason(phones, outgoing(OTHERS)) == "number-of-another-customer"
        own_service.stop()
        for kept in own_service.ledger.with_name("lines").iterdir():
            assert kept.stat().st_mode & 0o777 == 0o600
            kept.unlink()
        own_service.start()
        assert await reason(phones, outgoing(LICENSED)) == "lines-missing"
        assert await reason(phones, Forwarding(LICENSED)) == "licence-valid"


async def test_the_tables_of_freepbx_say_which_extension_presents_which_number(asterisk, shared_service, tmp_path):
    path = tmp_path / "asterisk.sqlite3"
    connection = sqlite3.connect(path)
    connection.executescript(FREEPBX.replace("6001", "lab").replace("6003", "wide"))
    connection.close()
    path.chmod(0o644)
    shared_service.stop()
    with Service(asterisk, LAB_REGISTRY, lines=f"source: 'sqlite:///{path}', query: freepbx, poll: PT1S") as service:
        async with lab(asterisk) as phones:
            assert await reason(phones, outgoing(LICENSED)) == "licence-valid"
            assert await reason(phones, outgoing(LICENSED, "wide")) == "number-of-another-customer"
            already = len(service.log())
            connection = sqlite3.connect(path)
            connection.execute("UPDATE incoming SET extension = '0399999998' WHERE extension LIKE '03-%'")
            connection.commit()
            connection.close()
            await wait_until(lambda: "the table of lines is in use" in service.log()[already:], "the changed rows", 30)
            assert await reason(phones, outgoing(LICENSED)) == "line-unknown"
