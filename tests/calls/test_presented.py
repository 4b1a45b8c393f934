"""Fields of a call on the trunk. No text from the caller makes them show another number than the checked one."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from idtone.core.numbers import parse
from idtone.dialplan import NO_TRUNKS
from lab.calls.assert_heard import assert_heard_then_connected
from lab.calls.assert_proved import RECOGNISED_S, over_both_interfaces, run_concurrently
from lab.lab import CALLED_NUMBER, CALLER_NUMBER, LICENSED, SUSPENDED, Forwarding, PlacedCall, lab
from lab.nightly_tests import rest_in_breadth
from lab.sip import Header, Party

POLICE = "0335810110"
INTERNATIONAL = "+81312345678"
DIVERSION: Header = ("Diversion", f'"{POLICE}" <sip:{POLICE}@x>;reason=no-answer')
HISTORY: Header = ("History-Info", f"<sip:{POLICE}@x>;index=1")
ASSERTED: Header = ("P-Asserted-Identity", f'"{POLICE}" <sip:{POLICE}@x>')


@dataclass(frozen=True)
class Shown:
    """Fields of the INVITE at the called phone. `number` is the user."""

    number: str = LICENSED
    name: str = ""
    asserted: bool = True
    """True if P-Asserted-Identity and Remote-Party-ID show the same user."""
    diversion: tuple[str, ...] = ()


@dataclass(frozen=True)
class Leaving:
    """A call, and the fields with which it leaves on the trunk."""

    caller: str
    number: str = LICENSED
    display: str = ""
    headers: tuple[Header, ...] = ()
    direction: str = "outgoing"
    shown: Shown = field(default_factory=Shown)

    def forwarding(self, **others: Any) -> Forwarding:
        return Forwarding(
            self.number,
            self.direction,
            caller=self.caller,
            display=self.display,
            headers=self.headers,
            endpoint="asserting",
            **others,
        )


WITHHELD = Shown("anonymous", "Anonymous", asserted=False)
OUTGOING: Mapping[str, Leaving] = {
    "an extension": Leaving("101"),
    "the number of the police": Leaving(POLICE),
    "an emergency number": Leaving("110"),
    "a suspended number": Leaving(SUSPENDED),
    "the forwarding number itself": Leaving(LICENSED),
    "no number": Leaving(""),
    "asserted identity": Leaving("101", headers=(ASSERTED,)),
    "diversion": Leaving("101", headers=(DIVERSION,)),
    "history": Leaving("101", headers=(HISTORY,)),
    "a name": Leaving("101", display="Taro Sato", shown=Shown(name="Taro Sato")),
    "a Japanese name": Leaving("101", display="三浦 五郎", shown=Shown(name="三浦 五郎")),
    "a number as name": Leaving("101", display=POLICE),
    "a number within the name": Leaving("101", display="Keishicho 110"),
    "full-width digits": Leaving("101", display="０３－３５８１－０１１０"),
    "digits in circles": Leaving("101", display="①①⓪"),
    "Arabic digits": Leaving("101", display="١١٠"),
    "kanji digits": Leaving("101", display="一一〇番"),
    "a name that ends the option": Leaving("101", display="a)f(b,c<d>^&;e", shown=Shown(name="afbcde")),
    "withheld": Leaving("101", headers=(ASSERTED, ("Privacy", "id")), shown=WITHHELD),
    "anonymous": Leaving("anonymous", display="Anonymous", shown=WITHHELD),
    "international": Leaving("101", INTERNATIONAL, shown=Shown(INTERNATIONAL)),
    "without a plus": Leaving("101", INTERNATIONAL[1:], shown=Shown(INTERNATIONAL[1:])),
    "separators": Leaving("101", "03-1234-5678"),
    "international with separators": Leaving("101", "tel:+81 (0)3-1234-5678", shown=Shown(INTERNATIONAL)),
    "an address": Leaving("101", f"<sip:{LICENSED}@x;y=z>"),
    "full-width": Leaving("101", "０３１２３４５６７８"),
    "without its 0": Leaving("101", "312345678"),
}
INCOMING: Mapping[str, Leaving] = {
    name: replace(leaving, caller=CALLER_NUMBER, direction="incoming", shown=Shown(CALLER_NUMBER, diversion=(number,)))
    for name, leaving, number in (
        ("plain", Leaving(""), LICENSED),
        ("international", Leaving("", INTERNATIONAL), INTERNATIONAL),
        ("separators", Leaving("", "03-1234-5678"), LICENSED),
        ("diversion", Leaving("", headers=(DIVERSION,)), LICENSED),
        ("history", Leaving("", headers=(HISTORY,)), LICENSED),
        ("its own diversion", Leaving("", headers=(("Diversion", f'"{POLICE}" <sip:{LICENSED}@x>'),)), LICENSED),
    )
}


def assert_shown(name: str, leaving: Leaving, placed: PlacedCall) -> None:
    assert placed.called, name
    request, shown = placed.called.request, leaving.shown
    sender = request.sender
    assert (sender.uri.user, sender.display) == (shown.number, shown.name), name
    identities = [Party.parse(each) for each in (*request.all("P-Asserted-Identity"), *request.all("Remote-Party-ID"))]
    assert [(one.uri.user, one.display) for one in identities] == [(shown.number, shown.name)] * 2 * shown.asserted, (
        name
    )
    diversions = [Party.parse(each) for each in request.all("Diversion")]
    assert [(one.uri.user, one.display) for one in diversions] == [(each, "") for each in shown.diversion], name
    history = [Party.parse(each) for each in request.all("History-Info")]
    assert [(one.uri.user, one.display) for one in history][: len(diversions)] == [(d, "") for d in shown.diversion], (
        name
    )
    assert {one.uri.user for one in history} <= {CALLED_NUMBER, *shown.diversion}, name
    leaked = {POLICE, SUSPENDED, '"110"', "sip:110@"} - {leaving.caller if leaving.direction == "incoming" else ""}
    assert not [each for each in leaked if each in request.encode().decode(errors="replace")], name


async def place_all(asterisk, table, talk_s, **others):
    cases = [
        (name, leaving, forwarding)
        for name, leaving in table.items()
        for forwarding in over_both_interfaces(leaving.forwarding(**others))
    ]
    async with lab(asterisk) as phones:
        calls = await run_concurrently(cases, lambda case: phones.call(case[2], talk_s))
        await phones.nothing_is_left()
    return calls


@pytest.mark.parametrize("table", [OUTGOING, INCOMING], ids=["outgoing", "incoming"])
async def test_only_the_checked_number_leaves(asterisk, service, references, table):
    """The called party hears the licensed sound, and the evidence has both numbers."""
    for (name, leaving, _), (placed, ending) in await place_all(asterisk, table, RECOGNISED_S):
        assert_shown(name, leaving, placed)
        assert_heard_then_connected(placed, "sample", references)
        assert ending.reason == "licence-valid"
        record = service.record(ending.call_id)
        caller = parse(POLICE if ASSERTED in leaving.headers else leaving.caller)
        for role, number in (("forwarding", parse(LICENSED)), ("caller", caller)):
            recorded = record["numbers"][role]
            assert (recorded["kind"], recorded["last4"]) == (number.kind, number.last4), (name, role)


@rest_in_breadth("table", [OUTGOING, INCOMING], ids=["outgoing", "incoming"])
async def test_while_the_service_is_away_too(fallback_pbx, table):
    for (name, leaving, _), (placed, ending) in await place_all(fallback_pbx, table, 0.1):
        assert ending.reason == "service-unavailable"
        assert_shown(name, leaving, placed)


SAME, OTHER = True, False
OWN_DIAL: Mapping[str, tuple[Leaving, bool]] = {
    "the same": (Leaving(LICENSED), SAME),
    "the same, spelled otherwise": (Leaving(INTERNATIONAL), SAME),
    "the argument spelled otherwise": (Leaving(LICENSED, "０３-1234-5678"), SAME),
    "withheld": (Leaving("101", headers=(ASSERTED, ("Privacy", "id"))), SAME),
    "anonymous": (Leaving("anonymous"), SAME),
    "no number": (Leaving(""), SAME),
    "incoming": (Leaving(CALLER_NUMBER, direction="incoming"), SAME),
    "an extension": (Leaving("101"), OTHER),
    "the police": (Leaving(POLICE), OTHER),
    "an emergency number": (Leaving("110"), OTHER),
    "a suspended number": (Leaving(SUSPENDED), OTHER),
    "another asserted one": (Leaving(LICENSED, headers=(ASSERTED,)), OTHER),
    "a digit more": (Leaving(f"{LICENSED}1"), OTHER),
    "an octet more": (Leaving(f"{LICENSED}\x01"), OTHER),
}


async def assert_own_dials(asterisk, away):
    """Place the calls in the table with the operator's own Dial(), and check their fields on the trunk."""
    table = {name: leaving for name, (leaving, _) in OWN_DIAL.items()}
    cases = [
        (name, forwarding)
        for name, one in table.items()
        for forwarding in over_both_interfaces(one.forwarding(way="own-dial"))
    ]
    async with lab(asterisk) as phones:

        async def place(case: tuple[str, Forwarding]) -> PlacedCall:
            placed = await phones.place(case[1])
            if placed.caller.answered_ns:
                await phones.talk_and_hang_up(placed, 0.1)
            return placed

        calls = await run_concurrently(cases, place)
        await phones.nothing_is_left()
    for (name, forwarding), placed in calls:
        assert bool(placed.caller.answered_ns) is OWN_DIAL[name][1], (name, forwarding.interface, away)
    return len(calls), sum(not same for _, same in OWN_DIAL.values()) * 2


