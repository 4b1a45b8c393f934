"""Attacks in which one visitor uses up a shared resource. docs/reference/console-security.md has the figures."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web

from idtone.console import application
from idtone.console.access import password_proof
from idtone.console.access.attempts import MOST_OF_ADDRESS, MOST_OF_NAME, Attempt, Attempts
from idtone.console.access.cookies import SESSION
from idtone.console.access.password_queue import KNOWN, LONGEST, PasswordQueue, QueueFullError
from idtone.console.access.rights import Role
from idtone.console.call_rows import NO_CALLS, ShownCalls
from idtone.console.operator import calls
from idtone.console.page import Visit
from idtone.console.public import packs
from idtone.console.threads import Reads, Threads
from idtone.console.turns import RequestingParty, party_of
from idtone.core.errors import LedgerError
from idtone.core.http import connection_limits
from idtone.core.http.request_limits import STREAMS_OF_USER, WITHOUT_SESSION_OF_NETWORK
from idtone.core.terminal.spreadsheet_csv import csv_text
from lab.console.held_reads import Held, held_pack, held_part, held_password, held_search
from lab.console.raw_requests import answered, get, host_of
from lab.console.site import Site, Visitor
from lab.lab import wait_until
from lab.ledger.example_pack import PACK


@asynccontextmanager
async def asked(visitor: Visitor, *paths: str) -> AsyncIterator[list[asyncio.Task[int]]]:
    """Context of requests that are under way; yields the tasks of their statuses."""

    async def one(path: str) -> int:
        return (await visitor.get(path)).status

    tasks = [asyncio.create_task(one(path)) for path in paths]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_viewers_exports_do_not_stop_the_console_and_end_with_the_viewer(site, monkeypatch):
    """The searches never end. Before, 200 of them held all threads, for minutes after the viewer had left."""
    monkeypatch.setattr(calls, "csv_part", held_part)
    reads = Held.of(site.console.settings)
    viewer, again = await site.visitor(Role.VIEWER), await site.visitor(Role.VIEWER)
    office = await site.visitor(Role.DUTY)
    async with AsyncExitStack() as stack:
        async with asked(viewer, *["/calls.csv?member=zzz"] * 20) as mine:
            await wait_until(reads.running, "an export to begin")
            await wait_until(lambda: sum(task.done() for task in mine) == 19, "the others to be refused")
            assert {task.result() for task in mine if task.done()} == {429}
            refused = await again.get("/calls.csv")
            assert (refused.status, refused.headers["Retry-After"]) == (429, "60"), "one for each user"
            (theirs,) = await stack.enter_async_context(asked(office, "/calls.csv"))
            assert (await office.get("/account")).status == 200
            assert (await (await site.visitor()).sign_in("viewer")).status == 303
            (first,) = reads.begun()
        await wait_until(lambda: len(reads.begun()) == 2, "the turn of the next one")
        await wait_until(lambda: first not in reads.running(), "the end of the first one")
        assert not theirs.done()
    await wait_until(lambda: not site.console.limits.count("exports"), "the exports to end")
    await wait_until(lambda: not reads.running(), "their processes to end")


async def test_a_visitor_waits_for_the_own_requests_and_the_others_do_not(site, monkeypatch):
    monkeypatch.setattr(calls, "calls_by_query", held_search)
    reads = Held.of(site.console.settings)
    viewer, other = await site.visitor(Role.VIEWER), await site.visitor(Role.OFFICE)
    async with asked(viewer, *["/calls"] * 100) as mine:
        await wait_until(lambda: sum(task.done() for task in mine) >= 92, "those beyond the limit to be refused")
        assert {task.result() for task in mine if task.done()} == {429}
        assert (await other.get("/account")).status == 200
        assert len(reads.begun()) <= 1
        refused = await viewer.get("/calls")
        assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
        reads.end()
        assert sorted(await asyncio.gather(*mine)) == [200] * 8 + [429] * 92


async def test_calls_that_the_index_finds_wait_for_no_search(site, monkeypatch):
    """Before, a user who had looked at a few pages of calls waited with those who search the whole ledger."""
    kinds = list[Reads]()

    async def noted(_, kind: Reads, *given) -> ShownCalls:
        kinds.append(kind)
        return NO_CALLS

    monkeypatch.setattr(Threads, "read", noted)
    viewer = await site.visitor(Role.VIEWER)
    for query in ("", "?from=2026-11-01", "?member=zzz"):
        assert (await viewer.get(f"/calls{query}")).status == 200
    assert kinds == [Reads.LIST, Reads.LIST, Reads.SEARCH]


async def test_a_page_does_not_wait_for_all_that_another_has_sent(site, monkeypatch):
    """Before, it came after all 60."""
    render = Visit.render

    def slowly(*given, **context) -> web.Response:
        time.sleep(0.02)
        return render(*given, **context)

    viewer, other = await site.visitor(Role.VIEWER), await site.visitor(Role.OFFICE)
    monkeypatch.setattr(Visit, "render", slowly)
    async with asked(viewer, *["/account"] * 60) as mine:
        await wait_until(lambda: any(task.done() for task in mine), "the first answer")
        assert (await other.get("/account")).status == 200
        assert sum(task.done() for task in mine) < 20


async def test_two_viewers_do_not_take_all_streams(site):
    async with AsyncExitStack() as stack:
        statuses = []
        for role in (Role.VIEWER, Role.APPROVER):
            for _ in range(STREAMS_OF_USER // 8 + 1):
                visitor = await site.visitor(role)
                headers = {"Cookie": f"{SESSION.name}={visitor.cookies[SESSION.name]}"}
                for _ in range(8):
                    stream = await stack.enter_async_context(
                        visitor.http.get(f"{site.address}/now/changes", headers=headers)
                    )
                    statuses.append(stream.status)
        assert statuses == ([200] * STREAMS_OF_USER + [429] * 8) * 2


@asynccontextmanager
async def senders(site: Site, octets: bytes, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Context of visitors without a session whose bodies do not end."""
    writers, readers = [], []
    try:
        for _ in range(count):
            reader, writer = await asyncio.open_connection(*host_of(site))
            writer.write(octets)
            writers.append(writer)
            readers.append(reader)
        yield readers
    finally:
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


