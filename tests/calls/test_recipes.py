"""The dialplans of docs/how-to on a real Asterisk: what each party hears, and what the evidence contains.

The tests wait for events at the phones, never for a time.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from lab import voices
from lab.asterisk_installation import AsteriskInstallation
from lab.calls.assert_heard import LATEST_MS, assert_heard_by, assert_nothing_before_voice, heard_by_called
from lab.calls.assert_proved import run_concurrently
from lab.calls.how_to_dialplans import (
    QUESTION,
    Case,
    Pbx,
    network,
    press_after_answer,
    records_of,
    running_pbx,
    wait_for_records,
)
from lab.incoming_call import IncomingCall
from lab.lab import CALLER_NUMBER, LICENSED, SUSPENDED, PlacedCall, wait_until
from lab.phone import Redirect, Refuse, ring
from lab.sip import Uri
from lab.sound_detection import DetectedSound, hear


@pytest.fixture(scope="module")
def pbx(installation: AsteriskInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pbx]:
    with running_pbx(installation, tmp_path_factory.mktemp("recipes")) as one:
        yield one


FORWARDED = [
    Case("from-trunk", "0312345601", "09010000001", forwarding="0312345601"),  # FreePBX: a misc. destination
    Case("from-trunk", "0312345602", "09010000002", "agi", forwarding="0312345602"),  # *72
    Case("from-trunk", "0312345603", "09010000003", forwarding="0312345603"),  # an extension's phone forwards (302)
    Case("from-trunk", "0312345604", "09010000004", "agi", forwarding="0312345604"),  # Follow Me
    Case("from-trunk", "0312345605", "09010000005", forwarding="0312345605"),  # a ring group
    Case("from-trunk", "0312345607", "09010000007", "agi", forwarding="0312345607"),  # a queue
    Case("from-extern", "0312345611", "09010000011", forwarding="0312345611"),  # Wazo
    Case("lab", "queue", "09012345678", "agi"),
    Case("hunt", "100", "09012345672", "agi"),
    Case("idtone-ael", "09010000031", "09010000031"),
    Case("from-lua", "09010000032", "09010000032", "agi"),
]
OUTGOING = [Case("from-internal", "09010000008", "09010000008"), Case("default", "09010000012", "09010000012", "agi")]


async def test_the_called_party_hears_the_sound_before_the_parties_talk(pbx: Pbx, references: dict[str, Any]) -> None:
    """In the ring group, another phone also rings.

    In the hunt group, the first phone is busy. Both calls have a record.
    """
    scripts = {
        "_103": Redirect(Uri("09010000003", "127.0.0.1")),
        "_09010000095": ring,
        "_09012345671": Refuse(486, 17),
    }
    async with wait_for_records(pbx, len(FORWARDED) + 2) as records, network(pbx, **scripts) as net:
        calls = await run_concurrently(FORWARDED, net.talked)
    for case, placed in calls:
        assert_heard_by(placed, {"called": "sample"}, references)
        (record,) = records_of(records, case.number)
        assert (record["outcome"], record["reason"], record["status"]) == ("PLAY", "licence-valid", "CONNECTED"), case
        assert (record["direction"], record["interface"]) == ("incoming", case.interface), case
        # By time, in case Asterisk passes on a packet of the caller's voice at the moment of the answer (see
        # `assert_heard`).
        assert record["known_by"]["called"] in ("packets", "time"), case
        assert record["anomalies"] == [], case
        assert case.forwarding.endswith(record["numbers"]["forwarding"]["last4"]), case
    assert [record["status"] for record in records_of(records, "09010000095")] == ["CANCEL"]
    assert [record["status"] for record in records_of(records, "09012345671")] == ["BUSY"]


@pytest.mark.parametrize(("case", "presented"), [(FORWARDED[0], LICENSED), (FORWARDED[1], CALLER_NUMBER)], ids=str)
async def test_freepbx_names_the_forwarding_number_to_the_trunk(pbx: Pbx, case: Case, presented: str) -> None:
    """The number on the trunk is the trunk's own. With call forward, it is the caller's."""
    async with wait_for_records(pbx, 1), network(pbx) as net:
        placed = await net.talked(case)
    assert placed.called
    headers = placed.called.request.headers
    (diversion,) = (value for name, value in headers if name == "diversion")
    assert diversion.startswith(f"<sip:{case.forwarding}@"), "FreePBX's own header reaches the trunk: correct the page"
    assert presented in dict(headers)["from"]


def test_the_dialplans_load_without_a_warning_that_the_page_does_not_name(pbx: Pbx) -> None:
    """FreePBX's own empty context comes after the operator's."""
    complaints = [line for line in pbx.service.asterisk.complaints() if re.search(r"pbx|ael|lua|config|idtone", line)]
    assert len(complaints) == 2, complaints
    assert "'macro-dialout-trunk-predial-hook', already in use" in complaints[0]
    assert re.search(r"Unable to register extension at line \d+ of \S+/freepbx\.conf$", complaints[1])


async def test_a_user_of_the_pbx_calls_out_and_both_hear_the_sound(pbx: Pbx, references: dict[str, Any]) -> None:
    """The sound reaches the caller as early media through a Local channel.

    The evidence does not claim that it arrived.
    """
    async with wait_for_records(pbx, len(OUTGOING)) as records, network(pbx) as net:
        calls = await run_concurrently(OUTGOING, net.talked)
    for case, placed in calls:
        assert_heard_by(placed, {"called": "sample", "caller": "sample"}, references, through_local=True)
        (record,) = records_of(records, case.number)
        assert (record["direction"], record["outcome"], record["status"]) == ("outgoing", "PLAY", "CONNECTED"), case
        assert record["known_by"] == {"called": "packets"}, case
        assert record["anomalies"] == ["connected without evidence of the sound"], case


async def test_the_caller_of_a_group_does_not_hear_the_sound_and_the_evidence_does_not_claim_it(
    pbx: Pbx, references: dict[str, Any]
) -> None:
    """The settings play the sound to both parties.

    But no application passes on early media from one of several Local channels.
    """
    cases = [
        Case("ext-group", "605", "09010000005"),
        Case("ext-queues", "607", "09010000007", "agi"),
        Case("ext-findmefollow", "104", "09010000004"),
    ]
    async with wait_for_records(pbx, len(cases) + 1) as records, network(pbx, _09010000095=ring) as net:
        calls = await run_concurrently(cases, net.talked)
    for case, placed in calls:
        assert heard_by_called(placed, references["sample"]).complete, case
        assert not hear(placed.caller.packets, 0, reference=references["sample"]).present, case
        (record,) = records_of(records, case.number)
        assert (record["direction"], [*record["known_by"]], record["status"]) == (
            "outgoing",
            ["called"],
            "CONNECTED",
        ), case


def assert_sounded_then_asked(placed: PlacedCall, references: Mapping[str, Any]) -> DetectedSound:
    """Check that the called party heard the sound and then the question, and return what it heard of the question."""
    sound, question = (heard_by_called(placed, references[name]) for name in ("sample", QUESTION))
    assert sound.complete, f"{placed.name}: {sound}"
    assert sound.times == 1
    assert sound.onset_ms is not None
    assert sound.end_ms is not None
    assert sound.onset_ms <= LATEST_MS, f"{placed.name}: {sound}"
    assert question.onset_ms is not None, f"{placed.name}: {question}"
    assert question.onset_ms >= sound.end_ms, f"{placed.name}: {question}"
    return question


async def test_a_called_party_that_presses_1_hears_the_sound_then_the_question_then_the_caller(
    pbx: Pbx, references: dict[str, Any]
) -> None:
    cases = [
        Case("ask-first", "09010000061", "09010000061"),
        Case("lab", "followme", "09012345679", "agi"),
        Case("from-trunk", "0312345606", "09010000006"),
    ]
    scripts = {f"_{case.number}": press_after_answer("1", references) for case in cases} | {"_09010000096": ring}
    async with wait_for_records(pbx, len(cases) + 1) as records, network(pbx, **scripts) as net:
        calls = await run_concurrently(cases, net.talked)
    for case, placed in calls:
        question = assert_sounded_then_asked(placed, references)
        assert question.end_ms is not None
        voice_ms = heard_by_called(placed, references[QUESTION]).voice_ms
        assert voice_ms is not None
        assert voice_ms >= question.end_ms, f"{case}: talked before the key"
        (record,) = records_of(records, case.number)
        assert (record["status"], record["known_by"], record["anomalies"]) == ("CONNECTED", {"called": "packets"}, [])


async def test_a_called_party_that_presses_2_is_not_connected(pbx: Pbx, references: dict[str, Any]) -> None:
    """The evidence is the same as for a called party that confirms, because it is about the sound.

    FreePBX 17 answers the caller and ends the call: its confirmation hangs up, and sets MACRO_RESULT instead of
    GOSUB_RESULT.
    """
    cases = [
        Case("ask-first", "09010000062", "09010000062"),
        Case("from-trunk", "0312345606", "09010000006", "agi"),
    ]
    scripts = {f"_{case.number}": press_after_answer("2", references) for case in cases} | {"_09010000096": ring}
    async with wait_for_records(pbx, len(cases) + 1) as records, network(pbx, **scripts) as net:

        async def one(case: Case) -> PlacedCall:
            placed = await net.answered(case)
            assert placed.called
            await placed.called.ended()
            await placed.caller.cancel()
            return placed

        calls = await run_concurrently(cases, one)
    for case, placed in calls:
        assert not placed.caller.answered_ns or case.context == "from-trunk", case
        assert hear(placed.caller.packets, 0, voice=voices.CALLED).voice_ms is None, case
        assert_sounded_then_asked(placed, references)
        assert heard_by_called(placed, references[QUESTION]).voice_ms is None, case
        (record,) = records_of(records, case.number)
        assert (record["status"], record["known_by"], record["anomalies"]) == ("CONNECTED", {"called": "packets"}, [])


async def test_who_answers_during_the_sound_of_another_hears_its_beginning(
    pbx: Pbx, references: dict[str, Any]
) -> None:
    """Phones that ring together through Local channels ring until the first one's sound is over."""
    first, second = "09012345673", "09012345674"

    async def later(call: IncomingCall) -> None:
        call.ring()
        await wait_until(lambda: any(len(other.packets) > 5 for other in net.rung(first)), "the sound of the first")
        call.answer()

    async with wait_for_records(pbx, 2) as records, network(pbx, **{f"_{second}": later}) as net:
        placed = await net.talked(Case("together", "200", first))
        (other,) = net.rung(second)
        await other.ended()
    assert_heard_by(placed, {"called": "sample"}, references)
    assert (other.answered_ns is not None, other.ended_by) == (True, "them")
    sound = hear(other.packets, other.answered_ns or 0, reference=references["sample"], voice=voices.CALLER)
    assert sound.voice_ms is None, sound  # it may hear its sound to the end
    assert [(record["status"], [*record["known_by"]]) for record in records_of(records, first)] == [
        ("CONNECTED", ["called"])
    ]
    assert [record["status"] for record in records_of(records, second)] == ["FAILED"]


