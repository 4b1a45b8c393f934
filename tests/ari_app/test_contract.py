"""Behaviour of Asterisk on which the application relies, tested with the fake Asterisk and the real one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from idtone.ari_app import events
from idtone.ari_app.connection import Ari, AriConnection, connect
from idtone.core.errors import AriRefused, AriUnavailable
from lab.ari_app.fake_asterisk import FakeAsterisk
from lab.asterisk import LOOPBACK, Asterisk
from lab.chosen_asterisk import transports
from lab.lab import wait_until
from lab.site import BARE

ARGUMENTS = ("decide", "1.1-1", "123456789987", "1795.000000", "03%2D1234", "incoming", "", "x", "", "", "")
EXTENSIONS = f"""
#include idtone.conf
[contract]
exten = go,1,Stasis(idtone,{",".join(ARGUMENTS)})
 same = n,Wait(5)
exten = _v:.,1,Wait(5)
"""


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory) -> Iterator[Asterisk]:
    with Asterisk(
        installation, tmp_path_factory.mktemp("contract"), {"extensions.conf": EXTENSIONS}, site=BARE
    ) as running:
        yield running


@dataclass
class Peer:
    """An Asterisk behind `Ari`, with its events and the actions of the test."""

    ari: Ari
    place_call: Callable[[], Awaitable[None]]
    placed: Callable[[], Awaitable[None]]
    """Waits until Asterisk has a channel for the call."""
    break_connection: Callable[[], None]
    told: list[events.Event] = field(default_factory=list)

    async def listen(self) -> None:
        async for event in self.ari.events():
            self.told.append(event)

    async def entered(self) -> events.Entered:
        await wait_until(lambda: any(isinstance(event, events.Entered) for event in self.told), "StasisStart")
        return next(event for event in self.told if isinstance(event, events.Entered))


@asynccontextmanager
async def faked() -> AsyncIterator[Peer]:
    fake = FakeAsterisk()

    async def place_call() -> None:
        fake.enter("1795.1", *ARGUMENTS)

    async def placed() -> None:
        assert fake.channels

    yield Peer(fake, place_call, placed, lambda: fake.happens(None))


@asynccontextmanager
async def cuttable(port: int) -> AsyncIterator[tuple[int, Callable[[], None]]]:
    """Context with a port that forwards to `port`. Yields this port, and a function that cuts every connection through
    it.
    """
    lines: set[asyncio.StreamWriter] = set()
    pumps: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except ConnectionError:
            pass  # it was cut
        writer.close()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port)
        lines.update((writer, far_writer))
        pumps.update(map(asyncio.create_task, (pump(reader, far_writer), pump(far_reader, writer))))

    def cut() -> None:
        for line in lines:
            line.transport.abort()

    server = await asyncio.start_server(joined, LOOPBACK)
    async with server:
        yield server.sockets[0].getsockname()[1], cut
        cut()
        await asyncio.gather(*pumps)


@asynccontextmanager
async def real(asterisk: Asterisk, transport: str) -> AsyncIterator[Peer]:
    async with cuttable(asterisk.http_port) as (port, cut):

        async def place_call() -> None:
            await asyncio.to_thread(asterisk.command, "channel originate Local/go@contract application Wait 5")

        url = urlsplit(asterisk.ari_url)._replace(netloc=f"{LOOPBACK}:{port}").geturl()
        async with connect(url, "idtone", asterisk.ari_password, transport) as connection:
            assert connection.transport.endswith({"websocket": "WebSocket", "http": "HTTP"}[transport])
            yield Peer(connection, place_call, lambda: wait_until(asterisk.channels, "the call"), cut)
            await asyncio.to_thread(asterisk.command, "channel request hangup all")
            await wait_until(lambda: not asterisk.channels(), "the channels to be gone")


@pytest.fixture(params=["fake", *transports()])
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    """A peer whose events are read, as the application reads them. Otherwise no answer would come by the WebSocket."""
    making = faked() if request.param == "fake" else real(request.getfixturevalue("pbx"), request.param)
    async with making as peer:
        listening = asyncio.create_task(peer.listen())
        yield peer
        listening.cancel()
        await asyncio.wait({listening})


async def let_go(peer: Peer) -> bool:
    return await peer.ari.waiting() is None


async def test_without_calls_no_channel_waits_and_a_missing_one_is_404(peer):
    assert await peer.ari.waiting() == frozenset()
    assert await peer.ari.channel("none") is None
    for method, path, query in (
        ("DELETE", "channels/none", {"reason_code": "21"}),
        ("POST", "channels/none/continue", {}),
        ("POST", "channels/none/continue", {"context": "idtone-called", "extension": "v:none", "priority": "2"}),
    ):
        with pytest.raises(AriRefused) as error:
            await peer.ari.request(method, path, **query)
        assert error.value.status == 404
        assert f"{method} {path}" in str(error.value)


@pytest.mark.parametrize(
    "query", [{}, {"context": "contract", "extension": "v:123456789987:PLAY:x:::sample::22", "priority": "1"}]
)
async def test_continuing_a_channel_has_an_empty_answer(peer, query):
    await peer.place_call()
    channel = (await peer.entered()).channel
    assert await peer.ari.request("POST", f"channels/{channel}/continue", **query) is None

    async def waits_no_more() -> bool:
        return not await peer.ari.waiting() and await peer.ari.channel(channel) == events.Channel(channel, None)

    await wait_until(waits_no_more, "the channel to continue")


async def test_a_channel_that_enters_comes_as_an_event_and_waits_until_it_hangs_up(peer):
    await peer.place_call()
    entered = await peer.entered()
    assert entered.arguments == ARGUMENTS
    channel = entered.channel
    assert await peer.ari.waiting() == {channel}
    assert await peer.ari.channel(channel) == events.Channel(channel, entered)
    assert await peer.ari.request("DELETE", f"channels/{channel}", reason_code="21") is None

    async def gone() -> bool:
        return await peer.ari.channel(channel) is None and await peer.ari.waiting() == frozenset()

    await wait_until(gone, "the channel to be gone")


async def test_after_leaving_no_event_comes_but_requests_still_work(peer):
    """No channel of the real Asterisk is waiting for the application at that time."""
    assert not await let_go(peer)
    await peer.ari.leave()
    await wait_until(lambda: let_go(peer), "Asterisk to notice")
    await peer.place_call()
    await peer.placed()
    assert peer.told == []
    if isinstance(peer.ari, AriConnection):
        assert peer.ari.transport == "requests over HTTP"


async def test_the_application_is_there_as_long_as_a_channel_waits_in_it(peer):
    await peer.place_call()
    entered = await peer.entered()
    await peer.ari.leave()
    await asyncio.sleep(0.3)
    assert await peer.ari.waiting() == {entered.channel}
    await peer.ari.request("POST", f"channels/{entered.channel}/continue")
    await wait_until(lambda: let_go(peer), "Asterisk to let it go")


@pytest.mark.parametrize("kind", ["fake", *transports()])
async def test_a_connection_that_breaks_ends_the_events_with_an_error(request, kind):
    making = faked() if kind == "fake" else real(request.getfixturevalue("pbx"), kind)
    async with making as peer, asyncio.timeout(60):
        listening = asyncio.create_task(peer.listen())
        await peer.ari.waiting()
        peer.break_connection()
        with pytest.raises(AriUnavailable):
            await listening
