"""A node's confirmations of suspensions. Each is sent once, is kept while the association's desk is down, and delays no
call.
"""

import asyncio
import json
import stat
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.core.errors import DocumentError
from idtone.core.number_spans import NumberSpan
from idtone.core.persons import AccountKnownBy, Person
from idtone.core.settings.settings import Settings
from idtone.registry.correspondence.own_suspension_report import OwnSuspensionReport
from idtone.registry.correspondence.signed_document import verified_document
from idtone.registry.suspensions.own_suspension import Act, OwnSuspensions, lifted, ordered, put_to_use
from idtone.service import suspension_confirmations
from lab.confirming_node import SIGNER, Node, registry_with_stops
from lab.registry.examples import GOOD, index_of


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr(suspension_confirmations, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(suspension_confirmations, "AGAIN_S", (0.05, 0.1))
    return Node(tmp_path)


async def test_each_stop_is_confirmed_once_with_the_calls_that_it_has_ended(node):
    running = asyncio.create_task(node.confirming.run())
    node.registry, node.ending = registry_with_stops(1, 2), {"R-1": 3}
    await node.until(1)
    node.ending = {"R-3": 1}
    for references, count in (((2, 1), 1), ((1,), 2), ((1, 3), 3)):  # in another order; one is lifted; one is new
        node.registry = registry_with_stops(*references)
        await node.until(count)
    node.ending = {}
    node.registry = registry_with_stops(1, 2, 3)  # the one that was lifted comes again
    await node.until(4)
    running.cancel()
    assert node.told() == [{"R-1": 3, "R-2": 0}, {}, {"R-3": node.ended["R-3"]}, {"R-2": 0}]
    assert node.ended["R-3"] >= 2, "a call with each generation that came into use since"
    lifts = [verified_document(octets, lambda _: [SIGNER.key]).content["lifts"] for octets in node.received]
    assert lifts == [[], ["R-2"], [], []], "the end of a suspension is confirmed, too"
    assert verified_document(node.received[0], lambda _: [SIGNER.key]).content["sha256"] == "ab" * 32


async def test_what_one_instance_has_ended_the_next_one_confirms(node, tmp_path):
    """Two hand-overs come between the ends of the calls and the confirmation. Other references are not handed over."""
    for more in (3, 4):
        node.registry, node.ended = None, Counter()
        node.start()
        running = asyncio.create_task(node.confirming.run())
        await asyncio.sleep(0.05)
        node.hangs = True
        node.registry, node.ending = registry_with_stops(1, 2), {"R-1": more, "R-9": 1}
        await node.until_it_hangs()
        running.cancel()
        await asyncio.wait({running})
    node.hangs, node.ended = False, Counter()
    node.start()
    running = asyncio.create_task(node.confirming.run())
    node.ending = {"R-1": 2}
    await node.until(1)
    running.cancel()
    await asyncio.wait({running})
    assert node.told() == [{"R-1": 9, "R-2": 0}]
    assert not [*tmp_path.rglob("ended.json")]


async def test_an_instance_that_hands_over_confirms_nothing(node, tmp_path):
    """The next instance ends the remaining calls, and confirms the ends by both instances, even if an instance between
    them had no registry.
    """
    running = asyncio.create_task(node.confirming.run())
    node.hands_over, node.ending = True, {"R-1": 1}
    node.registry = registry_with_stops(1)
    async with asyncio.timeout(60):
        while not node.ended:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    node.ending = {}
    left = node.ended["R-1"]
    for _ in range(2):
        await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.wait({running})
        assert json.loads((tmp_path / "ledger.sqlite3.confirmations" / "ended.json").read_bytes()) == {"R-1": left}
        assert node.received == node.confirming.waiting == []
        node.registry, node.ended = None, Counter()
        node.start()
        running = asyncio.create_task(node.confirming.run())
    node.hands_over, node.ending = False, {"R-1": 19}
    node.registry = registry_with_stops(1)
    await node.until(1)
    running.cancel()
    await asyncio.wait({running})
    assert node.told() == [{"R-1": left + 19}]


async def test_it_is_kept_while_the_desk_is_away_and_sent_by_the_next_process(node, caplog):
    node.away = True
    running = asyncio.create_task(node.confirming.run())
    node.registry = registry_with_stops(1)
    async with asyncio.timeout(60):
        while "not confirmed to the association yet" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    [kept] = node.confirming.waiting
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "0312345" not in kept.read_text() + (kept.parent / "confirmed.json").read_text()
    running.cancel()
    await asyncio.wait({running})
    node.start()
    node.away = False
    running = asyncio.create_task(node.confirming.run())
    await node.until(1)
    async with asyncio.timeout(60):
        while node.confirming.waiting:  # noqa: ASYNC110  it is removed after it was sent
            await asyncio.sleep(0.01)
    running.cancel()
    assert node.told() == [{"R-1": 0}]
    assert len(json.loads((kept.parent / "confirmed.json").read_text())) == 1


async def test_the_desk_hears_of_each_state_of_the_operators_own_suspensions(node):
    """The desk is informed even if the registry is unsigned."""
    at = datetime(2026, 12, 1, tzinfo=UTC)
    by = Act.of(Person(1001, "sato", AccountKnownBy.LOGIN), at)
    one = ordered([NumberSpan(81312345678, 81312345678)], "R-1", by)
    running = asyncio.create_task(node.confirming.run())
    node.own = OwnSuspensions(suspensions=(one,))  # not in force: the desk hears nothing
    await asyncio.sleep(0.05)
    one = put_to_use(one, at, True, [])
    node.own = node.own.put(one)
    await node.until(1)
    node.own = node.own.put(lifted(one, by).model_copy(update={"over": at}))
    await node.until(2)
    running.cancel()
    documents = [verified_document(octets, lambda _: [SIGNER.key]) for octets in node.received]
    reports = [OwnSuspensionReport.of(each.content) for each in documents]
    assert [(each.id, each.numbers, each.state, each.over is None) for each in reports] == [
        (one.id, 1, "in-force", True),
        (one.id, 1, "lifted", False),
    ]
    assert all("12345678" not in octets.decode() for octets in node.received)


async def test_many_stops_go_in_several_documents(node, monkeypatch):
    monkeypatch.setattr(suspension_confirmations, "STOPS_LIMIT", 2)
    node.registry = registry_with_stops(1, 2, 3, 4, 5)
    running = asyncio.create_task(node.confirming.run())
    await node.until(3)
    running.cancel()
    assert [list(each) for each in node.told()] == [["R-1", "R-2"], ["R-3", "R-4"], ["R-5"]]


async def test_without_a_signed_registry_nothing_is_kept(node):
    node.registry = index_of(GOOD)
    running = asyncio.create_task(node.confirming.run())
    await asyncio.sleep(0.05)
    running.cancel()
    assert node.received == node.confirming.waiting == []
    node.settings = Settings.model_validate({"association": {"desk": "https://desk.example"}})
    node.start()
    with pytest.raises(DocumentError, match=r"association\.member"):
        await node.confirming.run()
