"""Waiting times of the console's visitors during an attack.

    python -m bench.console_attack [--calls N] [--hostile N] [--turns N] [--rounds N] [--folder FOLDER]
        [--page] [--json]

The goals, with 220,000 calls and 200 hostile requests in flight: at p95 a page comes at most 100 ms later than without
them. A sign-in takes at most 2 s, from a browser that has signed in before and from a new one. A browser that gets
status 503 asks again after half a second; the total time counts. Turns with and without the attack alternate, so that
other work on the machine affects both. The attackers are one process at the lowest priority. With users' sessions they
run searches and exports that find nothing. Without a session, from many addresses, they send wrong sign-ins, incomplete
requests, large bodies, and requests for pages and public files. Each attacker repeats its request a tenth of a second
after the answer. The table ends with processor time and memory of the console, and of its processes for long reads.
`--folder` keeps the ledger for the next run; `--page` writes docs/reference/console-security.md.
"""

from __future__ import annotations

import asyncio
import http.client
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

import yaml

from idtone.console import server
from idtone.console.access.cookies import KNOWN_BROWSER, LANGUAGE
from idtone.console.access.passwords import hash_password
from idtone.console.access.rights import Role
from idtone.console.page import ALL_PAGES
from idtone.core.http.request_limits import OF_SESSION
from lab.console.browser.visits import Visitor, visits
from lab.console.console_process import ConsoleProcess, console_process
from lab.console.site import PASSWORD
from lab.processes import end_in_order, ended_children_s, processor_s, share_of_memory_mib

from .bench_output import PROGRESS, options, print_table, report
from .console_attack_page import write_page
from .console_pages import WARM, cookie_header, filled_node, first_byte_ms, sign_in, sign_in_answer, user_name
from .cost.run_statistics import percentile

CALLS: Final = 220_000
HOSTILE: Final = 200
USERS: Final = 8
"""Number of users whose sessions the attackers have."""
PAUSE_S: Final = 0.1
SIGN_INS: Final = 3
"""Sign-ins in a turn, for each kind of browser."""
AGAIN_S: Final = 0.5
RISES_WITHIN_S: Final = 120.0
RISES_S: Final = 3.0
"""Seconds from the attackers' first connections to the first measured page."""


@dataclass(frozen=True, slots=True)
class HostileRequest:
    """A kind of hostile request, each on a new connection.

    `{n}` becomes a new number in each request. `share` is the weight among the kinds. With `is_half`, the head of the
    request never ends.
    """

    path: str
    share: int
    has_session: bool = True
    form: Mapping[str, str] | None = None
    is_half: bool = False


KINDS: Final = (
    HostileRequest("/calls?member=zzz{n}", 4),
    HostileRequest("/calls.csv?member=zzz{n}", 4),
    HostileRequest("/evidence/disclosures?year=2026&x={n}", 1),
    HostileRequest("/suspensions?force-sort=reference&x={n}", 1),
    HostileRequest("/licences?page={n}", 1),
    HostileRequest("/sign-in", 4, has_session=False, form={"name": "user-{n}", "password": "wrong", "code": ""}),
    HostileRequest("/no-such-page-{n}", 3, has_session=False),
    HostileRequest("/public/pack", 2, has_session=False),
    HostileRequest("/sign-in", 1, has_session=False, form={"name": "{n}", "password": "wrong", "code": "0" * 300_000}),
    HostileRequest("/sign-in", 2, has_session=False, is_half=True),
)


def attack(address: str, cookies: Sequence[str], hostile: int, begun: Event, over: Event, counted: Any) -> None:
    """Attack the console until `over` is set, as the main function of a process.

    `begun` is set once the attack runs. `counted` receives the number of answers by status, and the highest number in
    flight.
    """
    os.nice(19)
    counted.put(asyncio.run(_attack(address, cookies, hostile, begun, over)))


async def _attack(address: str, cookies: Sequence[str], hostile: int, begun: Event, over: Event) -> dict[str, int]:
    where, statuses, places = urlsplit(address), Counter[str](), Counter[str]()
    kinds = [kind for kind in KINDS for _ in range(kind.share)]
    numbers = iter(range(10**9))

    async def one(kind: HostileRequest, worker: int) -> None:
        source = f"127.0.{1 + worker // 200}.{2 + worker % 200}"
        while not over.is_set():
            number = str(next(numbers))
            octets = _request(where.netloc, kind, number, cookies[worker % len(cookies)])
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(where.hostname, where.port, local_addr=(source, 0))
                places["now"] += 1
                places["most"] = max(places["most"], places["now"])
                try:
                    writer.write(octets)
                    status = (await reader.readline())[9:12].decode() or "closed"
                    while await reader.read(65_536):
                        pass
                    statuses[status] += 1
                finally:
                    places["now"] -= 1
                    writer.close()
            await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.5))

    workers = [asyncio.create_task(one(kinds[number % len(kinds)], number)) for number in range(hostile)]
    await asyncio.sleep(RISES_S)
    begun.set()
    await asyncio.to_thread(over.wait)
    for each in workers:
        each.cancel()
    for ended in await asyncio.gather(*workers, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
    return {**statuses, "most in flight": places["most"]}


def _request(host: str, kind: HostileRequest, number: str, cookie: str) -> bytes:
    body = urlencode({name: value.format(n=number) for name, value in (kind.form or {}).items()}).encode()
    lines = [
        f"{'POST' if kind.form else 'GET'} {kind.path.format(n=number)} HTTP/1.1",
        f"Host: {host}",
        "Connection: close",
        f"Origin: http://{host}",
        "Accept: text/html",
    ]
    if kind.has_session:
        lines.append(f"Cookie: {cookie}")
    if kind.form:
        lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines if kind.is_half else [*lines, "", ""]).encode() + body


