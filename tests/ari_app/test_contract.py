"""What the application counts on, held against the fake Asterisk and the real one alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from idtone.ari_app import events
from idtone.ari_app.connection import SUBSCRIPTIONS, Ari, connect
from idtone.errors import AriRefused, AriUnavailable

from ..lab.asterisk import LOOPBACK, Asterisk
from ..lab.lab import until
from .fake_asterisk import FakeAsterisk

ARGUMENTS = ("decide", "c-1", "12", "03%2D1234", "incoming", "", "x", "", "")
EXTENSIONS = f"""
#include idtone.conf
[contract]
exten = go,1,Stasis(idtone,{",".join(ARGUMENTS)})
 same = n,Wait(5)
"""


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory) -> Iterator[Asterisk]:
    with Asterisk(installation, tmp_path_factory.mktemp("contract"), {"extensions.conf": EXTENSIONS}) as running:
        yield running


@dataclass
class Peer:
    """One Asterisk behind `Ari`, what it tells, and what the test can make it do."""

    ari: Ari
    place_call: Callable[[], Awaitable[None]]
    break_connection: Callable[[], Awaitable[None]]
    told: list[events.Event] = field(default_factory=list)

    async def listen(self) -> None:
        async for event in self.ari.events():
            self.told.append(event)

    async def entered(self) -> events.Entered:
        await until(lambda: any(isinstance(event, events.Entered) for event in self.told), "StasisStart")
        return next(event for event in self.told if isinstance(event, events.Entered))


@asynccontextmanager
async def faked() -> AsyncIterator[Peer]:
    fake = FakeAsterisk()

    async def place_call() -> None:
        fake.enter("1795.1", *ARGUMENTS)

    async def break_connection() -> None:
        fake.happens(None)

    yield Peer(fake, place_call, break_connection)


@asynccontextmanager
async def cuttable(port: int) -> AsyncIterator[tuple[int, Callable[[], None]]]:
    """A port that leads to `port`, and how to cut every line through it."""
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

        async def break_connection() -> None:
            cut()

        url = urlsplit(asterisk.ari_url)._replace(netloc=f"{LOOPBACK}:{port}").geturl()
        async with connect(url, "idtone", asterisk.ari_password, transport) as connection:
            yield Peer(connection, place_call, break_connection)
            await asyncio.to_thread(asterisk.command, "channel request hangup all")
            await until(lambda: not asterisk.channels(), "the channels to be gone")


@pytest.fixture(params=["fake", "websocket", "http"])
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    """Listened to, as the application does: over the WebSocket only who reads events gets answers."""
    making = faked() if request.param == "fake" else real(request.getfixturevalue("pbx"), request.param)
    async with making as peer:
        listening = asyncio.create_task(peer.listen())
        yield peer
        listening.cancel()
        await asyncio.wait({listening})


async def test_requests_are_carried_out_in_order_where_the_connection_says_so(peer):
    """Each of these is refused where another one overtakes it."""
    await peer.place_call()
    source = f"channel:{(await peer.entered()).channel}"
    methods = ["POST", "DELETE"] * 50
    asked = [peer.ari.request(method, SUBSCRIPTIONS, eventSource=source) for method in methods]
    answers = await asyncio.gather(*asked, return_exceptions=not peer.ari.in_order)
    assert len(answers) == len(methods)


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "channels/none", {}),
        ("POST", "channels/none/continue", {}),
        ("POST", "channels/none/continue", {"context": "idtone-called", "extension": "heard", "priority": "2"}),
        ("POST", "channels/none/play/p-1", {"media": "sound:beep"}),
    ],
)
async def test_a_channel_that_is_not_there_is_404(peer, method, path, query):
    with pytest.raises(AriRefused) as error:
        await peer.ari.request(method, path, **query)
    assert error.value.status == 404
    assert f"{method} {path}" in str(error.value)


async def test_of_a_channel_that_is_not_there_nothing_can_be_told(peer):
    with pytest.raises(AriRefused) as error:
        await peer.ari.request("POST", SUBSCRIPTIONS, eventSource="channel:none")
    assert error.value.status == 422


async def test_a_variable_that_was_never_set_counts_as_zero(peer):
    answer = await peer.ari.request("GET", "asterisk/variable", variable="IDTONE_TURNED_AWAY")
    assert events.read_count(answer) == 0


async def test_without_calls_there_are_no_channels(peer):
    assert await peer.ari.request("GET", "channels") == []


async def test_a_channel_that_enters_is_told_and_listed_with_its_arguments(peer):
    await peer.place_call()
    entered = await peer.entered()
    assert entered.arguments == ARGUMENTS
    places = {channel["id"]: channel["dialplan"] for channel in await peer.ari.request("GET", "channels")}
    place = places[entered.channel]
    assert place["app_name"] == "Stasis"
    assert tuple(place["app_data"].split(",")) == ("idtone", *ARGUMENTS)


async def test_a_channel_is_sent_on_without_an_answer_to_read(peer):
    await peer.place_call()
    channel = (await peer.entered()).channel
    sent_on = await peer.ari.request(
        "POST", f"channels/{channel}/continue", context="idtone-called", extension="refused", priority="2"
    )
    assert sent_on is None


async def test_a_channel_that_hangs_up_is_left_and_destroyed(peer):
    await peer.place_call()
    channel = (await peer.entered()).channel
    await peer.ari.request("POST", SUBSCRIPTIONS, eventSource=f"channel:{channel}")
    if isinstance(peer.ari, FakeAsterisk):
        peer.ari.hang_up(channel)
    else:
        await peer.ari.request("DELETE", f"channels/{channel}", reason_code="16")

    def about_the_channel() -> list[events.Event]:
        ends = (events.Left, events.Destroyed)
        return [event for event in peer.told if isinstance(event, ends) and event.channel == channel]

    await until(lambda: len(about_the_channel()) == 2, "its end")
    assert set(about_the_channel()) == {events.Left(channel), events.Destroyed(channel, 16)}


@pytest.mark.parametrize("kind", ["fake", "websocket", "http"])
async def test_a_connection_that_breaks_ends_the_events_with_an_error(request, kind):
    making = faked() if kind == "fake" else real(request.getfixturevalue("pbx"), kind)
    async with making as peer, asyncio.timeout(5):
        listening = asyncio.create_task(peer.listen())
        await peer.ari.request("GET", "channels")
        await peer.break_connection()
        with pytest.raises(AriUnavailable):
            await listening
