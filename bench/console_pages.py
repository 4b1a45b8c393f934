"""Speed of the console's pages, and the cost of open pages for the service and its calls.

    python -m bench.console_pages [--calls N] [--rounds N] [--streams N] [--turns N] [--seconds S] [--json]

The goals: 50 ms until the first byte of each page, with a ledger of 1,000,000 calls; 200 open pages that show the state
live cost the service at most 2 % of a processor, and delay no call. The console is a separate process, as in
production. A static file of the same server is measured for comparison. Times are valid for this machine and run only.
"""

import asyncio
import http.client
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import yaml

from idtone.console import server, static_files
from idtone.console.access.cookies import KNOWN_BROWSER, LANGUAGE, SESSION
from idtone.console.access.rights import Role
from idtone.console.page import ALL_PAGES
from idtone.core.http.request_limits import OF_SESSION
from idtone.core.settings.settings import Settings, load_settings
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.ledger_reader import LedgerReader
from lab.asterisk import LOOPBACK, free_ports
from lab.console.browser.visits import Visitor, visits
from lab.console.console_process import ConsoleProcess, console_process
from lab.console.site import PASSWORD, users_file
from lab.processes import end_in_order, processor_s
from lab.publication import LAB_REGISTRY

from .bench_output import PROGRESS, options, print_table, report
from .cost.cost_bench import CostBench, cost_bench
from .cost.forwarding_ways import Way
from .cost.run_statistics import Run, merge_runs, percentile
from .fill_ledger import NODE, fill
from .metrics import row

CALLS: Final = 1_000_000
MONTH: Final = timedelta(days=31)
USERS: Final = 25
"""Number of users that share the open pages."""
FOLLOWED: Final = "/now/changes"
RATE: Final = 10.0
STATIC: Final = "idtone.css"
WARM: Final = 3


class PagesLoad(StrEnum):
    """The load on the console during a turn."""

    NONE = "no console"
    CLOSED = "a console, no page open"
    OPEN = "a console, its pages open"


@dataclass(frozen=True, slots=True)
class Turn:
    """The results of one turn of the bench."""

    run: Run
    console_share: float
    """The console's share of one processor."""


# -- pages ------------------------------------------------------------------------------------------------------------


def filled_node(folder: Path, calls: int) -> tuple[Path, Settings]:
    """Settings of a node whose ledger has `calls` calls, with the path of their file.

    An existing ledger in `folder` is reused.
    """
    config = write_config(
        folder,
        {
            "node": NODE,
            "registry": {"source": str(LAB_REGISTRY), "trust": "unsigned", "cache": str(folder / "registry")},
            "association": {"member": "m-0001"},
            "ledger": {"url": f"sqlite:///{folder}/ledger.sqlite3", "key_file": str(folder / "key"), "reserve": 0},
        },
    )
    settings = load_settings(config, {})
    ledger = folder / "ledger.sqlite3"
    if not ledger.exists():
        PROGRESS.print(f"a ledger of {calls:,} calls …")
        fill(ledger, KeyRing.of(settings.ledger, NODE), calls, MONTH, lambda call: False)
    if (there := LedgerReader.open(settings.ledger.own_url()).leaves()) != calls:
        raise RuntimeError(f"{ledger} has {there:,} calls")
    return config, settings


def measure_pages(folder: Path, calls: int, rounds: int) -> list[dict[str, Any]]:
    """Measure each page of the console: milliseconds to the first byte."""
    config, settings = filled_node(folder, calls)
    with console_process(config) as console:
        PROGRESS.print("asking for pages …")
        user = Visitor.of(*Role, cookies={**sign_in(console, user_name(0)), LANGUAGE.name: "en"})
        pages = server.make_application(settings)[ALL_PAGES]
        shown = [each for each in visits(pages, console.address, [user]) if each.is_html]
        paths = {"a file": static_files.address_of(STATIC)} | {each.pattern: each.path for each in shown}
        took: dict[str, list[float]] = {name: [] for name in paths}
        connection = http.client.HTTPConnection(urlsplit(console.address).netloc, timeout=60)
        for turn in range(WARM + rounds):
            for name, path in paths.items():
                time.sleep(1 / OF_SESSION.a_second)  # the console refuses more
                ms = first_byte_ms(connection, path, user.cookies)
                if turn >= WARM:
                    took[name].append(ms)
        connection.close()
    bare = statistics.median(took["a file"])
    return [
        {
            "page": name,
            "median_ms": statistics.median(ms),
            "p95_ms": percentile(ms, 0.95),
            "times_a_file": statistics.median(ms) / bare,
        }
        for name, ms in took.items()
    ]


def first_byte_ms(connection: http.client.HTTPConnection, path: str, cookies: Mapping[str, str]) -> float:
    """Milliseconds to the first byte of a page, on a persistent connection."""
    began = time.perf_counter()
    connection.request("GET", path, headers={"Cookie": cookie_header(cookies)})
    answer = connection.getresponse()
    took_ms = 1000 * (time.perf_counter() - began)
    answer.read()
    assert answer.status == http.client.OK, (path, answer.status)
    return took_ms


# -- open pages -------------------------------------------------------------------------------------------------------


