"""Hostile numbers, names and addresses from SIP, in dialplans that filter them and in dialplans that do not.

The hook cannot control text behind `&` in a dial string, or a closing parenthesis in the options of the operator's own
Dial(), because Asterisk reads it before the hook does.
"""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from idtone.core.calls import Direction, ForwardedCall, Outcome, Reason
from idtone.core.decision import Policy, decide
from idtone.core.numbers import NumberKind, parse, parse_or_none
from idtone.ledger.evidence.steps import CallStatus
from idtone.registry.sources import load_registry
from lab.asterisk import Asterisk
from lab.calls.assert_heard import assert_heard_then_connected
from lab.hostile.attacked_pbx import CALL_ID, DIALPLAN, Attack, Batch, Pbx, assert_log_is_clean, code_was_executed
from lab.hostile.metacharacters import META
from lab.hostile.raw_sip import Parts
from lab.lab import CALLED_NUMBER, LICENSED, SUSPENDED, Forwarding, lab
from lab.publication import LAB_REGISTRY, MEMBER
from lab.service import Service

CALLED: Final = CALLED_NUMBER.encode()
AT_ONCE: Final = 48
BATCHES: Final = 2
GOOD, BAD = LICENSED.encode(), SUSPENDED.encode()
NUMBERS: Final = [GOOD, BAD, b"+81312345677", b"110", b"184119", b"0312340000", b""]


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory) -> Iterator[Pbx]:
    scratch = tmp_path_factory.mktemp("attacked")
    with Asterisk(installation, scratch, {"extensions.conf": DIALPLAN}) as asterisk:
        asterisk.command("database put canary alive yes")
        asterisk.command(f"dialplan set global IDTONE_WAITING {2 * AT_ONCE}")
        with Service(asterisk, LAB_REGISTRY) as service:
            yield Pbx(asterisk, service)
            assert service.process
            assert service.process.poll() is None, "the service lived"
        assert asterisk.process
        assert asterisk.process.poll() is None, "Asterisk lived"


@pytest.fixture
def unharmed(pbx) -> Iterator[None]:
    """Check after each test that no canary was triggered, that no text got into an expression, and that every line of
    the log comes from this project.
    """
    logged = len(pbx.service.log())
    yield
    assert not code_was_executed(pbx.asterisk)
    assert "/canary/alive" in pbx.asterisk.command("database show canary")
    assert_log_is_clean(pbx.service.log()[logged:])


def digits(text: str, more: str = "") -> str:
    """The digits of the text, as FILTER(0-9,…) in the README's line returns them."""
    return "".join(character for character in text if character in "0123456789" + more)


REGISTRY: Final = load_registry(LAB_REGISTRY)


def expected(number: str, dialled: str, direction: Direction) -> tuple[Outcome, Reason]:
    """The outcome and reason that the rules give for the values that Asterisk's dialplan saw."""
    called = parse(dialled)
    call = ForwardedCall(
        "x",
        direction,
        parse(number),
        parse(""),
        called,
        "",
        perhaps=parse_or_none(number),
        emergency=called.kind is NumberKind.EMERGENCY,
    )
    decision = decide(call, REGISTRY, Policy(member=MEMBER), datetime.now(UTC))
    return decision.outcome, decision.reason


