"""Asterisk while the service is down, with the files that the service left for it, over both interfaces."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.call_control.fallback_conf import render
from idtone.call_control.fallback_keeper import write_durably
from idtone.core.calls import Suspension
from idtone.core.number_spans import NumberSpan
from idtone.dialplan import FALLBACK_FILE
from lab.asterisk import IDTONE
from lab.calls.assert_heard import (
    assert_heard_by,
    assert_heard_then_connected,
    assert_nothing_before_voice,
    heard_by_called,
)
from lab.calls.assert_proved import over_both_interfaces, run_concurrently
from lab.lab import LICENSED, SUSPENDED, Forwarding, lab, wait_until
from lab.nightly_tests import rest_in_breadth
from lab.publication import LAB_REGISTRY
from lab.registry.trust.association import Association, Machine
from lab.service import Service

REFUSED, NOTICED = ("REFUSED", "number-suspended"), ("CONNECTED", "service-unavailable")


async def test_the_call_connects_after_the_notice_and_the_licensed_sound_is_not_played(fallback_pbx, references):
    cases = over_both_interfaces(*(Forwarding(LICENSED, way=way) for way in ("hook", "own-dial")))
    async with lab(fallback_pbx) as phones:
        for forwarding, (placed, ending) in await run_concurrently(cases, phones.call):
            assert_heard_then_connected(placed, "notice", references)
            if forwarding.way == "hook":
                assert (ending.status, ending.reason) == NOTICED


async def test_a_suspended_number_is_refused_all_the_same(fallback_pbx):
    numbers = (SUSPENDED, "+81312345677", "03-1234-5677", "81312345677", "010-81-3-1234-5677")
    async with lab(fallback_pbx) as phones:
        for forwarding, (_, ending) in await run_concurrently(
            over_both_interfaces(*map(Forwarding, numbers)), phones.call
        ):
            assert (ending.status, ending.reason, ending.cause) == (*REFUSED, "21"), forwarding
        assert not phones.called.calls


async def test_a_suspended_number_is_not_connected_under_an_own_dial(fallback_pbx):
    async with lab(fallback_pbx) as phones:
        for forwarding in over_both_interfaces(Forwarding(SUSPENDED, way="own-dial")):
            placed, _ = await phones.call(forwarding)
            assert placed.caller.answered_ns is None
            assert placed.called
            await placed.called.ended()


SUSPENSIONS = """
suspensions:
  - {numbers: "0312345675-0312345689", since: 2026-03-01T00:00:00+09:00, reference: R-1}
  - {numbers: "031234569*", since: 2026-03-01T00:00:00+09:00, until: 2026-04-01T00:00:00+09:00, reference: R-2}
  - {number: "0312345699", since: 2026-05-01T00:00:00+09:00, reference: R-3}
  - {number: "0312345700", since: 2036-03-01T00:00:00+09:00, reference: R-4}