def measure_open_pages(folder: Path, streams: int, turns: int, seconds: float) -> dict[str, Any]:
    """Measure the service, the console and the calls' waiting times under each load, in turns."""
    found: dict[PagesLoad, list[Turn]] = {each: [] for each in PagesLoad}
    with cost_bench(folder) as bed:
        config = write_config(folder, yaml.safe_load(bed.service.settings.read_text("utf-8")))
        bed.run(Way.ARI_CALLED, RATE, 2.0)  # until all is warm
        for number in range(turns):
            for beside in PagesLoad:
                PROGRESS.print(f"turn {number + 1} of {turns}: {beside} …")
                found[beside].append(run_turn(bed, config, beside, streams, seconds))
    whole = {beside: merge_runs([each.run for each in taken]) for beside, taken in found.items()}
    share = {beside: run.service_ms_per_call * RATE / 1000 for beside, run in whole.items()}
    return {
        beside.value: row(run, whole[PagesLoad.NONE])
        | {
            "service_share": share[beside],
            "added_service_share": share[beside] - share[PagesLoad.NONE],
            "console_share": statistics.mean(each.console_share for each in found[beside]),
        }
        for beside, run in whole.items()
    }


def run_turn(bed: CostBench, config: Path, beside: PagesLoad, streams: int, seconds: float) -> Turn:
    with ExitStack() as stack:
        console = None if beside is PagesLoad.NONE else stack.enter_context(console_process(config))
        if console and beside is PagesLoad.OPEN:
            stack.enter_context(follow_state(console, streams))
        began_s, used_s = time.monotonic(), processor_s(console.pid) if console else 0.0
        run = bed.run(Way.ARI_CALLED, RATE, seconds)
        used_s = processor_s(console.pid) - used_s if console else 0.0
        return Turn(run, used_s / (time.monotonic() - began_s))


@contextmanager
def follow_state(console: ConsoleProcess, streams: int) -> Iterator[None]:
    """Keep `streams` pages of the console open during the block.

    Each page has received its first state before the block begins.
    """
    cookies = [sign_in(console, user_name(user)) for user in range(USERS)]
    over, all_open = threading.Event(), threading.Event()
    where = urlsplit(console.address)
    failures: list[str] = []

    async def follow(number: int) -> None:
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(
            f"GET {FOLLOWED} HTTP/1.1\r\nHost: {where.netloc}\r\n"
            f"Cookie: {cookie_header(cookies[number % USERS])}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.partition(b"\r\n")[0], head
        await reader.readuntil(b"event: state")
        opened.append(number)
        if len(opened) == streams:
            all_open.set()
        while await reader.read(65_536):
            pass
        if not over.is_set():
            failures.append(f"stream {number} ended")

    async def follow_all() -> None:
        following = [asyncio.create_task(follow(number)) for number in range(streams)]
        while not over.is_set():
            await asyncio.sleep(0.1)
            failures.extend(str(task.exception()) for task in following if task.done() and task.exception())
        for task in following:
            task.cancel()
        await asyncio.wait(following)

    opened: list[int] = []
    thread = threading.Thread(target=lambda: asyncio.run(follow_all()))
    thread.start()
    try:
        if not all_open.wait(60):
            raise RuntimeError(f"{len(opened)} of {streams} pages could be opened: {failures[:1]}")
        yield
        if failures:
            raise RuntimeError(failures[0])
    finally:
        over.set()
        thread.join()


# -- the console ------------------------------------------------------------------------------------------------------


def write_config(folder: Path, settings: Mapping[str, Any]) -> Path:
    """Write the settings file of a console whose users have every role, and return its path."""
    users_file(folder / "users.yaml", {user_name(user): Role for user in range(USERS)})
    (port,) = free_ports(1)
    console = {"listen": f"{LOOPBACK}:{port}", "users": str(folder / "users.yaml")}
    path = folder / "console.yaml"
    path.write_text(yaml.safe_dump({**settings, "console": console}), "utf-8")
    return path


def user_name(user: int) -> str:
    return f"user-{user}"


def sign_in_answer(
    connection: http.client.HTTPConnection, console: ConsoleProcess, name: str, cookies: Mapping[str, str]
) -> http.client.HTTPResponse:
    form = urlencode({"name": name, "password": PASSWORD, "code": ""})
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": console.address.rstrip("/")}
    connection.request("POST", "/sign-in", form, headers | ({"Cookie": cookie_header(cookies)} if cookies else {}))
    return connection.getresponse()


def sign_in(console: ConsoleProcess, name: str) -> dict[str, str]:
    """Sign in to the console; returns the session's cookies, and the cookie that marks a known browser."""
    connection = http.client.HTTPConnection(urlsplit(console.address).netloc, timeout=60)
    answer = sign_in_answer(connection, console, name, {})
    connection.close()
    assert answer.status == http.client.SEE_OTHER, answer.status
    given = SimpleCookie()
    for each in answer.headers.get_all("Set-Cookie", []):
        given.load(each)
    return {cookie.name: given[cookie.name].value for cookie in (SESSION, KNOWN_BROWSER)}


def cookie_header(cookies: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def main() -> None:
    chosen = options(__doc__, calls=CALLS, rounds=30, streams=200, turns=4, seconds=20.0).parse_args()
    end_in_order()
    with tempfile.TemporaryDirectory(prefix="idtone-console-") as name:
        folders: Sequence[Path] = [Path(name, each) for each in ("pages", "open")]
        for folder in folders:
            folder.mkdir()
        shown = measure_pages(folders[0], chosen.calls, chosen.rounds)
        if not chosen.json:
            print_table(f"Time to the first byte, in a ledger of {chosen.calls:,} calls", shown)
        beside = measure_open_pages(folders[1], chosen.streams, chosen.turns, chosen.seconds)
    if chosen.json:
        report("", {"calls": chosen.calls, "pages": shown, "open_pages": beside}, as_json=True)
    else:
        print_table(
            f"{chosen.streams} open pages", [{"beside the service": name, **row} for name, row in beside.items()]
        )


if __name__ == "__main__":
    main()
