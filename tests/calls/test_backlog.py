"""The service starts while the journal contains the lines of 3,000 calls, and neither new calls nor systemd wait."""

import os
import time
from collections.abc import Iterator

import pytest

from idtone.call_control.journal_reader import FOLDER_MODE, READ, JournalFolder
from lab.calls.assert_heard import assert_heard_then_connected
from lab.calls.assert_proved import over_both_interfaces
from lab.lab import LICENSED, Forwarding, lab, wait_until
from lab.publication import LAB_REGISTRY
from lab.supervisor import Supervisor

CALLS = 3000
CALLS_S = 3.0
A_CALL_S = 5.0


def lines(begun_s: float) -> Iterator[str]:
    """Lines that the hook writes about a call that it decides itself."""
    for number in range(CALLS):
        at_s = begun_s + CALLS_S * number / CALLS
        call = f"{int(at_s)}.{number}-{number},{number:012}"
        yield (
            f"decided,{call},{at_s:.6f},{LICENSED},incoming,09012345678,PJSIP/x,0399990000,,,"
            "NOTICE,service-unavailable,called,"
        )
        yield f"sounded,{call},{at_s + 1.6:.6f},dial,notice,,28,{at_s + 1.04:.6f},,,"
        yield f"ended,{call},{at_s + A_CALL_S:.6f},CONNECTED,16,service-unavailable,ANSWER,3400"


@pytest.mark.alone
@pytest.mark.nightly
async def test_a_backlog_holds_up_neither_calls_nor_the_watchdog(asterisk, shared_service, references):
    shared_service.stop_with_empty_journal()  # the sounds exist; for earlier calls it is unknown what was played
    begun_s = time.time() + 0.1
    service = Supervisor(asterisk, LAB_REGISTRY)
    folder = JournalFolder(asterisk.sounds / "journal", asterisk.sounds)
    folder.make()
    (folder.directory / READ).unlink(missing_ok=True)  # the service was down for a while
    descriptor = os.open(folder.path, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, "".join(f"{line}\n" for line in lines(begun_s)).encode())
    os.close(descriptor)
    await wait_until(lambda: time.time() > begun_s + CALLS_S + A_CALL_S, "the end of the calls", 10)
    asterisk.site.give(folder.directory, "idtone", FOLDER_MODE | 0o2000)
    async with lab(asterisk) as phones:
        with service:
            calls = [await phones.call(forwarding) for forwarding in over_both_interfaces(Forwarding()) * 2]
            for placed, _ in calls:
                await phones.talk_and_hang_up(placed)
                assert (await phones.ending(placed)).reason == "licence-valid"
            log = service.log
            await wait_until(
                lambda: log().count("NOTICE (service-unavailable), CONNECTED") >= CALLS, "a line a call", 120
            )
            records = service.records()
            assert len(service.lives) == 1, "the watchdog is content"
        for placed, _ in calls:
            assert_heard_then_connected(placed, "sample", references)
    backlog = [record for record in records.values() if record["reason"] == "service-unavailable"]
    assert len(backlog) >= CALLS
    assert {(record["complete"], record["sent"], *record["anomalies"]) for record in backlog} == {(True, True)}
