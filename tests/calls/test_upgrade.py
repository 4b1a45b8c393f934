"""One instance of the service follows another during calls, by a graceful stop or by taking over."""

import asyncio
import signal
import subprocess
import time
from collections import Counter
from typing import Any

from idtone.ari_app.application import LEAVES_WITHIN_S
from lab.asterisk import IDTONE, Asterisk
from lab.calls.assert_heard import assert_heard_then_connected
from lab.calls.traffic import heard_profile, traffic
from lab.lab import lab, wait_until


async def test_a_graceful_stop_fails_no_call(asterisk, own_service, references):
    async with lab(asterisk) as phones:
        async with traffic(phones) as placed:
            told_s = time.monotonic()
            assert await asyncio.to_thread(own_service.stop) == 0
            took_s = time.monotonic() - told_s
            await asyncio.sleep(0.5)
        endings = {one.name: await phones.ending(one) for one in placed}
    heard = {one.name: heard_profile(one, references) for one in placed}
    print(f"\n{len(placed)} calls, {dict(Counter(heard.values()))}, stopped in {took_s:.2f} s")
    assert set(heard.values()) == {"sample", "notice"}
    assert took_s < LEAVES_WITHIN_S, "it waited for what does not come"
    with own_service:
        records = await asyncio.to_thread(own_service.records)
    for name, ending in endings.items():
        record = records[ending.call_id]
        assert (record["sent"], record["status"], record["complete"]) == (True, "CONNECTED", True)
        assert record["profiles"] == {"called": heard[name]}
        assert record["fallback"] == (ending.reason == "service-unavailable")
        assert record["anomalies"] == []


async def test_the_next_instance_takes_over_and_no_call_notices(asterisk, own_service, references):
    async with lab(asterisk) as phones:
        async with traffic(phones) as placed:
            for _ in range(2):
                before = own_service.process
                await asyncio.to_thread(own_service.start, "--take-over")
                assert before
                assert await asyncio.to_thread(before.wait, 60) == 0
                await asyncio.sleep(0.5)
        endings = [await phones.ending(one) for one in placed]
    assert {heard_profile(one, references) for one in placed} == {"sample"}
    records = own_service.records()
    for ending in endings:
        record = records[ending.call_id]
        assert (record["sent"], record["status"], record["complete"]) == (True, "CONNECTED", True)
        assert record["anomalies"] == []


async def test_a_reload_is_an_upgrade(asterisk, supervised, references):
    async with lab(asterisk) as phones, traffic(phones) as placed:
        assert await asyncio.to_thread(supervised.reloads)
        await wait_until(lambda: len(supervised.lives) == 2 and supervised.lives[1].ready_s, "the next instance")
        await asyncio.sleep(1.2 * supervised.unit.seconds("WatchdogSec"))
        assert supervised.lives[1].silent_s is None
    assert {heard_profile(one, references) for one in placed} == {"sample"}
    assert "STOPPING=1" not in supervised.told
    assert any(", registry version 42, signed, " in line for line in supervised.told), supervised.told


async def serves_on(asterisk: Asterisk, references: dict[str, Any]) -> None:
    async with lab(asterisk) as phones:
        placed, _ = await phones.call()
    assert_heard_then_connected(placed, "sample", references)


async def test_an_instance_that_asterisk_refuses_does_not_take_over(asterisk, own_service, references):
    (asterisk.scratch / "ari.password").write_text("another one")
    command = [IDTONE, "serve", "-c", own_service.settings, "--take-over"]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "check ari.user, ari.password_file" in ended.stderr
    assert "The running instance continues" in ended.stderr
    its_word = "the next instance ended before it was ready; this one continues"
    await wait_until(
        lambda: "ready: Asterisk" in own_service.log().partition(its_word)[2], "the one that runs to go on"
    )
    await serves_on(asterisk, references)


async def test_a_reload_with_a_typo_changes_nothing_and_is_told(asterisk, supervised, references):
    with supervised.settings.open("a") as file:
        file.write("typo: 1\n")
    checked = [IDTONE, "serve", "--check", "-c", supervised.settings]
    ended = await asyncio.to_thread(subprocess.run, checked, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, "typo: " in ended.stderr) == (int(supervised.unit["RestartPreventExitStatus"]), True)
    assert not await asyncio.to_thread(supervised.reloads)
    assert "the reload has FAILED: the next instance ended with status 78" in supervised.log()
    assert len(supervised.lives) == 1
    await serves_on(asterisk, references)


async def test_a_hangup_signal_without_systemd_ends_nothing(asterisk, own_service, references):
    assert own_service.process
    own_service.process.send_signal(signal.SIGHUP)
    await wait_until(lambda: "SIGHUP reloads only under systemd" in own_service.log(), "its word")
    await serves_on(asterisk, references)
