"""Dialplans that pass on what came from outside as it came: what the hook holds all the same.

What follows `&` in a dial string, or a closing parenthesis in the options of the operator's own Dial(), is out of its
hands: Asterisk reads that before the hook does.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Final

import pytest

from ..conftest import LAB_REGISTRY
from ..lab.asterisk import Asterisk
from ..lab.lab import CALLED_NUMBER, LICENSED, SUSPENDED
from ..lab.service import Service
from .attack import Parts
from .pbx import DIALPLAN, Pbx, assert_log_is_clean

CALLED: Final = CALLED_NUMBER.encode()
GOOD: Final = LICENSED.encode()
BAD: Final = SUSPENDED.encode()


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory) -> Iterator[Pbx]:
    scratch = tmp_path_factory.mktemp("careless")
    with (
        Asterisk(installation, scratch, {"extensions.conf": DIALPLAN}) as asterisk,
        Service(asterisk, LAB_REGISTRY) as service,
    ):
        yield Pbx(asterisk, service)


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
}  # fmt: skip
"""Each is a spelling of the suspended number."""


@pytest.fixture(scope="module")
def statuses(pbx) -> dict[str, int]:
    """How all of them ended, made at once."""
    logged = len(pbx.service.log())
    calls = list(SUSPENDED_CALLS.values())
    batch = asyncio.run(pbx.batch(calls, answering=True))
    assert_log_is_clean(pbx.service.log()[logged:])
    return {name: one.status for name, one in zip(SUSPENDED_CALLS, batch.attacks, strict=True)}


@pytest.mark.parametrize("name", SUSPENDED_CALLS)
def test_a_suspended_number_is_never_connected(statuses, name):
    assert statuses[name] in (403, 603)


async def test_a_plain_number_is_heard(pbx):
    batch = await pbx.batch([(Parts(CALLED, GOOD), "raw-numbers")], answering=True)
    (one,) = batch.attacks
    record = batch.records[batch.endings[one.name].call_id]
    assert (one.status, record["heard"], record["anomalies"]) == (200, True, [])


@pytest.mark.parametrize(
    "more",
    [
        b",outgoing,,",
        b',outgoing,"60,g("',
        b',outgoing,"60,G(canary^s^1)"',
        b',outgoing,"60,g,x"',
        b"(,outgoing,60,",
        b"[",
    ],
)
async def test_arguments_that_do_not_clearly_end_are_refused(pbx, more):
    batch = await pbx.batch([(Parts(CALLED, GOOD + more), "raw-numbers")], answering=True)
    assert batch.attacks[0].status in (403, 603)


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(b"x\r\n2026-11-25 09:17:08,458 INFO forged", id="a line of the log"),
        pytest.param(b"0312340001", id="a number"),
        pytest.param(b"1.1-1", id="another call's"),
    ],
)
async def test_no_caller_chooses_the_id_of_the_call(pbx, chosen):
    """It would get into the log and the evidence; a call with an id that can be none would get no verdict."""
    logged, before = len(pbx.service.log()), pbx.service.records().keys()
    batch = await pbx.batch([(Parts(CALLED, GOOD + b"^outgoing^" + chosen), "raw-own-dial")], answering=True)
    (call_id,) = batch.records.keys() - before
    assert re.fullmatch(r"\d{10}\.\d+-1", call_id)
    assert batch.records[call_id]["reason"] == "licence-valid"
    assert_log_is_clean(pbx.service.log()[logged:])
