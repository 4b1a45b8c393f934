"""Requests of the hook over AGI, and their answers, with a ledger that fails on demand."""

import asyncio
import threading
from collections.abc import Mapping

import pytest

from idtone.agi import application as module
from idtone.agi.application import AgiApplication
from idtone.agi.environment import AgiRequest
from idtone.call_control.call_control import CallControl
from idtone.core.calls import Direction, Party
from idtone.core.decision import Policy
from idtone.core.errors import AgiError, LedgerError
from idtone.core.settings.settings import Interface
from idtone.ledger.evidence.call_record import record_of_steps
from lab.ari_app.memory_call_control import CALL, NONCE, OLD_CHANNEL, REQUESTED, call_control, end
from lab.call_control.memory_evidence import MEMBER

SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 — of no service
DECIDE = (SECRET, "decide", CALL, NONCE, *REQUESTED, "", "", "", "")
OWN = (SECRET, "own", *DECIDE[2:])
VERDICT = {"IDTONE_VERDICT": f"{NONCE}:PLAY:licence-valid:::sample::22"}


@pytest.fixture
def calls(sounds, evidence) -> CallControl:
    return call_control(sounds, evidence)


@pytest.fixture
def application(calls) -> AgiApplication:
    return AgiApplication(calls, SECRET)


async def ask(application: AgiApplication, entry: str, *arguments: str) -> Mapping[str, str]:
    return await application.answer(AgiRequest(entry, arguments, "1795000000.1"))


async def test_a_request_is_decided_once_and_answered_with_one_variable(application, evidence):
    for _ in range(2):
        assert await ask(application, "decide", *DECIDE) == VERDICT
    assert evidence.kinds() == ["decided"]
    record = record_of_steps("lab", evidence.steps)
    assert (record.interface, record.nonce, record.profiles) == (Interface.AGI, NONCE, {"called": "sample"})


@pytest.mark.parametrize(("arguments", "parties"), [(DECIDE, set(Party)), (OWN, {Party.CALLED})], ids=["hook", "own"])
async def test_under_the_operators_own_dial_only_the_called_party_can_hear(calls, evidence, arguments, parties):
    calls.policy = Policy(member=MEMBER, notify=dict.fromkeys(Direction, frozenset(Party)))
    await ask(AgiApplication(calls, SECRET), "decide", *arguments)
    assert record_of_steps("lab", evidence.steps).profiles.keys() == parties


WRONG = ["", "x", SECRET[:-1], f"{SECRET}0", SECRET.upper(), "日本", "0312345678"]


@pytest.mark.parametrize("secret", WRONG)
async def test_a_request_without_the_secret_gets_no_verdict_and_leaves_no_step(application, evidence, secret):
    with pytest.raises(AgiError, match="secret") as error:
        await ask(application, "decide", secret, *DECIDE[1:])
    assert "1234" not in str(error.value), "a wrong secret is not quoted"
    assert evidence.steps == []


async def test_over_a_unix_socket_the_secret_is_empty(calls):
    application = AgiApplication(calls, "")
    assert await ask(application, "decide", "", *DECIDE[1:]) == VERDICT
    with pytest.raises(AgiError, match="secret"):
        await ask(application, "decide", *DECIDE)


OF_OTHERS = [
    ("decide", DECIDE[:-1]), ("decide", (*DECIDE, "injected")), ("decide", DECIDE[1:]), ("decide", ()),
    ("decide", (SECRET, "both", *DECIDE[2:])), ("playing", (CALL, "called", "sample")), ("played", DECIDE),
    ("ended", (CALL, "CONNECTED", "16", "licence-valid", "moved")), ("ended", DECIDE), ("sounded", DECIDE), ("", ()),
    *(("decide", (*DECIDE[:2], call_id, *DECIDE[3:])) for call_id in ("", "x" * 300, f"{CALL}\n", "\ud800")),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "arguments"), OF_OTHERS, ids=lambda each: ascii(each)[:20])
async def test_a_request_that_the_hook_does_not_send_asks_for_another_export(application, evidence, entry, arguments):
    with pytest.raises(AgiError, match="run `idtone dialplan export` again"):
        await ask(application, entry, *arguments)
    assert evidence.steps == []


async def test_another_request_for_a_known_call_gets_no_verdict(application, calls, evidence):
    await ask(application, "decide", *DECIDE)
    other = (*DECIDE[:3], "999999999999", *DECIDE[4:])
    assert await ask(application, "decide", *other) == {}
    end(calls, CALL, NONCE)
    for again in (DECIDE, other):
        assert await ask(application, "decide", *again) == {}
    assert evidence.kinds() == ["decided", "ended"]


async def test_a_look_up_in_a_locked_ledger_delays_no_other_call(application, calls):
    locked = threading.Event()
    calls.recorded = lambda call_id: not locked.wait(60)
    old = f"{OLD_CHANNEL}-1"
    waiting = asyncio.create_task(ask(application, "decide", SECRET, "decide", old, *DECIDE[3:]))
    await asyncio.sleep(0.05)
    assert await ask(application, "decide", *DECIDE) == VERDICT
    assert not waiting.done()
    locked.set()
    assert await waiting == VERDICT


async def test_a_ledger_that_cannot_be_read_is_named(application, calls):
    def fail(call_id: str) -> bool:
        raise LedgerError("the disk is damaged")

    calls.recorded = fail
    with pytest.raises(AgiError, match="cannot be decided: the disk is damaged"):
        await ask(application, "decide", SECRET, "decide", f"{OLD_CHANNEL}-1", *DECIDE[3:])


async def test_the_verdict_comes_only_when_the_decision_survives_the_service(application, evidence):
    """After the verdict, Asterisk plays the sound and connects even if the service dies."""
    evidence.stuck = True
    answering = asyncio.create_task(ask(application, "decide", *DECIDE))
    await asyncio.sleep(0.05)
    assert not answering.done()
    assert evidence.hurried == 1
    evidence.commit()
    assert await answering == VERDICT


async def test_a_decision_that_cannot_be_saved_delays_a_call_only_briefly(application, evidence, monkeypatch):
    monkeypatch.setattr(module, "KEPT_WITHIN_S", 0.02)
    evidence.stuck = True
    async with asyncio.timeout(60):
        assert await ask(application, "decide", *DECIDE) == VERDICT


async def test_a_failing_ledger_does_not_hold_the_verdict_back(application, evidence, caplog):
    evidence.error = LedgerError("the disk is full")
    assert await ask(application, "decide", *DECIDE) == VERDICT
    assert "could not be written" in caplog.text


async def test_a_service_that_is_about_to_stop_gives_no_verdict(application, calls, evidence):
    calls.retiring = True
    assert await ask(application, "decide", *DECIDE) == {}
    assert evidence.kinds() == []


async def test_no_number_is_logged(application, evidence, caplog):
    caplog.set_level("DEBUG")
    for arguments in (DECIDE, (*DECIDE[:5], "0312345677", *DECIDE[6:])):
        await ask(application, "decide", *arguments)
    for number in ("0312345678", "1234-5678", "0312345677", "0312340000", "05012345678"):
        assert number not in caplog.text
        assert number not in repr(evidence.steps)