async def test_a_suspended_number_reaches_no_trunk(pbx: Pbx) -> None:
    """The caller gets the cause of the refusal, and no answer.

    FreePBX tries no further trunk, not even one without the hook (a custom trunk: 7…), and its emergency route (0991…)
    connects no other number. Wazo tries its second trunk, and the hook refuses again. Queue() tries the member again.
    """
    cases = [
        (Case("from-trunk", SUSPENDED, "09010000077"), 403, 1),
        (Case("from-internal", "709010000076", "09010000076", "agi", did=SUSPENDED), 403, 1),
        (Case("from-internal", "0991000075", "0991000075", did=SUSPENDED), 403, 1),
        (Case("ext-group", "605", "09010000005", "agi", did=SUSPENDED), 403, 1),
        (Case("ext-findmefollow", "104", "09010000004", did=SUSPENDED), 403, 1),
        (Case("from-extern", SUSPENDED, "09010000011", "agi"), 403, 2),
        (Case("lab", "suspended", "09010000078"), 480, 1),
    ]
    async with wait_for_records(pbx, 8, exactly=False) as records, network(pbx) as net:
        calls = [(net.dial(case), status) for case, status, _ in cases]
        for placed, status in calls:
            assert await placed.caller.final() == status, placed.name
        assert net.rung_at_all() == []
    for case, _, count in cases:
        of_it = records_of(records, case.number)
        assert len(of_it) == count or case.exten == "suspended", case
        for record in of_it:
            assert (record["outcome"], record["reason"], [*record["known_by"]]) == ("REFUSE", "number-suspended", []), (
                case
            )


