"""The connection between the service and Asterisk breaks or hangs, or Asterisk itself is killed, frozen or reloaded."""

import asyncio
import base64
import contextlib
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from idtone.ari_app.connection import connect
from lab.asterisk import Asterisk, free_ports
from lab.calls.assert_heard import assert_heard_then_connected
from lab.calls.assert_proved import wait_for_answer
from lab.calls.connected_call import DEADLINE_S
from lab.calls.cuttable_connection import cuttable_service
from lab.calls.fault_at_every_step import finish_call
from lab.chosen_asterisk import transports
from lab.lab import Lab, PlacedCall, lab, wait_until
from lab.nightly_tests import one_of_each, rest_at_night
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.sound_detection import identify

NOTICED_WITHIN_S = 2.0
"""Seconds until a dead connection is noticed: one and a half heartbeat intervals, and a margin."""


class Other(Service):
    """A second service on the same Asterisk, with its own files."""

    def __post_init__(self) -> None:
        super().__post_init__()
        scratch = self.asterisk.scratch
        self.settings, self.log_file = scratch / "other.yaml", scratch / "other.log"
        self.ledger = scratch / "other" / "ledger.sqlite3"
        (self.agi_port,) = free_ports(1)

    def _write_settings(self) -> None:
        super()._write_settings()
        text = self.settings.read_text()
        self.settings.write_text(text.replace(f":{self.asterisk.agi_port}'", f":{self.agi_port}'"))


def ready(service: Service) -> int:
    return service.log().count("ready: Asterisk")


async def sounding(phones: Lab) -> PlacedCall:
    """A call in the middle of its sound."""
    placed = phones.dial()
    await wait_for_answer(phones, placed)
    return placed


async def talked(phones: Lab, *calls: PlacedCall) -> None:
    for placed in calls:
        await finish_call(phones, placed)
    await phones.nothing_is_left()


@pytest.mark.alone
@pytest.mark.parametrize(("how", "transport"), one_of_each(["cut", "swallow"], transports(), {"swallow"}))
async def test_a_line_that_breaks_is_noticed_and_costs_no_licensed_sound(
    asterisk, shared_service, references, how, transport
):
    """The connection breaks in the middle of a sound, while another caller's request waits.

    Both called parties hear the complete licensed sound once.
    """
    shared_service.stop()
    async with cuttable_service(asterisk, transport) as (service, detour), lab(asterisk) as phones:
        before = ready(service)
        playing = await sounding(phones)
        broken_s = time.monotonic()
        getattr(detour, how)()
        asking = phones.dial()
        await wait_until(lambda: ready(service) > before, "the service to be ready again")
        took_s = time.monotonic() - broken_s
        await talked(phones, playing, asking)
        print(f"\n{how}, {transport}: ready again after {took_s:.2f} s")
        assert took_s < NOTICED_WITHIN_S
        assert (await phones.ending(asking)).reason == "licence-valid"
        assert_heard_then_connected(asking, "sample", references)
        assert playing.caller.final_status == 200
        record = service.record((await phones.ending(playing)).call_id)
    assert_heard_then_connected(playing, "sample", references)
    assert (record["sent"], record["complete"], record["anomalies"]) == (True, True, [])


@contextmanager
def pbx_with_service(installation, folder: Path) -> Iterator[tuple[Asterisk, Service]]:
    with Asterisk(installation, folder / "pbx") as asterisk, Service(asterisk, LAB_REGISTRY) as service:
        yield asterisk, service


async def ari_is_back(asterisk: Asterisk) -> None:
    """Wait until ARI answers again. Raises TimeoutError."""
    credentials = base64.b64encode(f"idtone:{asterisk.ari_password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    async with asyncio.timeout(60), ClientSession(headers=headers) as session:
        while True:
            with contextlib.suppress(ClientError):
                async with session.get(f"{asterisk.ari_url}/asterisk/info") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.01)


@pytest.mark.nightly
async def test_asterisk_is_killed_and_started_again(installation, tmp_path, references):
    """The service is ready within a second after ARI.

    The evidence claims nothing about the time when the service could not see Asterisk.
    """
    with pbx_with_service(installation, tmp_path) as (asterisk, service):
        async with lab(asterisk) as phones:
            lost = await sounding(phones)
            await asyncio.sleep(0.6)
            assert asterisk.process
            asterisk.process.kill()
            asterisk.process.wait()
            await asyncio.sleep(2)  # time enough to become slow
            before = ready(service)
            starting = asyncio.create_task(asyncio.to_thread(asterisk.start))
            await ari_is_back(asterisk)
            back_s = time.monotonic()
            await wait_until(lambda: ready(service) > before, "the service to be ready again")
            took_s = time.monotonic() - back_s
            await starting
            served, _ = await phones.call()
            print(f"\nready {took_s:.2f} s after ARI was back")
            assert took_s < 1
            assert_heard_then_connected(served, "sample", references)
            ending = await phones.ending(served)
            await lost.caller.leave()
        records: dict[str, Any] = {}

        async def told() -> bool:
            records.update(await asyncio.to_thread(service.records))
            return any("interrupted" in record["times"] for record in records.values())

        await wait_until(told, "the call that Asterisk took with it")
        assert records[ending.call_id]["complete"]
        (interrupted,) = (one for name, one in records.items() if name != ending.call_id)
        assert (interrupted["sent"], interrupted["status"], interrupted["complete"]) == (True, None, False)