"""
FOUND = {
    "0312345675": REFUSED,
    "+81-3-1234-5684": REFUSED,
    "0312345699": REFUSED,
    "0312345674": NOTICED,
    "0312345691": NOTICED,
    "0312345700": NOTICED,
}


async def test_what_is_suspended_now_is_refused_and_nothing_else(
    asterisk, serving, shared_service, references, tmp_path
):
    """Numbers and ranges that are suspended, whose suspension is over, or whose suspension has not begun."""
    registry = tmp_path / "registry.yaml"
    registry.write_text(LAB_REGISTRY.read_text().partition("\nsuspensions:")[0] + SUSPENSIONS)
    serving(registry)
    shared_service.stop()
    async with lab(asterisk) as phones:
        calls = await run_concurrently(over_both_interfaces(*map(Forwarding, FOUND)), phones.call)
    for forwarding, (placed, ending) in calls:
        assert (ending.status, ending.reason) == FOUND[forwarding.number], forwarding
        if FOUND[forwarding.number] == NOTICED:
            assert_heard_then_connected(placed, "notice", references)


async def test_no_call_is_decided_by_the_file_that_was_before(fallback_pbx, shared_service):
    """Asterisk reads a changed file for one call, and until then decides all other calls by the old content.

    This file is long, so reading it takes time.
    """
    stopped = Suspension(datetime(2026, 3, 1, tzinfo=UTC))
    numbers = (int(f"81{LICENSED[1:]}"), *range(8150_0000_0000, 8150_0000_0000 + 200_000, 2))
    async with lab(fallback_pbx) as phones:
        _, before = await phones.call()
        write_durably(fallback_pbx.sounds, render([(NumberSpan(each, each), stopped) for each in numbers], None))
        try:
            for forwarding, (_, ending) in await run_concurrently(
                over_both_interfaces(*[Forwarding()] * 3), phones.call
            ):
                assert (ending.status, ending.reason) == REFUSED, forwarding
        finally:
            shared_service.stop()  # the next service writes the file
    assert (before.status, before.reason) == NOTICED


DAMAGES: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut by an octet of its last line": lambda path: os.truncate(path, path.stat().st_size - 2),
    "emptied": lambda path: os.truncate(path, 0),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}
MARKS = dict.fromkeys(("cut", "emptied"), pytest.mark.nightly) | {"a folder": pytest.mark.breadth}
"""Pytest marks for ways to damage sound files. A file with one octet missing is the hardest to notice."""


@pytest.mark.parametrize("damage", [pytest.param(each, marks=MARKS.get(each, ())) for each in (*DAMAGES, "unreadable")])
async def test_a_service_that_runs_mends_the_file_of_suspended_numbers(asterisk, service, shared_service, damage):
    path = asterisk.sounds / FALLBACK_FILE
    whole, already = path.read_bytes(), len(service.log())

    def mended() -> bool:
        return path.is_file() and path.stat().st_mode & 0o777 == 0o640 and path.read_bytes() == whole

    DAMAGES.get(damage, lambda path: path.chmod(0))(path)
    await wait_until(mended, "the file to be there", 5)
    await wait_until(lambda: f"{path} was removed or changed by another" in service.log()[already:], "the log", 5)
    shared_service.stop()
    async with lab(asterisk) as phones:
        cases = over_both_interfaces(Forwarding(SUSPENDED), Forwarding(LICENSED))
        for forwarding, (_, ending) in await run_concurrently(cases, phones.call):
            expected = REFUSED if forwarding.number == SUSPENDED else NOTICED
            assert (ending.status, ending.reason) == expected, forwarding


@pytest.mark.parametrize("damage", [pytest.param(each, marks=MARKS.get(each, ())) for each in DAMAGES])
async def test_without_the_file_every_call_but_an_emergency_is_refused(fallback_pbx, shared_service, damage):
    """Any number may be suspended while the file is missing. Asterisk read the complete file before."""
    unknown = ("REFUSED", "suspensions-unknown", "21")
    cases = over_both_interfaces(Forwarding(LICENSED), Forwarding(SUSPENDED))
    async with lab(fallback_pbx) as phones:
        await run_concurrently(cases, phones.call)
        DAMAGES[damage](fallback_pbx.sounds / FALLBACK_FILE)
        try:
            for forwarding, (_, ending) in await run_concurrently(cases, phones.call):
                assert (ending.status, ending.reason, ending.cause) == unknown, forwarding
            for forwarding in over_both_interfaces(Forwarding(LICENSED, way="own-dial")):
                placed, _ = await phones.call(forwarding)
                assert placed.caller.answered_ns is None
            _, emergency = await phones.call(Forwarding(SUSPENDED, dialled="110"))
            assert (emergency.status, emergency.reason) == ("CONNECTED", "emergency")
        finally:
            shared_service.stop()  # the next service writes the file
    record = shared_service.serving().record(ending.call_id)
    assert (record["outcome"], record["reason"]) == ("REFUSE", "suspensions-unknown")
    assert (record["fallback"], record["complete"], record["anomalies"]) == (True, True, [])


@rest_in_breadth("trust", ["signed", "unsigned"])
async def test_a_number_that_is_suspended_while_the_service_is_down_is_refused(
    fallback_pbx, shared_service, tmp_path, trust
):
    """`idtone registry update` notifies Asterisk. The package's timer runs this command in the same way."""
    members = LAB_REGISTRY.read_text().partition("\nsuspensions:")[0]
    suspensions = f"suspensions:\n  - {{number: '{LICENSED}', since: 2026-03-01T00:00:00+09:00, reference: R-1}}\n"
    changed = {"IDTONE_REGISTRY_SOURCE": str(tmp_path / "registry.yaml"), "IDTONE_REGISTRY_TRUST": "unsigned"}
    if trust == "unsigned":
        (tmp_path / "registry.yaml").write_text(f"{members}\n{suspensions}")
    else:
        association = Association(tmp_path / "association")
        association.write(f"{members}\n", f"issued: 2026-11-02T00:00:00+09:00\n{suspensions}")
        association.begin()
        machine = Machine(association, tmp_path)
        changed = {
            "IDTONE_REGISTRY_SOURCE": machine.source,
            "IDTONE_REGISTRY_TRUST": str(machine.trust),
            "IDTONE_REGISTRY_CACHE": str(machine.cache),
        }
        fallback_pbx.site.give(machine.cache, "idtone", 0o700)
    service = Service(fallback_pbx, tmp_path / "registry.yaml")
    command = service.as_itself([IDTONE, "registry", "update", "--quiet", "-c", service.settings])
    async with lab(fallback_pbx) as phones:
        _, before = await phones.call()
        await asyncio.to_thread(subprocess.run, command, check=True, env=os.environ | changed)
        for forwarding, (_, ending) in await run_concurrently(over_both_interfaces(Forwarding(LICENSED)), phones.call):
            assert (ending.status, ending.reason) == REFUSED, forwarding
    shared_service.stop()  # the next service writes the file
    assert (before.status, before.reason) == NOTICED