def assert_as_the_kernel_says(batch: Batch, one: Attack, way: str) -> None:
    """Check a call through a dialplan that filters: the decision and its number, how many phones were dialled, and the
    evidence.
    """
    found = batch.seen[one.name]
    ending = batch.endings[one.name]
    dialled = digits(found.extension)
    number = digits(found.diverted if way == "diverted" else found.caller, "+")
    direction = Direction.INCOMING if way == "diverted" else Direction.OUTGOING
    outcome, reason = expected(number, dialled, direction)
    told = f"{way} {one.parts} as {found}: {one.status} {ending}"
    assert ending.reason == reason, told
    users = [b""] if not dialled else [dialled.encode()]
    assert batch.called.users_of(one.name) == ([] if outcome is Outcome.REFUSE else users), told
    record = batch.records[ending.call_id]
    assert record["fallback"] == (outcome is Outcome.BYPASS), told
    if outcome is Outcome.BYPASS:
        assert (record["outcome"], record["reason"], record["status"]) == (outcome, reason, ending.status), told
        return
    assert (record["outcome"], record["reason"], record["direction"]) == (outcome, reason, direction), told
    assert (record["complete"], record["anomalies"], record["status"]) == (True, [], ending.status), told
    called, forwarding = parse(dialled), parse_or_none(number) or parse(number)
    assert record["numbers"]["called"]["last4"] == called.last4, told
    assert record["numbers"]["forwarding"]["last4"] == forwarding.last4, told
    assert one.status == (403 if outcome is Outcome.REFUSE else 486), told


def assert_evidence_is_of_our_words(batch: Batch) -> None:
    for call_id, record in batch.records.items():
        assert CALL_ID.fullmatch(call_id)
        assert record["direction"] in {*Direction}
        assert record["outcome"] in {*Outcome}
        assert record["reason"] in {*Reason}
        assert record["status"] in {*CallStatus}
        assert set(record["anomalies"]) <= {"an emergency call of a suspended number"}, record
        for number in record["numbers"].values():
            assert number["kind"] in {*NumberKind}
            assert re.fullmatch(r"\d{0,4}", number["last4"])


LONG: Final = 1000
"""Longest diverting number in this test, in octets. Longer ones have a test of their own below."""
EXAMPLES: Final = [
    call
    for meta in META.values()
    for call in (
        (Parts(CALLED, GOOD + meta), "hook"),
        (Parts(CALLED, BAD + meta), "hook"),
        (Parts(CALLED[:4] + meta + CALLED[4:], GOOD), "hook"),
        (Parts(b"110" + meta, BAD), "hook"),
        (Parts(CALLED, b"p", meta * 2, (BAD + meta)[:LONG], meta), "diverted"),
    )
]


async def test_the_recipe_of_the_readme_holds_against_all(pbx, unharmed):
    """Each call gets the decision for its filtered number, rings at most one phone, and has a record that agrees."""
    before = len(pbx.asterisk.complaints())
    reached = 0
    for start in range(0, len(EXAMPLES), AT_ONCE):
        calls = EXAMPLES[start : start + AT_ONCE]
        batch = await pbx.batch(calls)
        for one, (_, way) in zip(batch.attacks, calls, strict=True):
            if one.name in batch.seen:
                reached += 1
                assert_as_the_kernel_says(batch, one, way)
            else:
                assert one.status in (0, 400, 404, 413, 414, 416, 503), one
        assert_evidence_is_of_our_words(batch)
    assert reached >= 0.9 * len(EXAMPLES), f"{reached} of {len(EXAMPLES)} calls reached the dialplan"
    assert not about_the_hook(pbx.asterisk.complaints()[before:])


def about_the_hook(complaints: list[str]) -> list[str]:
    """The part of Asterisk's complaints about the hook's own lines."""
    ours = ("idtone", "ast_expr", "func_", "app_stack", "app_dial", "pbx_var", "pbx_f", "pbx.c")
    return [line for line in complaints if any(word in line for word in ours) and "taskprocessor" not in line]


TOKENS: Final = st.sampled_from([*META.values(), *NUMBERS, b"0", b"81", b"@", b"sip:", b"%0d%0a", b"x" * 70])
TEXTS: Final = st.lists(TOKENS | st.binary(max_size=3), max_size=5).map(b"".join)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Parts, str]:
    called = draw(st.sampled_from([CALLED, b"110", b"0", b"+81", b"a0", b"186118"])) + draw(TEXTS)
    caller = draw(st.sampled_from(NUMBERS)) + draw(TEXTS)
    way = draw(st.sampled_from(["hook", "diverted", "raw-numbers"]))
    return Parts(called, caller, draw(TEXTS), draw(TEXTS)[:LONG], draw(TEXTS)), way