HOSTILE = {
    "09010000081@trunk&Nix/110": "09010000081",
    "09010000082@trunk&PJSIP/09010000099@trunk2": "09010000082",
    "09010000083@trunk2&Local/110@from-internal": "09010000083",
    "09010000084;phone-context=110": "09010000084",
    "09010000085@trunk^U(x)": "09010000085",
    "09010000086%40trunk%26Nix%2F110": "09010000086",
}
"""Text that a caller dials, as Asterisk decodes it → the start of the only number that may ring."""
WAYS = ["from-internal", "default", "idtone-members", "ask-first", "idtone-ael", "from-lua"]


@pytest.mark.parametrize("context", WAYS)
async def test_a_dialled_text_is_one_destination_whatever_it_holds(pbx: Pbx, context: str) -> None:
    async with wait_for_records(pbx, len(HOSTILE)) as records, network(pbx) as net:
        for exten, number in HOSTILE.items():
            placed = net.dial(Case(context, exten, number))
            await wait_until(lambda: net.rung_at_all() or placed.caller.final_status, f"{exten}")  # noqa: B023
            await placed.caller.cancel()
            (rung,) = net.rung_at_all()
            assert re.fullmatch(rf"{number}\d*", rung), exten
            for phone in net.phones.values():
                phone.calls.clear()
    assert {record["outcome"] for record in records} == {"PLAY"}