@contextmanager
def under_attack(console: ConsoleProcess, cookies: Sequence[str], hostile: int, found: Counter[str]) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    begun, over, counted = context.Event(), context.Event(), context.Queue()
    given = (console.address, cookies, hostile, begun, over, counted)
    process = context.Process(target=attack, args=given, daemon=True)
    process.start()
    try:
        if not begun.wait(RISES_WITHIN_S):
            raise RuntimeError("the attackers do not come")
        yield
    finally:
        over.set()
        for name, count in counted.get(timeout=60).items():
            found[name] = max(found[name], count) if name == "most in flight" else found[name] + count
        process.join()


def measure(folder: Path, calls: int, hostile: int, turns: int, rounds: int) -> dict[str, Any]:
    config, settings = filled_node(folder, calls)
    _with_real_hashes(folder / "users.yaml")
    took: dict[bool, dict[str, list[float]]] = {False: {}, True: {}}
    signed_in: dict[bool, dict[str, list[float]]] = {False: {}, True: {}}
    statuses: Counter[str] = Counter()
    used: dict[bool, UsedTime] = {False: UsedTime(), True: UsedTime()}
    most_mib = UsedMemory(0.0, ())
    with console_process(config) as console:
        visitor = Visitor.of(*Role, cookies={**sign_in(console, user_name(0)), LANGUAGE.name: "en"})
        theirs = [cookie_header(sign_in(console, user_name(user))) for user in range(1, 1 + USERS)]
        paths = {
            each.pattern: each.path
            for each in visits(server.make_application(settings)[ALL_PAGES], console.address, [visitor])
            if each.is_html
        }
        _turn(console, visitor, paths, WARM)
        for number in range(turns):
            for is_attacked in (False, True):
                PROGRESS.print(f"turn {number + 1} of {turns}: {'attacked' if is_attacked else 'quiet'} …")
                used[is_attacked] -= UsedTime.now(console.pid)
                if is_attacked:
                    with under_attack(console, theirs, hostile, statuses):
                        pages, sign_ins = _turn(console, visitor, paths, rounds)
                        most_mib = max(most_mib, UsedMemory.now(console.pid), key=lambda each: each.whole)
                else:
                    pages, sign_ins = _turn(console, visitor, paths, rounds)
                used[is_attacked] += UsedTime.now(console.pid)
                every = [ms for each in pages.values() for ms in each]
                PROGRESS.print(f"p50 {statistics.median(every):.0f} ms, p95 {percentile(every, 0.95):.0f} ms")
                for name, ms in pages.items():
                    took[is_attacked].setdefault(name, []).extend(ms)
                for name, ms in sign_ins.items():
                    signed_in[is_attacked].setdefault(name, []).extend(ms)
    return {
        "calls": calls, "hostile": hostile, "answers to the attackers": dict(statuses),
        "pages": [_row(name, took[False][name], took[True][name]) for name in paths],
        "all pages": _row("all", *([ms for each in took[by].values() for ms in each] for by in (False, True))),
        "sign-ins": [_row(f"sign-in, {name}", ms, signed_in[True][name]) for name, ms in signed_in[False].items()],
        "processors": {"attacked" if by else "quiet": each.shares() for by, each in used.items()},
        "memory": {"console_mib": most_mib.console, "long_reads_mib": [*most_mib.reads]},
    }  # fmt: skip


def _descendants(pid: int) -> Iterator[int]:
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        yield child
        yield from _descendants(child)