def test_nothing_that_is_drawn_does_harm(pbx, unharmed):
    """A way that filters gets the decision of the rules. A way that does not filter still rings only the phone of the
    filtered number, and its evidence holds no text from outside.
    """
    made = 0

    @settings(
        max_examples=BATCHES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.lists(calls(), min_size=AT_ONCE, max_size=AT_ONCE))
    def attacked(drawn: list[tuple[Parts, str]]) -> None:
        nonlocal made
        batch = asyncio.run(pbx.batch(drawn))
        for one, (_, way) in zip(batch.attacks, drawn, strict=True):
            found = batch.seen.get(one.name)
            if found is None:
                continue
            made += 1
            if way == "raw-numbers":
                assert set(batch.called.users_of(one.name)) <= {digits(found.extension).encode()}, (one, found)
                assert len(batch.called.users_of(one.name)) <= 1, (one, found)
            else:
                assert_as_the_kernel_says(batch, one, way)
        assert_evidence_is_of_our_words(batch)

    attacked()
    assert made >= BATCHES * AT_ONCE / 4


async def test_a_forwarding_number_of_10_kb_is_decided_by_the_service(pbx, unharmed):
    batch = await pbx.batch([(Parts(CALLED, b"anonymous", b"", b"1" * 10_000), "diverted")])
    assert batch.endings[batch.attacks[0].name].reason == Reason.NUMBER_MALFORMED


async def test_no_spelling_of_a_suspended_number_is_connected_under_an_own_dial(pbx, unharmed):
    batch = await pbx.batch([(Parts(CALLED, BAD + meta), "own-dial") for meta in META.values()], answering=True)
    for one in batch.attacks:
        found = batch.seen[one.name]
        number = digits(found.caller, "+")
        refused = not parse(number).known or parse(number) == parse(SUSPENDED)
        assert (one.status != 200) is refused, (one, found)
        assert batch.called.users_of(one.name) == [CALLED], one


async def test_the_next_honest_call_is_heard_and_recorded(pbx, unharmed, references):
    async with lab(pbx.asterisk) as phones:
        placed, _ = await phones.call(
            Forwarding(way="hook", caller=LICENSED)
        )  # the caller's number is the presented one
        assert_heard_then_connected(placed, "sample", references)
        ending = await phones.ending(placed)
        await phones.nothing_is_left()
    record = pbx.service.record(ending.call_id)
    assert (record["sent"], record["complete"], record["anomalies"]) == (True, True, [])


