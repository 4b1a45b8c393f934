"""A log that publishes its tiles over HTTPS, its witness over HTTP, and a monitor, all on 127.0.0.1."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from idtone.core.signed_notes import Note
from idtone.ledger.evidence.steps import Step
from idtone.ledger.monitor.findings_page import LogReport
from idtone.ledger.monitor.monitor import Monitor
from idtone.ledger.monitor.monitored_logs import MonitoredLogs
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.tiles.tile_writer import write_tiles
from idtone.ledger.witness.cosigning import Cosigning
from idtone.ledger.witness.witness import Witness, WitnessState, attend
from lab.ledger.sample_evidence import LOG, key_ring_of, time_after, url_of
from lab.ledger.sample_ledger import write, writer_of

NAME = "witness.example/1"
HOUR_MS = 3_600_000


@contextmanager
def witness_in_thread(folder: Path, clock_s: Callable[[], float]) -> Iterator[str]:
    """Context with a witness in a thread. Yields its entry for the setting `witnesses`."""
    bound: list[int] = []
    is_bound = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    def ready(port: int) -> None:
        bound.append(port)
        is_bound.set()

    with WitnessState.locked(folder) as state:
        signer = state.signer(NAME)
        witness = Witness(state, signer, {LOG.name: [LOG]}, clock_s)
        thread = threading.Thread(target=loop.run_until_complete, args=(attend(witness, "127.0.0.1", 0, ready, over),))
        thread.start()
        try:
            assert is_bound.wait(60)
            yield f"http://127.0.0.1:{bound[0]} {signer.cosigner}"
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join()
            loop.close()


@dataclass
class WatchedLogs:
    """Published logs with their witness and monitor. The folder `out` is served at the address `place`."""

    folder: Path
    place: str = ""
    witness: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    witness_ms: float = HOUR_MS
    """Time on the witness's clock, in milliseconds since the beginning of the evidence."""

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def url(self, name: str = "ledger") -> str:
        return url_of(self.folder / name / "ledger.sqlite3")

    def tell(self, *calls: Iterable[Step], of: str = "ledger") -> None:
        write(self.url(of), *calls)

    def cosign(self, of: str = "ledger") -> None:
        """Get the witness's cosignature for the checkpoint, as the service does."""

        async def ask() -> None:
            with writer_of(self.url(of)) as writer:
                async with aiohttp.ClientSession() as session:
                    await Cosigning(writer, key_ring_of(self.url(of)), [self.witness], 60).ask(session)

        asyncio.run(ask())

    def publish(self, of: str = "ledger", out: Path | None = None) -> None:
        """Publish the checkpoint with its present cosignatures."""
        with LedgerReader.open(self.url(of)) as reader:
            text = reader.checkpoint()
            assert text
            note = Note.parse(text.encode())
            cosigned = key_ring_of(self.url(of)).cosigned.latest(LOG)
            if cosigned and cosigned[0].text == note.text:
                note = cosigned[0]
            write_tiles(reader.database, LOG, note, out or self.out)

    def replace(self, of: str) -> None:
        """Publish another ledger in place of this one."""
        shutil.rmtree(self.out)
        self.publish(of)

    def logs(self) -> MonitoredLogs:
        log = {"place": self.place, "key": str(LOG), "witnesses": [self.witness], **self.options}
        page = self.folder / "page.html"
        return MonitoredLogs.model_validate({"state": self.folder / "state", "page": page, "logs": [log]})

    def look(self, ms: float = HOUR_MS, is_over: Callable[[], bool] = lambda: False) -> LogReport:
        """Run the monitor at `ms` after the beginning of the evidence, and return its report."""

        def clock() -> datetime:
            return time_after(ms)

        with Monitor(self.logs(), clock).locked() as held:
            (report,) = held.look(is_over)
        return report
