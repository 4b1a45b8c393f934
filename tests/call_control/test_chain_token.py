"""The token between the nodes of a fleet: the values that it protects, and how other tokens are treated."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone import dialplan
from idtone.call_control.call_control import CallControl
from idtone.call_control.chain_token import ChainToken, TokenResult, judge, mac_of, token_text
from idtone.call_control.fleet_chain import FleetChain
from idtone.call_control.journal_lines import read
from idtone.call_control.request import Request
from idtone.core.calls import Reason, RemoteCall, Skip
from idtone.core.decision import Chain, Policy
from idtone.core.numbers import parse
from idtone.core.settings.settings import Interface
from lab.call_control import hook_lines
from lab.call_control.memory_evidence import CALLED, CALLER, LICENSED, MEMBER, NOW, REQUEST, UNKNOWN, id_of, registry

KEY = bytes(range(32))
CALL = RemoteCall("pbx-東京.1", "pbx-1793491200.4-1")
NOW_S = int(NOW.timestamp())
DIALLED = parse(CALLED)


def token(at_s: int = NOW_S, call: RemoteCall = CALL, key: bytes = KEY, dialled: str = LICENSED) -> str:
    return token_text(at_s, call, mac_of(key, at_s, call, parse(dialled)))


@given(
    st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12),
    st.from_regex(r"\A([a-z.0-9-]{1,9}-)?[0-9]{10}\.[0-9]{1,4}-[1-9]\Z"),
    st.integers(10**9, 10**10 - 1),
)
def test_what_is_made_is_read(node, call_id, at_s):
    call = RemoteCall(node, call_id)
    read_back = ChainToken.read(token(at_s, call))
    assert read_back == ChainToken(at_s, node, call_id, mac_of(KEY, at_s, call, parse(LICENSED)))
    assert read_back.call == call


@given(st.text(max_size=80) | st.from_regex(r"\Av1\.[0-9.]{10,14}[A-Za-z0-9.%-]{5,60}\Z"))
def test_any_text_is_read_or_refused(text):
    found = ChainToken.read(text)
    assert found is None or token_text(found.time_s, found.call, found.mac).split(".")[-1] == found.mac


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (token(), TokenResult.ACCEPTED),
        (token(NOW_S - 30), TokenResult.ACCEPTED),
        (token(NOW_S + 30), TokenResult.ACCEPTED),
        (token(NOW_S - 31), TokenResult.EXPIRED),
        (token(NOW_S + 31), TokenResult.EXPIRED),
        (token(key=bytes(32)), TokenResult.FORGED),
        (token(dialled=UNKNOWN), TokenResult.FORGED),
        (token().replace("v1.17", "v1.16"), TokenResult.FORGED),
        (token().replace(".4-1.", ".4-2."), TokenResult.FORGED),
        (token().replace("%E6%9D%B1", "%E8%A5%BF"), TokenResult.FORGED),
    ],
)
def test_what_a_token_binds(text, result):
    found = ChainToken.read(text)
    assert found
    assert judge(found, KEY, (parse(UNKNOWN + "1"), parse(LICENSED)), NOW) is result


def test_the_endpoints_of_a_dial_string():
    assert dialplan.endpoints("PJSIP/0312345678@pbx-b&Local/1@x/n&PJSIP/phone/sip:1@host & pjsip/other") == {
        "pbx-b",
        "phone",
        "other",
    }
    assert dialplan.endpoints("PJSIP/03@12@trunk") == {"trunk"}
    assert dialplan.endpoints("") == set()


# -- in call control --------------------------------------------------------------------------------------------------


@pytest.fixture
def control(sounds, evidence) -> CallControl:
    return made(sounds, evidence)


def made(sounds, evidence, policy: Policy | None = None) -> CallControl:
    fleet = FleetChain(KEY, "pbx-2", frozenset({"pbx-b"}))
    return CallControl(
        registry=registry,
        policy=policy or Policy(member=MEMBER),
        sounds=sounds,
        made=sounds,
        evidence=evidence,
        fleet=fleet,
        now=lambda: NOW,
    )


TO_B = replace(REQUEST, dial_string="PJSIP/05012345670@pbx-b", asked_s=NOW_S + 0.25)


def verdict(control: CallControl, request: Request) -> dialplan.Verdict:
    call = control.decide(request, Interface.ARI)
    assert call
    return control.verdict(call)


def test_only_an_announced_call_to_another_node_gets_a_token(control):
    ours = RemoteCall("pbx-2", REQUEST.call_id)
    assert verdict(control, TO_B).chain == mac_of(KEY, NOW_S, ours, DIALLED)
    for number, request in enumerate(
        (
            replace(TO_B, dial_string="PJSIP/05012345670@carrier"),
            replace(TO_B, called="201"),  # it cannot be bound to a number
            replace(TO_B, called="110"),
            replace(TO_B, asked_s=None),
            replace(TO_B, own_dial=True),
            replace(TO_B, number="0312345677"),  # it is refused
        ),
        11,
    ):
        assert verdict(control, replace(request, call_id=id_of(number))).chain == "", number


def test_a_token_makes_the_call_announced_and_the_record_names_the_other_call(control, evidence):
    announced = verdict(control, replace(TO_B, chain_token=token(dialled=CALLED)))
    assert (announced.files, len(announced.chain)) == ({}, 12)  # the chain continues
    inside = replace(REQUEST, call_id=id_of(2), chain_token=token())
    assert verdict(control, inside).chain == dialplan.CHAINED
    for record in map(evidence.record, (TO_B.call_id, inside.call_id)):
        assert (record.skip, record.chain_node, record.chain_call) == (Skip.ANNOUNCED, *CALL)
    leg = verdict(control, replace(REQUEST, call_id=id_of(3), chain=inside.call_id))
    assert (leg.files, leg.chain) == ({}, "")
    assert control.fleet
    assert control.fleet.results == {TokenResult.ACCEPTED: 2}


async def test_a_token_no_longer_counts_when_a_call_with_it_was_connected_and_has_ended(control, evidence):
    forks = [replace(REQUEST, call_id=id_of(number), chain_token=token()) for number in (1, 2, 3)]
    assert not verdict(control, forks[0]).files
    control.record_journal_line(read(hook_lines.end_line(id_of(1), status="BUSY")))
    assert not verdict(control, forks[1]).files  # another leg of the same Dial()
    control.record_journal_line(read(hook_lines.end_line(id_of(2))))
    assert verdict(control, forks[2]).files
    assert control.fleet
    assert control.fleet.results == {TokenResult.ACCEPTED: 2, TokenResult.REPEATED: 1}


async def test_a_token_that_does_not_count_is_logged_without_a_number(control, caplog):
    for number, text in enumerate(
        (token(NOW_S - 99), token(key=bytes(32)), "x", token(call=RemoteCall(CALLER, "a-1"))), 1
    ):
        assert verdict(control, replace(REQUEST, call_id=id_of(number), number=UNKNOWN, chain_token=text)).files
    assert [record.getMessage().partition(": ")[2].partition(":")[0] for record in caplog.records] == [
        "from node pbx-東京.1",
        "from an unknown node",
        "from an unknown node",
    ]
    assert CALLER not in caplog.text


def test_a_call_that_comes_back_follows_the_call_itself(control):
    """The time when the sound of that call ended is known on this node."""
    ours = RemoteCall("pbx-2", TO_B.call_id)
    first = verdict(control, TO_B)
    back = replace(REQUEST, number=CALLED, chain_token=token_text(NOW_S, ours, first.chain))
    assert not verdict(control, replace(back, call_id=id_of(2))).files
    control.record_journal_line(read(hook_lines.sound_line(TO_B.call_id, sent=22)))
    assert verdict(control, replace(back, call_id=id_of(3))).files


def test_where_each_forwarding_is_to_sound_a_token_changes_nothing_but_the_record(sounds, evidence):
    control = made(sounds, evidence, Policy(member=MEMBER, chain=Chain.EACH))
    assert verdict(control, replace(REQUEST, chain_token=token())).files
    record = evidence.record(REQUEST.call_id)
    assert (record.skip, record.chain_node) == (None, CALL.node)


def test_a_verdict_without_room_for_the_token_has_none(sounds, evidence, caplog):
    long = {"sample": replace(sounds["sample"], stem=sounds["sample"].stem.with_name("s" * 30))}
    assert len(verdict(made(long, evidence), TO_B).extension) <= dialplan.EXTENSION_LIMIT
    assert "no room for the chain token" in caplog.text


def test_each_verdict_with_the_notice_has_room_for_a_token():
    both = {dialplan.CALLED: "notice", dialplan.CALLER: "notice"}
    refused = {
        Reason.NUMBER_OF_ANOTHER_CUSTOMER,
        Reason.NUMBER_NEVER_ORIGINATES,
        Reason.PRESENTED_NUMBER_DIFFERS,
    }
    for reason in set(Reason) - refused:
        longest = dialplan.Verdict("1" * 12, "NOTICE", reason, None, True, both, 99, "x" * 12)
        assert len(longest.extension) <= dialplan.EXTENSION_LIMIT


def test_a_restarted_service_knows_where_a_call_came_from(control, sounds, evidence):
    verdict(control, replace(REQUEST, chain_token=token()))
    later = made(sounds, evidence)
    later.restore(evidence.calls_in_progress())
    call = later.find(REQUEST.call_id)
    assert call
    assert (call.chained_from, call.announces) == (CALL, True)
