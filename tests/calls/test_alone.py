"""What Asterisk does while the service is away, from what the service left with it."""

from __future__ import annotations

import pytest

from ..conftest import LAB_REGISTRY
from ..lab.lab import LICENSED, SUSPENDED, Forwarding, lab
from .hearing import assert_heard_then_connected, assert_nothing_before_voice, heard_by_called

pytestmark = pytest.mark.usefixtures("interface")


@pytest.mark.parametrize("way", ["hook", "own-dial"])
async def test_the_call_connects_after_the_notice_and_the_licensed_sound_is_not_played(away, references, way):
    async with lab(away) as phones:
        placed = await phones.place(Forwarding(LICENSED, way=way))
        await phones.talk_and_hang_up(placed)
        assert_heard_then_connected(placed, "notice", references)
        ending = await phones.ending(placed)
    if way == "hook":
        assert (ending.status, ending.reason) == ("CONNECTED", "service-unavailable")


@pytest.mark.parametrize("number", [SUSPENDED, "+81312345677", "03-1234-5677", "81312345677", "010-81-3-1234-5677"])
async def test_a_suspended_number_is_refused_all_the_same(away, number):
    async with lab(away) as phones:
        placed = await phones.place(Forwarding(number))
        ending = await phones.ending(placed)
        assert not phones.called.calls
    assert (ending.status, ending.reason, ending.cause) == ("REFUSED", "number-suspended", "21")


async def test_a_suspended_number_is_not_connected_under_an_own_dial(away, references):
    async with lab(away) as phones:
        placed = await phones.place(Forwarding(SUSPENDED, way="own-dial"))
        assert placed.caller.answered_ns is None
        assert placed.called
        await placed.called.ended()


async def test_a_suspension_that_is_not_yet_in_force_does_not_refuse(asterisk, serving, beside, references, tmp_path):
    registry = tmp_path / "registry.yaml"
    registry.write_text(LAB_REGISTRY.read_text().replace("since: 2026-03-01", "since: 2036-03-01"))
    serving(registry)
    beside.away()
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding(SUSPENDED))
        await phones.talk_and_hang_up(placed)
        assert_heard_then_connected(placed, "notice", references)


RANGES = """
suspensions:
  - {numbers: "0312345675-0312345689", since: 2026-03-01T00:00:00+09:00, reference: R-1}
  - {numbers: "031234569*", since: 2026-03-01T00:00:00+09:00, until: 2026-04-01T00:00:00+09:00, reference: R-2}
  - {number: "0312345699", since: 2026-05-01T00:00:00+09:00, reference: R-3}
"""


async def test_a_suspended_range_is_refused_and_one_whose_time_is_over_is_not(asterisk, serving, beside, tmp_path):
    registry = tmp_path / "registry.yaml"
    registry.write_text(LAB_REGISTRY.read_text().partition("\nsuspensions:")[0] + RANGES)
    serving(registry)
    beside.away()
    found = {}
    async with lab(asterisk) as phones:
        for number in ("0312345675", "+81-3-1234-5684", "0312345699"):
            found[number] = await phones.ending(await phones.place(Forwarding(number)))
        for number in ("0312345674", "0312345691"):
            placed = await phones.place(Forwarding(number))
            await phones.talk_and_hang_up(placed)
            found[number] = await phones.ending(placed)
    refused, connected = ("REFUSED", "number-suspended"), ("CONNECTED", "service-unavailable")
    assert [(ending.status, ending.reason) for ending in found.values()] == [refused] * 3 + [connected] * 2


async def test_fallback_refuse(asterisk, serving, beside):
    serving(policy="fallback: refuse, refuse_cause: 38")
    beside.away()
    async with lab(asterisk) as phones:
        placed = await phones.place()
        ending = await phones.ending(placed)
        assert not phones.called.calls
    assert (ending.status, ending.reason, ending.cause) == ("REFUSED", "service-unavailable", "38")


async def test_the_notice_is_heard_as_tones_where_its_file_is_missing(away, references):
    files = list(away.sounds.glob("notice.*"))
    assert files
    for path in files:
        path.rename(path.with_name(f"away.{path.name}"))
    try:
        async with lab(away) as phones:
            placed = await phones.place()
            await phones.talk_and_hang_up(placed)
        heard = heard_by_called(placed, references["notice"])
        assert heard.correlation >= 0.9  # Asterisk's own tones have no ramps
        assert heard.voice_ms is not None
        assert heard.end_ms is not None
        assert heard.voice_ms >= heard.end_ms
    finally:
        for path in files:
            path.with_name(f"away.{path.name}").rename(path)


@pytest.mark.parametrize("state", ["service stopped", "no registry", "corrupt registry"])
@pytest.mark.parametrize("dialled", ["110", "118", "119"])
async def test_emergency_calls_need_nothing(asterisk, serving, beside, references, tmp_path, dialled, state):
    if state == "service stopped":
        beside.away()
    else:
        registry = tmp_path / "registry.yaml"
        if state == "corrupt registry":
            registry.write_bytes(b"registry: {\x00\xff")
        serving(registry)
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding(LICENSED, dialled=dialled))
        await phones.talk_and_hang_up(placed)
        assert_nothing_before_voice(placed, references)
        assert (await phones.ending(placed)).reason == "emergency"


@pytest.mark.parametrize("way", ["hook", "own-dial"])
async def test_a_service_that_starts_without_a_registry_still_refuses_what_was_suspended(away, serving, tmp_path, way):
    """`away`: an earlier service had the registry, and left its suspensions."""
    serving(tmp_path / "none.yaml")
    async with lab(away) as phones:
        placed = await phones.place(Forwarding(SUSPENDED, way=way))
        assert placed.caller.answered_ns is None
        if way == "hook":
            assert placed.called is None
            assert (await phones.ending(placed)).reason == "number-suspended"


async def test_no_registry_is_the_notice_and_says_so(asterisk, serving, references, tmp_path):
    service = serving(tmp_path / "none.yaml")
    async with lab(asterisk) as phones:
        placed = await phones.place()
        await phones.talk_and_hang_up(placed)
        assert_heard_then_connected(placed, "notice", references)
        assert (await phones.ending(placed)).reason == "registry-missing"
    assert "none.yaml" in service.log()