async def test_own_dial_refuses_another_number(asterisk, service):
    since = datetime.now(UTC)
    count, refused = await assert_own_dials(asterisk, away=False)
    records = service.records(since).values()
    reasons = Counter((record["status"], record["reason"]) for record in records)
    assert reasons == {
        ("CONNECTED", "licence-valid"): count - refused,
        ("REFUSED", "presented-number-differs"): refused,
    }
    assert all(record["complete"] and not record["anomalies"] for record in records)


async def test_own_dial_refuses_another_number_while_the_service_is_away_too(fallback_pbx):
    await assert_own_dials(fallback_pbx, away=True)


async def test_a_number_that_cannot_be_read_is_not_shown(asterisk, serving):
    """This setting connects such calls."""
    serving(policy="unreadable: notice")
    leaving = {"unreadable": Leaving("101", f"{LICENSED[:-1]}x", shown=WITHHELD)}
    for (name, one, _), (placed, ending) in await place_all(asterisk, leaving, 0.1):
        assert ending.reason == "number-malformed"
        assert_shown(name, one, placed)


FIRST = "0312345699"
DIVERTED: Mapping[str, tuple[tuple[Header, ...], str, str]] = {
    # headers from the network; from, orig, count and reason over any trunk; and the same over a trusted trunk
    "none": ((), f"{LICENSED}::1:cfu", f"{LICENSED}::1:cfu"),
    "one": (
        (("Diversion", f"<sip:{FIRST}@x>;reason=no-answer"),),
        f"{LICENSED}::1:cfu",
        f"{LICENSED}:{FIRST}:2:cfu",
    ),
    "its own": (
        (("Diversion", f"<sip:{LICENSED}@x>;reason=no-answer"),),
        f"{LICENSED}::1:cfnr",
        f"{LICENSED}::1:cfnr",
    ),
}