@pytest.mark.parametrize("context", ["from-internal", "default", "suspended-members", "suspended-ask-first"])
async def test_no_dialled_text_connects_a_suspended_number(pbx: Pbx, context: str) -> None:
    async with wait_for_records(pbx, len(HOSTILE), exactly=False) as records, network(pbx) as net:
        for exten, number in HOSTILE.items():
            placed = net.dial(Case(context, exten, number, did=SUSPENDED))
            assert await placed.caller.final() == 403, exten
        assert net.rung_at_all() == []
    assert {record["reason"] for record in records} == {"number-suspended"}


@pytest.mark.parametrize("case", OUTGOING, ids=str)
async def test_the_next_trunk_is_sounded_too(pbx: Pbx, references: dict[str, Any], case: Case) -> None:
    """The first trunk is out of order."""
    async with wait_for_records(pbx, 2) as records, network(pbx) as net:
        net.phones["trunk"].behaviour = Refuse(503, 34)
        placed = await net.talked(Case(case.context, case.exten, case.number, at="trunk2"))
    assert_heard_by(placed, {"called": "sample", "caller": "sample"}, references)
    heard = sorted((record["status"], [*record["known_by"]]) for record in records)
    assert heard == [("CONNECTED", ["called"]), ("FAILED", [])]


async def test_emergency_calls_are_connected_at_once(pbx: Pbx, references: dict[str, Any]) -> None:
    """110 uses FreePBX's emergency route, which does not use the hook. The others use ordinary routes with the hook."""
    calls = (("from-internal", "110"), ("from-internal", "119"), ("default", "118"))
    async with wait_for_records(pbx, 2) as records, network(pbx) as net:
        for context, number in calls:
            assert_nothing_before_voice(await net.talked(Case(context, number, number)), references)
    for record in records:
        assert (record["outcome"], record["reason"], [*record["known_by"]]) == ("BYPASS", "emergency", [])


async def test_a_next_trunk_without_the_hook_connects_a_suspended_number(pbx: Pbx, references: dict[str, Any]) -> None:
    """This is why each trunk of a route must use the hook."""
    async with wait_for_records(pbx, 1) as records, network(pbx) as net:
        placed = await net.talked(Case("next-trunk-without-hook", "09010000055", "09010000055", at="trunk2"))
    assert_nothing_before_voice(placed, references)
    assert [record["outcome"] for record in records] == ["REFUSE"]


async def test_a_gosub_that_is_added_after_the_hooks_silences_it(pbx: Pbx, references: dict[str, Any]) -> None:
    """`idtone doctor` finds this fault. FreePBX and Wazo append their own U() to the options in a variable."""
    async with wait_for_records(pbx, 0) as records, network(pbx) as net:
        placed = await net.talked(Case("options-in-a-variable", "09010000056", "09010000056"))
    assert_nothing_before_voice(placed, references)
    assert records == []