def begun(site: Site, path: str, kind: str, body: str = "") -> bytes:
    """Beginning of a form's request."""
    host = site.address.removeprefix("http://")
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {site.address}\r\nContent-Length: 100000\r\n"
    return f"{head}Content-Type: {kind}\r\n\r\n{body}".encode()


PART = '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


async def test_slow_uploads_hold_no_place_of_the_verification(public: Site):
    """Before, ten of them did."""
    octets = begun(public, "/public/pack", "multipart/form-data; boundary=x", PART)
    async with senders(public, octets, packs.AT_ONCE + packs.WAITING) as slow:
        await wait_until(lambda: public.console.limits.count("without a session") == len(slow), "the uploads to begin")
        assert (await (await public.visitor()).upload("/public/pack", PACK.read_bytes())).status == 200


async def test_strangers_packs_delay_nothing_of_the_office_and_end_when_they_have_left(
    public: Site, monkeypatch, tmp_path
):
    """Before, two of them did, and the upload that publishes a suspension waited; and a stranger who had left kept the
    place.
    """
    monkeypatch.setattr(packs, "verify_pack", held_pack)
    reads = Held(tmp_path)
    numbers = iter(range(250))  # strangers of as many networks

    def party(visit: Visit) -> RequestingParty:
        return party_of(visit.user.name if visit.user else None, f"192.0.2.{next(numbers)}")

    monkeypatch.setattr(Visit, "party", property(party))
    visitor, office = await public.visitor(), await public.visitor(Role.OFFICE)
    packs_sent = [asyncio.create_task(visitor.upload("/public/pack", b"a pack", key=str(tmp_path))) for _ in range(2)]
    try:
        await wait_until(reads.running, "a verification to begin")
        token = (await office.get("/office/applications")).form_token
        fields = {"form_token": token, "why": "by post"}
        async with asyncio.timeout(20):
            assert (await office.upload("/office/applications", b"no application", **fields)).status == 400
        (first,) = reads.running()
        packs_sent[0].cancel()
        await wait_until(lambda: reads.running() not in ([], [first]), "the next stranger's pack")
    finally:
        reads.end()
    assert (await packs_sent[1]).status == 400


async def test_a_body_has_its_time_however_evenly_it_comes(public: Site, monkeypatch):
    for name, value in (("BODY_WITHIN_S", 0.3), ("BODY_EVERY_S", 0.1), ("BODY_AT_LEAST", 0)):
        monkeypatch.setattr(connection_limits, name, value)
    async with senders(public, begun(public, "/public/pack", "multipart/form-data; boundary=x", PART), 1) as (slow,):
        with suppress(ConnectionError):
            assert await asyncio.wait_for(slow.read(), 20) == b"", "it is cut"


async def test_strangers_leave_connections_to_those_who_are_signed_in(site):
    """Before, two addresses held all 512."""
    octets = begun(site, "/sign-in", "application/x-www-form-urlencoded")
    async with senders(site, octets, WITHOUT_SESSION_OF_NETWORK) as strangers:
        await wait_until(lambda: site.console.limits.count("without a session") == len(strangers), "the strangers")
        assert (await answered(site, get(site))).startswith(b"HTTP/1.1 429 ")
        assert (await (await site.visitor(Role.VIEWER)).get("/account")).status == 200


