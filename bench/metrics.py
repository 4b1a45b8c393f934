"""The cost of metrics for a call: without them, with one scraper, and with a crowd of scrapers, in turns.

python -m bench.metrics [--rounds N] [--seconds S of each turn] [--rate R calls a second] [--json]
"""

import asyncio
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from lab.asterisk import free_ports
from lab.processes import end_in_order

from .bench_output import PROGRESS, options, report
from .cost.cost_bench import CostBench, cost_bench
from .cost.forwarding_ways import Way
from .cost.run_statistics import Run, added_percentile, merge_runs, percentile

CROWD: Final = 50
WAY: Final = Way.ARI_CALLED
REQUEST: Final = b"GET /metrics HTTP/1.1\r\nHost: idtone\r\nConnection: close\r\n\r\n"


class Scrapers(StrEnum):
    OFF = "metrics off"
    ONE = "one scrape a second"
    CROWD = "50 at once, and one that reads a byte a second"


async def _scrape(port: int) -> None:
    """Scrape once. The listener may refuse, because it allows few connections."""
    with suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await reader.read()
        writer.close()


async def _read_slowly(port: int) -> None:
    """Read the answer slowly, a byte a second, so that the connection stays occupied."""
    loop = asyncio.get_running_loop()
    while True:
        with suppress(OSError), socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            slow.setblocking(False)
            await loop.sock_connect(slow, ("127.0.0.1", port))
            await loop.sock_sendall(slow, REQUEST)
            while await loop.sock_recv(slow, 1):  # noqa: ASYNC110 — it is slow on purpose
                await asyncio.sleep(1)
        await asyncio.sleep(1)


@contextmanager
def scraping(scrapers: Scrapers, port: int) -> Iterator[None]:
    """Scrape the service's metrics in threads during the block."""
    if scrapers is Scrapers.OFF:
        yield
        return
    over = threading.Event()

    async def go_on() -> None:
        slow = asyncio.create_task(_read_slowly(port)) if scrapers is Scrapers.CROWD else None
        while not over.is_set():
            await asyncio.gather(*(_scrape(port) for _ in range(CROWD if slow else 1)))
            await asyncio.sleep(1)
        if slow:
            slow.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(go_on()))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def turn(bed: CostBench, scrapers: Scrapers, rate: float, seconds: float) -> Run:
    """Start the service, run a load, and return the results."""
    (port,) = free_ports(1)
    bed.service.stop()
    bed.service.metrics = "" if scrapers is Scrapers.OFF else f"127.0.0.1:{port}"
    bed.service.start()
    bed.run(WAY, rate, 2.0)  # until all is warm
    with scraping(scrapers, port):
        return bed.run(WAY, rate, seconds)


def row(run: Run, off: Run) -> dict[str, Any]:
    """Figures of a run, each also as a difference from the run `off`.

    They are the time from the caller's INVITE to the called phone's, and the service's processor time.
    """
    waited = [sample.post_dial_ms for sample in run.samples]
    without = [sample.post_dial_ms for sample in off.samples]
    return {
        "calls": run.offered, "failed": run.failed,
        "p50_ms": percentile(waited, 0.5), "p99_ms": percentile(waited, 0.99),
        "added_p50_ms": str(added_percentile(waited, without, 0.5)),
        "added_p99_ms": str(added_percentile(waited, without, 0.99)),
        "service_ms_per_call": run.service_ms_per_call,
        "service_ratio": run.service_ms_per_call / off.service_ms_per_call,
    }  # fmt: skip


def main() -> None:
    chosen = options(__doc__, rounds=6, seconds=15.0, rate=20.0).parse_args()
    end_in_order()
    runs: dict[Scrapers, list[Run]] = {scrapers: [] for scrapers in Scrapers}
    with tempfile.TemporaryDirectory(prefix="idtone-metrics-") as folder, cost_bench(Path(folder)) as bed:
        for number in range(chosen.rounds):
            for scrapers in Scrapers:
                PROGRESS.print(f"round {number + 1} of {chosen.rounds}: {scrapers} …")
                runs[scrapers].append(turn(bed, scrapers, chosen.rate, chosen.seconds))
    whole = {scrapers: merge_runs(found) for scrapers, found in runs.items()}
    rows = {scrapers.value: row(run, whole[Scrapers.OFF]) for scrapers, run in whole.items()}
    report("from a call's INVITE to the called phone's; added over the service without metrics", rows, chosen.json)


if __name__ == "__main__":
    main()
