"""Kills the service and Asterisk together during calls, and compares the sounds at the phones with the ledger."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from idtone.core.numbers import parse
from idtone.core.settings.settings import LedgerSettings
from idtone.ledger.evidence.steps import NumberRole
from idtone.ledger.keys.day_keys import DayKeys
from idtone.ledger.keys.key_ring import own_key
from idtone.ledger.keys.sealing import LedgerKey
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.verification.verify_ledger import verify_ledger
from lab.asterisk import Asterisk
from lab.lab import Forwarding, PlacedCall, lab, wait_until
from lab.publication import LAB_REGISTRY
from lab.service import Service

from .call_paths import INTERFACES
from .judge_call import ASSOCIATIONS
from .walk_paths import listen

CALLS_PER_S: Final = 20
UNTIL_S: Final = (0.7, 2.5)
"""Seconds from the first call to the kill. A sound is over after half a second."""


@dataclass
class Figures:
    kills: int = 0
    calls: int = 0
    heard: int = 0
    """Number of calls with the association's sound, or with part of it."""
    connected: int = 0
    """Number of calls in which a party heard the other."""
    records: int = 0
    complaints: list[str] = field(default_factory=list)


async def kill_everything(
    asterisk: Asterisk,
    references: Mapping[str, Any],
    seed: int,
    kills: int,
    killed: Callable[[], object] = lambda: None,
) -> Figures:
    """Kill the service and Asterisk `kills` times, on one ledger.

    Starts and stops `asterisk`, and calls `killed` after each kill.
    """
    dice, figures = random.Random(f"everything/{seed}"), Figures()
    service = Service(asterisk, LAB_REGISTRY)
    owed: dict[str, bool] = {}
    """Called number of each call that needs a record → True if the parties talked."""
    for round_number in range(kills):
        await asyncio.to_thread(asterisk.start)
        await asyncio.to_thread(service.start)
        async with lab(asterisk) as phones:
            placed: dict[str, PlacedCall] = {}
            until_s = dice.uniform(*UNTIL_S)
            for number in range(round(until_s * CALLS_PER_S)):
                dialled = f"0801{round_number:03d}{number:04d}"
                placed[dialled] = phones.dial(Forwarding(dialled=dialled, interface=INTERFACES[number % 2]))
                await asyncio.sleep(1 / CALLS_PER_S)
            assert service.process
            assert asterisk.process
            both = [service.process, asterisk.process]
            dice.shuffle(both)
            for process in both:
                process.kill()
            for process in both:
                process.wait()
            service.process = None
            await asyncio.to_thread(asterisk.stop)
            for dialled, each in placed.items():
                phones.pair(each)
                heard = [listen(each, party, references) for party in ("called", "caller")]
                talked = any(one.voice_ms is not None for one in heard)
                if talked or any(ASSOCIATIONS in one.sounds for one in heard):
                    owed[dialled] = talked
                for phone in (each.caller, *each.rung):  # the other side is gone and gets no BYE
                    phone.finish("us", time.time_ns())
        figures.calls += len(placed)
        figures.kills += 1
        killed()
    figures.heard, figures.connected = len(owed), sum(owed.values())
    await asyncio.to_thread(asterisk.start)
    with service:
        await wait_until(lambda: not _open(service), "every record to be closed")
    await asyncio.to_thread(asterisk.stop)
    figures.records, figures.complaints = _compared(service, owed)
    return figures


def _open(service: Service) -> list[str]:
    records = service.records()
    return [name for name, each in records.items() if not each["complete"] and "interrupted" not in each["times"]]


def _compared(service: Service, owed: Mapping[str, bool]) -> tuple[int, list[str]]:
    key = service.ledger.with_name("ledger.key")
    url = f"sqlite:///{service.ledger}"
    with LedgerReader.open(url, DayKeys(key.with_name("ledger.key.days"), LedgerKey(key.read_bytes()))) as reader:
        records = reader.records()
        faults = verify_ledger(reader, own_key(LedgerSettings(url=url, key_file=key), "lab")).faults
    kinds = {
        record.clear_numbers[NumberRole.CALLED]: set(record.times)
        for record in records
        if NumberRole.CALLED in record.clear_numbers
    }
    found = list(faults)
    for dialled, talked in owed.items():
        steps = kinds.get(parse(dialled), set())
        wanted = {"decided", "sound-started"} if talked else {"decided"}
        if missing := wanted - steps:
            what = "the parties talked" if talked else "the sound was heard"
            found.append(f"the call to {dialled}: {what}, and the ledger has no {', '.join(sorted(missing))}")
    found += [
        f"{record.call_id}: its evidence is open: {list(record.times)}"
        for record in records
        if not record.complete and "interrupted" not in record.times
    ]
    return len(records), found
