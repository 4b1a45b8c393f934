"""A service of the journal and the ledger alone, also as a program: `python -m tests.call_control.serving URL SOUNDS`.

As a program it prints `ready`, and answers each line `CALL_ID NONCE` with `CALL_ID VERDICT`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from idtone.call_control import journal
from idtone.call_control.call_control import CallControl
from idtone.call_control.journal import JournalFolder, JournalReader
from idtone.call_control.journal_intake import JournalIntake
from idtone.decision import Policy
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.ledger.writing.pending_decisions import Pending
from idtone.settings import Interface
from idtone.tones.making.sounds import Sound, ensure_sounds
from idtone.tones.profile_library import load_library

from ..ledger.sample_evidence import key_ring_of
from .evidence import REQUEST, registry
from .reading import following


@asynccontextmanager
async def serving(
    url: str, folder: JournalFolder, sounds: dict[str, Sound]
) -> AsyncIterator[tuple[CallControl, LedgerWriter]]:
    key_ring = key_ring_of(url)
    with (
        LedgerWriter.open(url, "lab", key_ring) as writer,
        Pending.open(url, writer, key_ring.days) as pending,
        LedgerReader.open(url, key_ring.days) as ledger,
    ):
        control = CallControl(registry, Policy(), sounds, pending, sounds, recorded=ledger.knows)
        control.recall(ledger.open_calls(datetime.now(UTC)))
        entry = JournalIntake(control, ledger.times, folder.refuse)
        reader = JournalReader(folder, entry.enter, lambda: writer.unwritten is None, entry.set_gap_s)
        async with following(reader):
            yield control, writer


async def main(url: str, directory: Path) -> None:
    sounds = ensure_sounds(directory, load_library().values(), ["sln"])
    async with serving(url, JournalFolder(directory / "journal", directory), sounds) as (control, _):
        requests = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
        print("ready", flush=True)
        async for line in requests:
            call_id, nonce = line.decode().split()
            call = control.decide(replace(REQUEST, call_id=call_id, nonce=nonce), Interface.ARI)
            print(call_id, control.verdict(call).text if call else "", flush=True)


if __name__ == "__main__":
    journal.REPLACE_EVERY_S = journal.POLL_S = 0.05  # type: ignore[misc]
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