async def test_fallback_refuse(asterisk, serving, shared_service):
    serving(policy="fallback: refuse, refuse_cause: 38")
    shared_service.stop()
    async with lab(asterisk) as phones:
        for forwarding in over_both_interfaces(Forwarding()):
            _, ending = await phones.call(forwarding)
            assert (ending.status, ending.reason, ending.cause) == ("REFUSED", "service-unavailable", "38")
        assert not phones.called.calls


async def test_who_hears_the_notice_stands_in_the_hook(asterisk, serving, shared_service, references):
    """The hook's settings name the party for each direction.

    If `caller_hears` is `answered`, the caller's leg is answered before.
    """
    serving(policy="notify: {incoming: both, outgoing: caller}, caller_hears: answered")
    shared_service.stop()
    hearing = {"incoming": ("called", "caller"), "outgoing": ("caller",)}
    async with lab(asterisk) as phones:
        cases = over_both_interfaces(*(Forwarding(LICENSED, direction) for direction in hearing))
        calls = await run_concurrently(cases, lambda forwarding: phones.call(forwarding, 1.0))
    for forwarding, (placed, ending) in calls:
        assert (ending.status, ending.reason) == NOTICED
        assert_heard_by(placed, dict.fromkeys(hearing[forwarding.direction], "notice"), references)
        assert 183 not in [status for status, _ in placed.caller.provisional]


async def test_the_notice_is_heard_as_tones_where_its_file_is_missing(fallback_pbx, references):
    files = list(fallback_pbx.sounds.glob("notice.*"))
    assert files
    for path in files:
        path.rename(path.with_name(f"away.{path.name}"))
    try:
        async with lab(fallback_pbx) as phones:
            calls = await run_concurrently(over_both_interfaces(Forwarding()), phones.call)
    finally:
        for path in files:
            path.with_name(f"away.{path.name}").rename(path)
    for _, (placed, _) in calls:
        heard = heard_by_called(placed, references["notice"])
        assert heard.correlation >= 0.9  # Asterisk's own tones have no ramps
        assert heard.voice_ms is not None
        assert heard.end_ms is not None
        assert heard.voice_ms >= heard.end_ms


@pytest.mark.parametrize("state", ["service stopped", "no registry", "corrupt registry"])
async def test_emergency_calls_need_nothing(asterisk, serving, shared_service, references, tmp_path, state):
    if state == "service stopped":
        shared_service.stop()
    else:
        registry = tmp_path / "registry.yaml"
        if state == "corrupt registry":
            registry.write_bytes(b"registry: {\x00\xff")
        serving(registry)
    cases = over_both_interfaces(*(Forwarding(LICENSED, dialled=dialled) for dialled in ("110", "118", "119")))
    async with lab(asterisk) as phones:
        for _, (placed, ending) in await run_concurrently(cases, phones.call):
            assert_nothing_before_voice(placed, references)
            assert ending.reason == "emergency"


async def test_a_service_that_starts_without_a_registry_still_refuses_what_was_suspended(
    fallback_pbx, serving, references, tmp_path
):
    """An earlier service (`fallback_pbx`) had the registry and left its suspensions. Other numbers get the notice."""
    service = serving(tmp_path / "none.yaml")
    cases = over_both_interfaces(Forwarding(), *(Forwarding(SUSPENDED, way=way) for way in ("hook", "own-dial")))
    async with lab(fallback_pbx) as phones:
        for forwarding, (placed, ending) in await run_concurrently(cases, phones.call):
            if forwarding.number == LICENSED:
                assert_heard_then_connected(placed, "notice", references)
                assert ending.reason == "registry-missing"
                continue
            assert placed.caller.answered_ns is None
            if forwarding.way == "hook":
                assert placed.called is None
                assert ending.reason == "number-suspended"
    assert "none.yaml" in service.log()