def test_an_ipv6_network_has_the_attempts_of_one_visitor():
    attempts = Attempts(lambda: 0.0)
    begun = [attempts.begins(Attempt(f"n{n}", f"2001:db8:0:{n:x}::{n:x}")) for n in range(MOST_OF_ADDRESS + 5)]
    assert begun == [True] * MOST_OF_ADDRESS + [False] * 5
    assert attempts.begins(Attempt("x", "2001:db8:0:100::1")), "the next /56"


async def test_many_wrong_passwords_do_not_hold_up_a_right_one():
    """Before, a right one waited 67 s behind 60 wrong ones."""
    line, order, first = PasswordQueue(), list[object](), asyncio.Event()

    async def compare(who: object, rank: int) -> None:
        try:
            async with line.turn(rank):
                await first.wait()
                order.append(who)
        except QueueFullError:
            order.append("full")

    wrong = [asyncio.create_task(compare(number, 3)) for number in range(60)]
    await asyncio.sleep(0)
    assert order == ["full"] * (60 - 1 - LONGEST)
    order.clear()
    right = [asyncio.create_task(compare(who, rank)) for who, rank in (("new", 0), ("known", KNOWN))]
    await asyncio.sleep(0)
    first.set()
    await asyncio.gather(*wrong, *right)
    assert [each for each in order if each != "full"] == [0, "known", "new", *range(1, LONGEST - 1)]


async def test_a_first_attempt_does_not_wait_for_those_of_a_network_that_has_failed(site, monkeypatch, tmp_path):
    """Before, it waited for the one that is compared at the moment, at the lowest priority."""
    monkeypatch.setattr(password_proof, "is_password", held_password)
    held, attacker, other = Held(tmp_path), await site.visitor(), await site.visitor()
    assert (await attacker.sign_in("viewer", "wrong")).status == 403
    again = asyncio.create_task(attacker.sign_in("viewer", f"hold {tmp_path}"))
    await wait_until(held.running, "the second attempt")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=("127.0.0.9", 0))) as other.http:
        assert (await other.sign_in("viewer")).status == 303
    assert not again.done()
    held.end()
    assert (await again).status == 403


async def test_in_a_crowd_a_refusal_comes_late_and_holds_up_no_page(site, monkeypatch):
    monkeypatch.setattr(application, "CROWD", 0)
    monkeypatch.setattr(application, "LATE_S", 30.0)
    stranger, viewer = await site.visitor(), await site.visitor(Role.VIEWER)
    async with asked(stranger, "/none") as (late,):
        await wait_until(lambda: site.console.limits.count("late refusals") == 1, "the refusal")
        assert (await viewer.get("/account")).status == 200
        assert not late.done()
        monkeypatch.setattr(application, "LATE_REFUSALS", 1)
        async with asyncio.timeout(20):
            assert (await (await site.visitor()).get("/none")).status == 404, "there is no room for one more"


async def test_what_is_not_there_asks_for_no_script_and_names_no_version(site):
    for visitor, path in ((await site.visitor(), "/none"), (await site.visitor(Role.VIEWER), "/none")):
        answer = await visitor.get(path)
        assert (answer.status, "<script" in answer.text) == (404, False)
        assert answer.headers["Server"] == "idtone"
    assert "<script" in (await visitor.get("/account")).text
    for octets in (b"no request\r\n\r\n", get(site, host="evil.example"), get(site, path="/static/x/idtone.css")):
        assert b"\r\nServer: idtone\r\n" in await answered(site, octets)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('=HYPERLINK("http://evil.example")', '"\'=HYPERLINK(""http://evil.example"")"'),
        ("+1+1", "'+1+1"), ("-2+3", "'-2+3"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t=1"),
        ("+81312345678", "+81312345678"), (-1.5, "-1.5"), ("-", "-"), ("a=b", "a=b"), (None, ""),
    ],
)  # fmt: skip
def test_no_text_is_a_formula_of_a_spreadsheet(value, written):
    assert csv_text(["x"], [[value, 1]]).splitlines()[1] == f"{written},1"


async def test_a_password_that_could_not_be_compared_is_no_wrong_one(site, monkeypatch):
    """Before, five such kept the user out for a quarter of an hour."""

    def killed(*_: object, **named: object) -> None:
        raise LedgerError("The work ended before it was done; the log says why.")

    visitor = await site.visitor()
    with monkeypatch.context() as patched:
        patched.setattr(site.console.threads.processes, "run", killed)
        for _ in range(MOST_OF_NAME):
            answer = await visitor.sign_in("viewer")
            assert (answer.status, "could not compare the password" in answer.text) == (503, True)
    assert (await visitor.sign_in("viewer")).status == 303
