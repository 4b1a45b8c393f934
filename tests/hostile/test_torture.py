"""RFC 4475 against the whole: Asterisk and the service live, nothing stays behind, the next honest call is served."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

import pytest

from ..calls.hearing import assert_heard_then_connected
from ..conftest import LAB_REGISTRY
from ..lab.asterisk import Asterisk
from ..lab.lab import lab, until
from ..lab.service import Service
from .attack import Attacker, call_id
from .pbx import assert_log_is_clean
from .torture import EXTREMES, MESSAGES, Torture, cut

WAIT_S: Final = 1.5


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory) -> Iterator[tuple[Asterisk, Service]]:
    scratch = tmp_path_factory.mktemp("tortured")
    with Asterisk(installation, scratch) as asterisk, Service(asterisk, LAB_REGISTRY) as service:
        yield asterisk, service


@pytest.fixture(scope="module")
def answered(pbx) -> set[str]:
    """All are sent once; the names of those that got an answer. Every call that came of one is hung up."""
    asterisk, _ = pbx

    async def torture() -> set[str]:
        async with Attacker() as attacker:
            sent: dict[bytes, Torture] = {}
            for message in (*MESSAGES, *EXTREMES):
                data = message.encode(attacker.address, asterisk.sip_address)
                sent[call_id(data)] = message
                attacker.send(data, asterisk.sip_address)
                await asyncio.sleep(0.02)
            for data in cut(MESSAGES[0].encode(attacker.address, asterisk.sip_address)):
                attacker.send(data, asterisk.sip_address)
            await asyncio.sleep(WAIT_S)
            await asyncio.to_thread(asterisk.command, "channel request hangup all")
            await until(lambda: not asterisk.channels() and not asterisk.bridges(), "Asterisk to be empty")
            return {sent[each].name for each in attacker.heard if each in sent}

    return asyncio.run(torture())


@pytest.mark.parametrize(
    "message", [each for each in (*MESSAGES, *EXTREMES) if each.answered], ids=lambda each: each.name
)
def test_what_is_valid_is_answered(answered, message):
    assert message.name in answered


def test_no_two_messages_have_one_name():
    names = [each.name for each in (*MESSAGES, *EXTREMES)]
    assert len(names) == len(set(names))
    assert len(MESSAGES) >= 45


async def test_both_live_and_nothing_is_left_of_all(pbx, answered, references):
    asterisk, service = pbx
    assert answered
    await until(lambda: all(record["complete"] for record in service.records().values()), "the records to be complete")
    log = service.log()
    assert_log_is_clean("\n".join(line for line in log.splitlines() if "registry" not in line and "made " not in line))
    before = service.records().keys()
    async with lab(asterisk) as phones:
        placed = await phones.place()
        await phones.talk_and_hang_up(placed)
        assert_heard_then_connected(placed, "sample", references)
        ending = await phones.ending(placed)
        await phones.nothing_is_left()
    assert asterisk.process
    assert service.process
    assert (asterisk.process.poll(), service.process.poll()) == (None, None)
    await until(lambda: service.record(ending.call_id)["complete"], "the record")
    record = service.record(ending.call_id)
    assert (record["heard"], record["anomalies"]) == (True, [])
    assert service.records().keys() - before == {ending.call_id}
