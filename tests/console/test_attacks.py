"""Attacks on the console, as an attacker sends them: raw octets, slow clients, floods, forged texts and cookies."""

import asyncio
import html
import re
import resource
import statistics
import time
from contextlib import AsyncExitStack, suppress
from urllib.parse import quote

import aiohttp
import pytest
import yaml

from idtone.console.access.cookies import KNOWN_BROWSER, SESSION
from idtone.console.access.passwords import hash_password
from idtone.console.access.rights import Role
from idtone.console.access.sign_in_method import SIGN_IN_METHOD
from idtone.console.application import CONNECTIONS, REFUSED
from idtone.core.errors import DocumentError
from idtone.core.http import connection_limits
from idtone.core.http.connection_limits import MOST, ConnectionLimits
from idtone.core.http.request_limits import STREAMS_OF_SESSION, Rate, RequestLimits
from lab.console.raw_requests import answered, get, host_of
from lab.console.site import HASHED, PASSWORD, Site, running_site
from lab.lab import wait_until

CLIENTS = 10_000


async def raw(site: Site, octets: bytes) -> list[bytes]:
    """The status lines of the console's answers to these octets."""
    return [line for line in (await answered(site, octets)).split(b"\r\n") if line.startswith(b"HTTP/1.")]


HEADS = {
    "our own name": (b"", b"200"),
    "oversized": (b"X: " + b"x" * 20_000, b"400"),
    "oversized in all": (b"\r\n".join(b"X-%d: %s" % (n, b"x" * 1000) for n in range(200)), b"400"),
    "two lengths": (b"Content-Length: 5\r\nContent-Length: 6", b"400"),
    "length and chunks": (b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"400"),
    "no number": (b"Content-Length: +5", b"400"),
    "negative": (b"Content-Length: -1", b"400"),
    "chunks that are none": (b"Transfer-Encoding: xchunked", b"400"),
    "chunked twice": (b"Transfer-Encoding: chunked, chunked", b"400"),
    "a space before the colon": (b"Transfer-Encoding : chunked", b"400"),
    "a folded line": (b"X: a\r\n b", b"400"),
    "a line feed alone": (b"X: a\nTransfer-Encoding: chunked", b"400"),
    "a zero octet": (b"X: a\0b", b"400"),
    "no name": (b": a", b"400"),
}


@pytest.mark.parametrize("what", HEADS)
async def test_a_head_that_two_programs_could_read_differently_is_refused(site, what):
    lines, status = HEADS[what]
    head = get(site).removesuffix(b"\r\n") + lines + (b"\r\n\r\n" if lines else b"\r\n")
    smuggled = b"0\r\n\r\n" + get(site, path="/static/smuggled") if status == b"400" else b""
    answers = await raw(site, head + smuggled)
    assert [line.split()[1] for line in answers] == [status], answers


async def test_the_answer_to_what_is_no_request_protects_itself(site):
    found = await answered(site, b"no request\r\n\r\n")
    assert found.startswith(b"HTTP/1.0 400 ") or found.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in found
    assert b"\r\nContent-Security-Policy: default-src 'none'" in found


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8720", "127.0.0.1", "127.0.0.1:1", "", "127.0.0.1:{port}.evil"]
)
async def test_a_foreign_name_that_leads_here_gets_nothing(site, host):
    (answer,) = await raw(site, get(site, host=host.replace("{port}", str(host_of(site)[1]))))
    assert answer.split()[1] in (b"421", b"400")