@dataclass(frozen=True, slots=True)
class UsedTime:
    """Elapsed seconds, and processor seconds of the console's process and its child processes."""

    clock_s: float = 0.0
    console_s: float = 0.0
    reads_s: float = 0.0

    @classmethod
    def now(cls, pid: int) -> Self:
        reads_s = sum(processor_s(each) + ended_children_s(each) for each in _descendants(pid))
        return cls(time.monotonic(), processor_s(pid), reads_s)

    def __add__(self, other: UsedTime) -> UsedTime:
        return UsedTime(self.clock_s + other.clock_s, self.console_s + other.console_s, self.reads_s + other.reads_s)

    def __sub__(self, other: UsedTime) -> UsedTime:
        return self + UsedTime(-other.clock_s, -other.console_s, -other.reads_s)

    def shares(self) -> dict[str, float]:
        """Share of one processor that the console and its child processes each used."""
        return {"console": self.console_s / self.clock_s, "long_reads": self.reads_s / self.clock_s}


@dataclass(frozen=True, slots=True)
class UsedMemory:
    """Proportional set size in MiB of the console and of each child process."""

    console: float
    reads: tuple[float, ...]

    @property
    def whole(self) -> float:
        return self.console + sum(self.reads)

    @classmethod
    def now(cls, pid: int) -> Self:
        return cls(share_of_memory_mib(pid), tuple(sorted(map(share_of_memory_mib, _descendants(pid)))))


def _with_real_hashes(path: Path) -> None:
    """Replace the users' password hashes with real ones, so that a sign-in takes as long as in production."""
    users, made = yaml.safe_load(path.read_text("utf-8")), hash_password(PASSWORD)
    for each in users["users"]:
        each["password"] = made
    path.write_text(yaml.safe_dump(users), "utf-8")


def _turn(
    console: ConsoleProcess, visitor: Visitor, paths: Mapping[str, str], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Measure each page `rounds` times, and each sign-in `SIGN_INS` times. Returns the milliseconds to a page's first
    octet, and those of a sign-in.
    """
    took: dict[str, list[float]] = {name: [] for name in paths}
    connection = http.client.HTTPConnection(urlsplit(console.address).netloc, timeout=120)
    for _ in range(rounds):
        for name, path in paths.items():
            time.sleep(1 / OF_SESSION.a_second)  # the console refuses more
            took[name].append(first_byte_ms(connection, path, visitor.cookies))
    connection.close()
    signed_in: dict[str, list[float]] = {}
    for _ in range(SIGN_INS):
        for name, cookies in (("a known browser", visitor.cookies), ("a new browser", {})):
            began_s = time.perf_counter()
            while _sign_in_status(console, cookies) != http.client.SEE_OTHER:
                time.sleep(AGAIN_S)
            signed_in.setdefault(name, []).append(1000 * (time.perf_counter() - began_s))
    return took, signed_in


def _sign_in_status(console: ConsoleProcess, cookies: Mapping[str, str]) -> int:
    connection = http.client.HTTPConnection(urlsplit(console.address).netloc, timeout=60)
    known = {KNOWN_BROWSER.name: cookies[KNOWN_BROWSER.name]} if cookies else {}
    answer = sign_in_answer(connection, console, user_name(0), known)
    connection.close()
    if answer.status not in (http.client.SEE_OTHER, http.client.SERVICE_UNAVAILABLE):
        raise RuntimeError(f"a sign-in got status {answer.status}")
    return answer.status


def _row(name: str, quiet: Sequence[float], in_attack: Sequence[float]) -> dict[str, Any]:
    p95s = percentile(quiet, 0.95), percentile(in_attack, 0.95)
    return {
        "page": name, "quiet_p50_ms": statistics.median(quiet), "attacked_p50_ms": statistics.median(in_attack),
        "quiet_p95_ms": p95s[0], "attacked_p95_ms": p95s[1], "more_p95_ms": p95s[1] - p95s[0],
    }  # fmt: skip


def main() -> None:
    parser = options(__doc__, calls=CALLS, hostile=HOSTILE, turns=4, rounds=25)
    parser.add_argument("--folder", type=Path, help="where the node is, or is made and stays")
    parser.add_argument("--page", action="store_true", help="write the table of docs/reference/console-security.md")
    chosen = parser.parse_args()
    end_in_order()
    with tempfile.TemporaryDirectory(prefix="idtone-attack-") as name:
        folder = chosen.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        found = measure(folder, chosen.calls, chosen.hostile, chosen.turns, chosen.rounds)
    if chosen.page:
        write_page(found)
    if chosen.json:
        report("", found, as_json=True)
        return
    print_table(
        f"{chosen.hostile} hostile requests, {chosen.calls:,} calls",
        [*found["pages"], found["all pages"], *found["sign-ins"]],
    )
    print(", ".join(f"{name}: {count:,}" for name, count in found["answers to the attackers"].items()))
    for name, shares in found["processors"].items():
        print(f"{name}: " + ", ".join(f"{what} {share:.2f} of a processor" for what, share in shares.items()))
    memory = found["memory"]
    print(f"memory: the console {memory['console_mib']:.0f} MiB, long reads", *map(round, memory["long_reads_mib"]))


if __name__ == "__main__":
    main()
