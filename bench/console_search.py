"""Speed of the console's searches for calls: the time to the first byte of each page, beside the bare query.

    python -m bench.console_search [--calls N] [--rounds N] [--json]

The goal: 100 ms for each search in a ledger of 1,000,000 calls, which takes minutes to make. A search for rare calls
stops after half a second and shows how far it came; so does its bare query. Times are valid for this machine and run
only.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlencode

from idtone.console import long_reads
from idtone.console.access.rights import Role
from idtone.console.operator import calls
from idtone.console.operator.call_query import CallQuery
from idtone.core.calls import Decision, Outcome, Party, Reason
from idtone.core.numbers import parse
from idtone.core.settings.settings import Settings
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.call_search import search_calls
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.console.site import Visitor, running_site
from lab.ledger.sample_evidence import FORWARDING, NOW, REFUSE, decided, fallback, time_after

from .bench_output import PROGRESS, options, report
from .fill_ledger import NODE, fill

CALLS: Final = 1_000_000
ROUNDS: Final = 15
KNOWN: Final = 100
"""Number of calls of the number that is searched."""
MONTH: Final = timedelta(days=31)
SEARCHES: Final = {
    "first page": {},
    "outcome": {"outcome": "PLAY"},
    "reason": {"reason": "licence-valid"},
    "direction": {"direction": "incoming"},
    "member": {"member": "m-0001"},
    "sent": {"delivery": "sent"},
    "rare outcome": {"outcome": "REFUSE"},
    "rare licence": {"licence": "L-0777"},
    "not known": {"delivery": "not-known"},
    "fallback": {"fallback": "yes"},
    "time": {"from": "2026-11-10T00:00", "until": "2026-11-11T00:00"},
}


def rare_calls(ms: float) -> list[Step]:
    """Steps of three rare calls, decided at `ms`: a refusal, a rare licence, and a fallback."""
    licensed = Decision(Outcome.PLAY, Reason.LICENCE_VALID, "L-0777", {Party.CALLED: "sample"}, 42, member="m-0777")
    alone = fallback(Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, Party.CALLED, call_id="rare-3", ms=ms)
    return [
        decided(REFUSE, "rare-1", ms), steps.ended("rare-1", time_after(ms + 1), CallStatus.REFUSED, 21),
        decided(licensed, "rare-2", ms), steps.ended("rare-2", time_after(ms + 9000), CallStatus.NOANSWER, 19),
        alone, steps.ended("rare-3", time_after(ms + 9000), CallStatus.NOANSWER, 19),
    ]  # fmt: skip


def settings_in(folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "node": NODE,
            "registry": {"source": str(folder / "registry.yaml"), "trust": "unsigned"},
            "association": {"member": "m-0001"},
            "ledger": {
                "url": f"sqlite:///{folder}/ledger.sqlite3",
                "key_file": str(folder / "ledger.key"),
                "reserve": 0,
            },
            "console": {"users": str(folder / "users.yaml")},
        }
    )


def make_ledger(settings: Settings, folder: Path, count: int) -> None:
    ring = KeyRing.of(settings.ledger, NODE)
    fill(folder / "ledger.sqlite3", ring, count, MONTH, lambda call: call % (count // KNOWN) == 0)
    with LedgerWriter.open(settings.ledger.own_url(), NODE, ring) as writer:
        for step in rare_calls(2 * 3_600_000):
            written = writer.append(step)
        written.result(60)


def clock_at(now: datetime) -> type[datetime]:
    """A `datetime` class whose `now` is constant.

    The bench needs it because the ledger's calls are from the last month.
    """

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(now.timestamp(), tz)

    return Clock


async def first_byte_ms(visitor: Visitor, method: str, path: str, fields: dict[str, str] | None = None) -> float:
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    headers = {"Cookie": cookies, "Origin": visitor.site.address}
    began = time.perf_counter()
    async with visitor.http.request(
        method, f"{visitor.site.address}{path}", headers=headers, data=fields, allow_redirects=False
    ) as answer:
        took_ms = 1000 * (time.perf_counter() - began)
        assert answer.status in (200, 303), (path, answer.status)
        await answer.read()
    return took_ms


async def query_ms(query: Callable[[], object]) -> float:
    began = time.perf_counter()
    await asyncio.to_thread(query)
    return 1000 * (time.perf_counter() - began)


def search_ledger(reader: LedgerReader, wanted: CallQuery) -> object:
    until_s = time.perf_counter() + long_reads.SEARCH_S
    return search_calls(
        reader,
        wanted.wanted,
        wanted.start,
        wanted.end,
        limit=calls.PAGE_CALLS,
        enough=lambda: time.perf_counter() >= until_s,
    )


async def measure(settings: Settings, count: int, rounds: int) -> dict[str, dict[str, float]]:
    now = NOW + MONTH + timedelta(hours=2)
    calls.datetime = clock_at(now)  # type: ignore[misc, attr-defined]  # a class in place of a class, which the module imports
    number = parse(FORWARDING)
    with LedgerReader.open(settings.ledger.own_url(), KeyRing.of(settings.ledger, NODE).days) as reader:
        async with running_site(settings) as site:
            visitor = await site.visitor(Role.INVESTIGATOR)
            fields = {"form_token": (await visitor.get("/calls")).form_token, "number": FORWARDING, "purpose": "bench"}
            known = f"pbx-1-1793491200.{count // 2}"
            pairs = {
                name: (
                    partial(first_byte_ms, visitor, "GET", f"/calls?{urlencode(query)}"),
                    partial(search_ledger, reader, CallQuery.of(query)),
                )
                for name, query in SEARCHES.items()
            } | {
                "number": (
                    partial(first_byte_ms, visitor, "POST", "/calls/by-number", fields),
                    partial(reader.find, number, now, limit=calls.NUMBER_CALLS),
                ),
                "call id": (
                    partial(first_byte_ms, visitor, "GET", f"/calls?call={known}"),
                    partial(reader.knows, known),
                ),
                "one call": (partial(first_byte_ms, visitor, "GET", f"/calls/{known}"), partial(reader.record, known)),
            }
            took: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in pairs}
            for _ in range(rounds):
                for name, (page, bare) in pairs.items():
                    took[name][0].append(await page())
                    took[name][1].append(await query_ms(bare))
    return {
        name: {"median_ms": statistics.median(page), "most_ms": max(page), "bare_ms": statistics.median(bare)}
        for name, (page, bare) in took.items()
    }


def main() -> None:
    parser = options(__doc__, calls=CALLS, rounds=ROUNDS)
    chosen = parser.parse_args()
    if chosen.calls < KNOWN:
        parser.error(f"--calls {chosen.calls} is less than {KNOWN}")
    with tempfile.TemporaryDirectory(prefix="idtone-console-") as name:
        folder = Path(name)
        settings = settings_in(folder)
        PROGRESS.print(f"a ledger of {chosen.calls:,} calls …")
        make_ledger(settings, folder, chosen.calls)
        PROGRESS.print("finding calls …")
        found = asyncio.run(measure(settings, chosen.calls, chosen.rounds))
    report("Time to the first byte", {"calls": chosen.calls, **found}, chosen.json)


if __name__ == "__main__":
    main()