async def test_more_shapes_of_a_host(site):
    own = site.address.removeprefix("http://")
    for octets in (
        b"GET /sign-in HTTP/1.0\r\n\r\n",
        f"GET /sign-in HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\n\r\n".encode(),
        b"GET http://evil.example/sign-in HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ):
        assert [line.split()[1] for line in await raw(site, octets)] in ([b"421"], [b"400"]), octets
    for name in (own, own.replace("127.0.0.1", "localhost")):
        (answer,) = await raw(site, get(site, host=name))
        assert answer.split()[1] == b"200"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND"])
async def test_methods(site, method):
    visitor = await site.visitor(Role.VIEWER)
    (answer, *others) = await raw(
        site, get(site, f"Cookie: {SESSION.name}={visitor.cookies[SESSION.name]}").replace(b"GET", method.encode(), 1)
    )
    assert (answer.split()[1] in (b"405", b"400"), others) == (True, []), answer


PATHS = (
    "/static/../../../../etc/passwd", "/static/x/..%2f..%2f..%2fetc%2fpasswd", "/static/x/%2e%2e/console.py",
    "//etc/passwd", "/static/x/%00", "/..%5c..%5cetc%5cpasswd", "/static/x/idtone.css%0d%0aX-Evil:%201", "/%ff%fe",
    "/now/../sign-out", "/public/pack/../../etc/passwd",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_no_path_leads_out(site, path):
    visitor = await site.visitor(Role.ADMINISTRATOR)
    head = get(site, f"Cookie: {SESSION.name}={visitor.cookies[SESSION.name]}", "Connection: close", path=path)
    reader, writer = await asyncio.open_connection(*host_of(site))
    writer.write(head)
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    assert answer.split()[1] in (b"404", b"405", b"400"), answer[:100]
    assert b"root:" not in answer
    assert b"X-Evil" not in answer.partition(b"\r\n\r\n")[0]


NAMES = ["<script>alert(1)</script>", '"><img/src=x>', "'-alert(1)-'", "{{7919*7927}}", "a&b", "${7919*7927}"]


async def test_names_of_the_users_file_are_texts(site, settings):
    rows = [{"name": name, "roles": ["administrator"], "password": HASHED} for name in NAMES]
    settings.console.users.write_text(yaml.safe_dump({"users": rows}), "utf-8")
    with pytest.raises(DocumentError, match="has a space or one of"):  # some of them are no names
        site.console.users.get("a")
    rows = [row for row in rows if not set(row["name"]) & set(" :/?#")]
    assert len(rows) >= 3
    settings.console.users.write_text(yaml.safe_dump({"users": rows}), "utf-8")
    for row in rows:
        visitor = await site.visitor()
        assert (await visitor.sign_in(row["name"])).status == 303
        for path in ("/now", "/administration"):
            text = (await visitor.get(path)).text
            assert (
                html.escape(row["name"], quote=False).replace("'", "&#39;") in text or html.escape(row["name"]) in text
            )
            assert "<script>alert" not in text
            assert str(7919 * 7927) not in text


async def test_what_is_entered_and_sent_comes_back_as_text(site):
    visitor = await site.visitor()
    evil = '"><script>alert(1)</script>'
    for answer in (
        await visitor.sign_in(evil, "x"),
        await visitor.get(f"/{quote(evil)}"),
        await visitor.get(
            f"/sign-in?lang={quote(evil)}", **{"Accept-Language": evil, "Referer": evil, "X-Forwarded-For": evil}
        ),
    ):
        assert "<script>alert" not in answer.text
    visitor.cookies["__Host-language"] = evil.replace('"', "")
    assert "<script>alert" not in (await visitor.get("/sign-in")).text


async def test_a_cookie_cannot_be_made_or_fixed(site):
    forged = await site.visitor()
    real = await site.visitor(Role.VIEWER)
    token = real.cookies[SESSION.name]
    for cookie in ("", "x", token[:-1], token + "x", token.swapcase(), "viewer", "../../x", "\u00e9", "a" * 4000):
        forged.cookies[SESSION.name] = cookie
        assert (await forged.get("/now")).status == 303, cookie
    fixed = await site.visitor()
    fixed.cookies[SESSION.name] = chosen = "a" * 43
    assert (await fixed.sign_in("viewer")).status == 303
    assert fixed.cookies[SESSION.name] != chosen
    fixed.cookies = {SESSION.name: chosen}
    assert (await fixed.get("/now")).status == 303
    known = await site.visitor()
    known.cookies = {SESSION.name: "", KNOWN_BROWSER.name: token}
    assert (await known.get("/now")).status == 303, "the mark of a browser signs nobody in"


async def test_a_form_of_another_session_or_site_does_nothing(site):
    victim, attacker = await site.visitor(Role.VIEWER), await site.visitor(Role.VIEWER)
    token = (await attacker.get("/now")).form_token
    mine = (await victim.get("/now")).form_token
    host = site.address.removeprefix("http://")
    for fields, headers in (
        ({"form_token": token}, {}),
        ({"form_token": mine}, {"Origin": f"https://{host}"}),
        ({"form_token": mine}, {"Origin": f"http://{host}.evil.example"}),
        ({"form_token": mine}, {"Origin": f"http://x@{host}"}),
        ({"form_token": mine}, {"Sec-Fetch-Site": "same-site"}),
        ({}, {"Content-Type": "text/plain"}),
    ):
        assert (await victim.post("/sign-out", fields, **headers)).status == 403, (fields, headers)
    assert (await victim.get("/now")).status == 200
    assert (await victim.get("/sign-out")).status == 404, "no act by GET"


@pytest.mark.alone
async def test_neither_text_nor_time_tells_who_is_a_user(site, settings):
    row = {"name": "viewer", "roles": ["viewer"], "password": hash_password(PASSWORD)}
    settings.console.users.write_text(yaml.safe_dump({"users": [row]}), "utf-8")
    for name in ("viewer", "nobody-of-us"):  # caches are warm
        await (await site.visitor()).sign_in(name, "wrong")
    site.app[SIGN_IN_METHOD].proof._attempts._failures.clear()
    times_s, texts = {"viewer": [], "nobody-of-us": []}, {}
    for _ in range(12):
        for name, found in times_s.items():
            visitor = await site.visitor()
            before_s = time.perf_counter()
            answer = await visitor.sign_in(name, "wrong")
            found.append(time.perf_counter() - before_s)
            texts[name] = (answer.status, answer.text.replace(name, ""), {*answer.headers} - {"Date"})
            site.app[SIGN_IN_METHOD].proof._attempts._failures.clear()
    assert texts["viewer"] == texts["nobody-of-us"]
    ratio = min(times_s["viewer"]) / min(times_s["nobody-of-us"])  # a busy machine adds time, and never removes any
    assert 0.7 < ratio < 1.4, times_s


async def test_at_once_is_no_way_round_the_attempts(site):
    visitors = [await site.visitor() for _ in range(12)]
    answers = await asyncio.gather(*(each.sign_in("viewer", "wrong") for each in visitors))
    assert sorted(each.status for each in answers) == [403] * 5 + [429] * 7


SLOW = {
    "says nothing": b"",
    "a head that does not end": b"GET /sign-in HTTP/1.1\r\nHost: x\r\nX-A: ",
    "a body that does not come": b"POST /sign-in HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nname=",
    "chunks that drip": b"POST /public/pack HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("what", SLOW)
async def test_a_slow_client_is_cut_off(site, what, monkeypatch):
    for name, value in (("HEAD_WITHIN_S", 1.0), ("IDLE_S", 1.0), ("BODY_EVERY_S", 1.0)):
        monkeypatch.setattr(connection_limits, name, value)
    reader, writer = await asyncio.open_connection(*host_of(site))
    host = site.address.removeprefix("http://").encode()
    writer.write(SLOW[what].replace(b"{host}", host))
    began_s = time.monotonic()
    with suppress(ConnectionError):
        while not reader.at_eof() and time.monotonic() - began_s < 8:
            writer.write(b"1\r\nx\r\n" if what == "chunks that drip" else b"x" if SLOW[what] else b"")
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1000), 0.2)
    assert time.monotonic() - began_s < 6, "it was not cut off"
    writer.close()


async def test_a_client_that_takes_nothing_is_cut_off(monkeypatch):
    """The protocol answers for ever, and the client does not read."""
    monkeypatch.setattr(connection_limits, "TAKES_WITHIN_S", 0.5)

    class Endless(asyncio.Protocol):
        lost = False

        def connection_made(self, transport):
            transport.write(b"x" * 50_000_000)

        def connection_lost(self, exc):
            self.lost = True

    made: list[Endless] = []

    def make() -> Endless:
        made.append(Endless())
        return made[-1]

    all_of_them = ConnectionLimits()
    listening = await asyncio.get_running_loop().create_server(all_of_them.guarded(make), "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*listening.sockets[0].getsockname(), limit=1000)
    await wait_until(lambda: made and made[0].lost and not len(all_of_them), "the client to be cut off")
    writer.close()
    listening.close()


async def test_a_request_under_way_keeps_its_place(site):
    """If all connections have a request in progress, a new one is refused. A connection without a request is closed to
    make room.
    """
    visitor = await site.visitor(Role.VIEWER)
    all_of_them = site.app[CONNECTIONS]
    all_of_them._most = 3
    headers = {"Cookie": f"{SESSION.name}={visitor.cookies[SESSION.name]}"}
    async with AsyncExitStack() as stack:
        for _ in range(3):
            http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
            stream = await stack.enter_async_context(http.get(f"{site.address}/now/changes", headers=headers))
            assert stream.status == 200
        (answer,) = await raw(site, get(site))
        assert answer == b"HTTP/1.1 503 Service Unavailable"
    await wait_until(lambda: len(all_of_them) < 3, "a place")
    assert (await visitor.get("/now")).status == 200


async def test_streams_of_one_session_are_bounded(site):
    visitor = await site.visitor(Role.VIEWER)
    headers = {"Cookie": f"{SESSION.name}={visitor.cookies[SESSION.name]}"}
    async with AsyncExitStack() as stack:
        statuses = []
        for _ in range(STREAMS_OF_SESSION + 2):
            stream = await stack.enter_async_context(visitor.http.get(f"{site.address}/now/changes", headers=headers))
            statuses.append(stream.status)
        assert statuses == [200] * STREAMS_OF_SESSION + [429] * 2
        other = await site.visitor(Role.VIEWER)
        assert (await other.get("/now")).status == 200


def test_a_bucket_fills_again_and_what_is_under_way_is_counted():
    now_s = 0.0
    limits, rate = RequestLimits(lambda: now_s), Rate(2, 5)
    assert [limits.admits("a", rate) for _ in range(7)] == [True] * 5 + [False] * 2
    assert limits.admits("b", rate)
    now_s = 1.0
    assert [limits.admits("a", rate) for _ in range(3)] == [True, True, False]
    now_s = 1000.0
    assert [limits.admits("a", rate) for _ in range(6)] == [True] * 5 + [False]
    with limits.under_way(("a", 1), ("all", 2)) as first, limits.under_way(("a", 1), ("all", 2)) as second:
        assert (first, second) == (True, False)
    with limits.under_way(("a", 1)) as again:
        assert again


async def test_too_many_requests_of_a_session_are_refused_and_others_served(site, monkeypatch):
    monkeypatch.setattr("idtone.console.application.OF_SESSION", Rate(0.001, 5))
    visitor, other = await site.visitor(Role.VIEWER), await site.visitor(Role.VIEWER)
    assert [(await visitor.get("/now")).status for _ in range(7)] == [200] * 5 + [429] * 2
    assert (await other.get("/now")).status == 200
    monkeypatch.setattr("idtone.console.application.OF_ADDRESS", Rate(0.001, 5))
    site.console.limits._buckets.clear()
    assert [(await other.get("/sign-in")).status for _ in range(7)] == [200] * 5 + [429] * 2


async def test_every_text_says_its_characters_and_the_way_out_empties_the_cache(site):
    visitor = await site.visitor(Role.VIEWER)
    page = await visitor.get("/now")
    (style,) = re.findall(r'href="(/static/\S+\.css)"', page.text)
    for answer in (page, await visitor.get(style), await visitor.get("/none")):
        assert answer.headers["Content-Type"].endswith("; charset=utf-8")
    assert (await visitor.send("/now", "/sign-out")).headers["Clear-Site-Data"] == '"cache"'


async def test_what_is_refused_is_in_the_log(site, caplog, monkeypatch):
    visitor = await site.visitor(Role.VIEWER)
    await visitor.get("/administration")
    await visitor.post("/sign-out", Origin="https://evil.example")
    await visitor.post("/sign-out", {"form_token": "x"})
    for _ in range(3):
        await raw(site, get(site, host="evil.example"))
    monkeypatch.setattr("idtone.console.application.OF_SESSION", Rate(0.001, 1))
    site.console.limits._buckets.clear()
    assert [(await visitor.get("/now")).status for _ in range(2)] == [200, 429]
    monkeypatch.setattr("idtone.console.application.OF_ADDRESS", Rate(0.001, 0.5))
    site.console.limits._buckets.clear()
    assert (await visitor.get("/now")).status == 429
    site.app[REFUSED].flush()
    assert caplog.messages == [
        "/administration: viewer may not, from 127.0.0.1",
        "/sign-out: a form from another site, from 127.0.0.1",
        "/sign-out: a form without the token of its session: viewer, from 127.0.0.1",
        "requests are refused: they name another host, from 127.0.0.1",
        "requests are refused: a session sends too many: viewer, from 127.0.0.1",
        "requests are refused: there are too many, from 127.0.0.1",
        "requests are refused: they name another host, from 127.0.0.1 (2 times more within 10 s)",
    ]


async def test_a_form_has_a_bounded_body(site):
    visitor = await site.visitor()
    answer = await visitor.post("/sign-in", {"name": "x" * 1_000_000, "password": "x"})
    assert answer.status == 413


@pytest.mark.alone
@pytest.mark.nightly
async def test_ten_thousand_connections_do_not_keep_a_visitor_out(settings):
    """All connections come from one address, as many as the limit of open files permits. The console never holds more
    than `MOST`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = min(CLIENTS, hard - 2 * MOST - 500)
    assert clients >= 2 * MOST, f"the limit of open files ({hard}) is too low for this test"
    async with running_site(settings) as site, asyncio.timeout(120):
        visitor = await site.visitor(Role.VIEWER)
        assert (await visitor.get("/now")).status == 200
        writers: list[asyncio.StreamWriter] = []
        most, times_s = 0, []

        async def connect() -> None:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(*host_of(site))
                writer.write(b"GET /sign-in HTTP/1.1\r\nHost: ")
                writers.append(writer)

        for _ in range(0, clients, 250):
            await asyncio.gather(*(connect() for _ in range(250)))
            most = max(most, len(site.app[CONNECTIONS]))
            before_s = time.perf_counter()
            assert (await visitor.get("/now")).status == 200
            times_s.append(time.perf_counter() - before_s)
        assert len(writers) > clients * 0.9
        assert most == MOST
        for writer in writers:
            writer.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"{len(writers)} connections; a page took {statistics.median(times_s) * 1000:.0f} ms in the middle")