@pytest.mark.nightly
async def test_asterisk_stands_still_for_three_seconds(asterisk, service, references):
    async with lab(asterisk) as phones:
        talking = await phones.place()
        asterisk.process.send_signal(signal.SIGSTOP)
        try:
            asking = phones.dial()
            await asyncio.sleep(3)
        finally:
            asterisk.process.send_signal(signal.SIGCONT)
        back_s = time.monotonic()
        await asking.caller.final()
        phones.pair(asking)
        print(f"\nconnected {time.monotonic() - back_s:.2f} s after Asterisk went on")
        assert time.monotonic() - back_s < DEADLINE_S + 1
        await talked(phones, asking, talking, await phones.place())
        assert_heard_then_connected(asking, "sample", references)
        call_ids = [(await phones.ending(placed)).call_id for placed in (talking, asking)]
    records = service.records()
    for call_id in call_ids:
        assert (records[call_id]["sent"], records[call_id]["status"]) == (True, "CONNECTED")


async def test_ari_reloads_in_the_middle_of_a_sound(asterisk, service, references):
    async with lab(asterisk) as phones:
        playing = await sounding(phones)
        await asyncio.to_thread(asterisk.command, "module reload res_ari.so")
        after = await phones.place()
        await talked(phones, playing, after)
        for placed in (playing, after):
            assert_heard_then_connected(placed, "sample", references)
            ending = await phones.ending(placed)
            assert ending.status == "CONNECTED"
            record = service.record(ending.call_id)
            assert (record["sent"], record["complete"], record["anomalies"]) == (True, True, [])


async def test_somebody_else_takes_the_application_for_a_moment(asterisk, service, references):
    before = ready(service)
    async with lab(asterisk) as phones:
        playing = await sounding(phones)
        async with connect(asterisk.ari_url, "idtone", asterisk.ari_password):
            asking = phones.dial()
            await wait_until(lambda: ready(service) > before, "the service to take it back")
            await talked(phones, playing, asking)
        for placed in (playing, asking):
            assert placed.caller.final_status == 200
            assert_heard_then_connected(placed, "sample", references)


async def test_two_services_on_one_asterisk_do_not_quarrel_for_ever(asterisk, shared_service, references, tmp_path):
    """Each service has its own ledger, so nothing else separates them. One of them leaves the calls to the other."""
    shared_service.stop()
    one = Service(asterisk, LAB_REGISTRY)
    other = Other(asterisk, LAB_REGISTRY)
    services = (one, other)
    already = {id(service): len(service.log()) for service in services}

    def waits(service: Service) -> bool:
        return "and keeps it now" in service.log()[already[id(service)] :]

    with one, other:
        await wait_until(lambda: any(map(waits, services)), "one of them to wait")
        async with lab(asterisk) as phones:
            quarrelled = []
            for _ in range(3):
                placed, _ = await phones.call()
                assert_heard_then_connected(placed, "sample", references)
                quarrelled.append(sum(map(ready, services)))
        assert len({*quarrelled}) == 1, "one of them served all three"
        waiting, working = sorted(services, key=waits, reverse=True)
        before = ready(waiting)
        await asyncio.to_thread(working.stop)
        await wait_until(lambda: ready(waiting) > before, "the other one to take its place")
        async with lab(asterisk) as phones:
            placed, _ = await phones.call()
            assert_heard_then_connected(placed, "sample", references)


@rest_at_night("transport", transports())
async def test_a_password_that_is_changed_under_the_service(asterisk, serving, references, transport):
    """No call waits for a service that Asterisk refuses, except one by which the service may notice the refusal."""
    service = serving(transport=transport)
    configuration = asterisk.etc / "ari.conf"
    before, known = configuration.read_text(), ready(service)
    async with lab(asterisk) as phones:
        configuration.write_text(before.replace(asterisk.ari_password, "another one"))
        try:
            await asyncio.to_thread(asterisk.command, "module reload res_ari.so")
            first = await phones.place()
            began_s = time.monotonic()
            second = await phones.place()
            took_s = time.monotonic() - began_s
        finally:
            configuration.write_text(before)
            await asyncio.to_thread(asterisk.command, "module reload res_ari.so")
        print(f"\n{transport}: the second call was connected after {took_s:.2f} s")
        assert took_s < DEADLINE_S
        refused = "check ari.user, ari.password_file" in service.log()
        if refused:
            await wait_until(lambda: ready(service) > known, "the service to be let in again")
        after = await phones.place()
        await talked(phones, first, second, after)
        assert identify(second.called.packets, references) == ("notice" if refused else "sample")
        assert_heard_then_connected(after, "sample", references)
    assert refused or transport == "websocket"


async def test_a_new_password_is_read_when_asterisk_refuses_the_old_one(asterisk, serving, references):
    """The next connection uses the new password, without a restart or a reload."""
    service = serving(transport="http")
    configuration, password = asterisk.etc / "ari.conf", asterisk.scratch / "ari.password"
    before, known = configuration.read_text(), ready(service)
    try:
        password.write_text("another one")
        configuration.write_text(before.replace(asterisk.ari_password, "another one"))
        await asyncio.to_thread(asterisk.command, "module reload res_ari.so")
        async with lab(asterisk) as phones:
            first = await phones.place()  # the service notices the change by this call
            await wait_until(lambda: ready(service) > known, "the service to be let in with the new password")
            after = await phones.place()
            await talked(phones, first, after)
        assert_heard_then_connected(after, "sample", references)
    finally:
        password.write_text(asterisk.ari_password)
        configuration.write_text(before)
        await asyncio.to_thread(asterisk.command, "module reload res_ari.so")