SUSPENDED_CALLS: Final = {
    "plain": (Parts(CALLED, BAD), "raw-numbers"),
    "a plus": (Parts(CALLED, b"+81312345677"), "raw-numbers"),
    "a line break behind": (Parts(CALLED, BAD + b"\r\n"), "raw-numbers"),
    "a parameter behind": (Parts(CALLED, BAD + b";x=,"), "raw-numbers"),
    "a direction behind": (Parts(CALLED, BAD + b",incoming"), "raw-numbers"),
    "a NUL behind": (Parts(CALLED, BAD + b"\0x"), "raw-numbers"),
    "full width": (Parts(CALLED, "０３１２３４５６７７".encode()), "raw-numbers"),
    "an opening parenthesis behind": (Parts(CALLED, BAD + b"("), "raw-numbers"),
    "an opening bracket behind": (Parts(CALLED, BAD + b"["), "raw-numbers"),
    "a quote behind": (Parts(CALLED, BAD + b'"'), "raw-numbers"),
    "a backslash behind": (Parts(CALLED, BAD + b"\\"), "raw-numbers"),
    "an opening parenthesis in the dial string": (Parts(CALLED + b"(", BAD), "raw-dial"),
    "a quote in the dial string": (Parts(CALLED + b'"', BAD), "raw-dial"),
    "a letter behind": (Parts(CALLED, BAD + b"x"), "raw-numbers"),
    "a quote before": (Parts(CALLED, b"'" + BAD), "raw-numbers"),
    "a line in the middle": (Parts(CALLED, BAD[:4] + b"\r\n" + BAD[4:]), "raw-numbers"),
    "right to left": (Parts(CALLED, "\u202e".encode() + BAD), "raw-numbers"),
    "an emergency number as the fifth": (Parts(CALLED, BAD + b",incoming,60,110"), "raw-numbers"),
    "an emergency number behind a slash": (Parts(CALLED + b"/110", BAD), "raw-dial"),
    "an emergency number behind a colon": (Parts(CALLED + b";x=:110", BAD), "raw-dial"),
    "under an own dial": (Parts(CALLED, BAD), "raw-own-dial"),
    "a quote under an own dial": (Parts(CALLED, BAD + b'"'), "raw-own-dial"),
    "a parenthesis under an own dial": (Parts(CALLED, BAD + b")"), "raw-own-dial"),
    "an expression under an own dial": (Parts(CALLED, BAD + b'^outgoing^" = "" | "'), "raw-own-dial"),
    "more arguments under an own dial": (Parts(CALLED, BAD + b"^outgoing^x^13^agi^../notice"), "raw-own-dial"),
    "a letter under an own dial": (Parts(CALLED, BAD + b"x"), "raw-own-dial"),
    "an emergency number under an own dial": (Parts(CALLED, BAD + b"^outgoing^110"), "raw-own-dial"),
}  # fmt: skip
"""Calls of the suspended number, each in another spelling."""


UNCLEAR: Final = [
    b",outgoing,,", b',outgoing,"60,g("', b',outgoing,"60,G(canary^s^1)"', b',outgoing,"60,g,x"', b"(,outgoing,60,",
    b"[",
]  # fmt: skip
"""Arguments without a clear end."""
CHOSEN: Final = [b"x\r\n2026-11-25 09:17:08.458+09:00 info forged", b"0312340001", b"1.1-1"]
"""Call ids that an attacker chose: a line of the log, a number, another call's id."""


async def test_careless_dialplans_connect_no_suspended_number_and_no_unclear_arguments(pbx):
    logged = len(pbx.service.log())
    calls = {
        **SUSPENDED_CALLS,
        **{repr(more): (Parts(CALLED, GOOD + more), "raw-numbers") for more in UNCLEAR},
        "a plain number": (Parts(CALLED, GOOD), "raw-numbers"),
    }
    batch = await pbx.batch(list(calls.values()), answering=True)
    assert_log_is_clean(pbx.service.log()[logged:])
    *refused, plain = batch.attacks
    statuses = {name: one.status for name, one in zip(calls, refused, strict=False)}
    assert {name: status for name, status in statuses.items() if status not in (403, 603)} == {}
    record = batch.records[batch.endings[plain.name].call_id]
    assert (plain.status, record["sent"], record["anomalies"]) == (200, True, [])


async def test_no_caller_chooses_the_id_of_the_call(pbx):
    """A chosen id would get into the log and the evidence. A call with an invalid id would get no verdict."""
    logged, before = len(pbx.service.log()), pbx.service.records().keys()
    calls = [(Parts(CALLED, GOOD + b"^outgoing^" + chosen), "raw-own-dial") for chosen in CHOSEN]
    batch = await pbx.batch(calls, answering=True)
    made = batch.records.keys() - before
    assert len(made) == len(CHOSEN)
    for call_id in made:
        assert re.fullmatch(r"\d{10}\.\d+-1", call_id)
        assert batch.records[call_id]["reason"] == "number-malformed", "the argument more"
    assert_log_is_clean(pbx.service.log()[logged:])