@pytest.fixture(scope="module")
def diverting(asterisk):
    """An extension that forwards a call to another extension, which stores the channel's diversion."""
    values = ":".join(f"${{REDIRECTING({each})}}" for each in ("from-num", "orig-num", "count", "reason"))
    asterisk.command("dialplan add context diverted")
    for context, extension, actions in (
        ("diverted", "s", (f"Set(DB(diverted/${{LAB_CALL}})={values})", "Hangup(17)")),
        (
            "from-lab",
            "diverting",
            (
                "Set(__LAB_CALL=${PJSIP_HEADER(read,X-Lab-Call)})",
                f"Gosub(idtone-forward,s,1(Local/s@diverted/n,{LICENSED},incoming))",
                "Hangup(17)",
            ),
        ),
    ):
        for priority, action in enumerate(actions, 1):
            asterisk.command(f"dialplan add extension {extension},{priority},{action} into {context}")
    return asterisk


@pytest.mark.parametrize("believed", [False, True], ids=["any trunk", "a believed trunk"])
async def test_the_first_diverting_number_stays_where_the_trunk_is_believed(diverting, service, believed):
    diverting.command(f"dialplan set global IDTONE_DIVERSION_TRUNKS {'^PJSIP/' if believed else NO_TRUNKS}")
    try:
        async with lab(diverting) as phones:
            for name, (headers, *expected) in DIVERTED.items():
                placed, _ = await phones.call(Forwarding(dialled="diverting", headers=headers))
                written = diverting.command(f"database get diverted {placed.name}")
                assert written.strip() == f"Value: {expected[believed]}", name
    finally:
        diverting.command(f"dialplan set global IDTONE_DIVERSION_TRUNKS {NO_TRUNKS}")
