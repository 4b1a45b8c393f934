"""The number of messages between the service and Asterisk for a call. Each message takes time."""

from __future__ import annotations

import asyncio
import base64
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from lab.asterisk import LOOPBACK, Asterisk
from lab.calls.assert_proved import POLICY, WAYS, Way
from lab.lab import lab
from lab.publication import LAB_REGISTRY
from lab.service import Service

CALLS = 5
BESIDE = 4
"""Messages that do not belong to a call: occasional requests of the service."""
PASSED = ("Authorization", "Content-Type")
LIMITS = {"ari": {"asked": 1, "told": 2}, "agi": {"asked": 0, "told": 0}}
"""Limits for each call, by interface: requests to Asterisk's REST interface, and messages that the service receives.

The limits do not depend on the party that hears the sound.
"""
VARIABLES = 85
"""Average number of Asterisk's messages for a call about variables of the hook and its subroutines, over all ways.

The last messages of a way arrive after the next way has begun.
"""
OF_THE_HOOK = re.compile(r"^_*IDTONE|IDTONE_|ARGC?[0-9]?\)?$|^_*GOSUB_")


@dataclass
class Between:
    """A WebSocket proxy that counts the messages."""

    asterisk: Asterisk
    count: Counter[str] = field(default_factory=Counter)
    url: str = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Between]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/ari"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        target = urlsplit(self.asterisk.ari_url)._replace(path=request.path, query=request.query_string).geturl()
        headers = {name: value for name in PASSED if (value := request.headers.get(name))}
        async with aiohttp.ClientSession(headers=headers) as session:
            if request.headers.get("Upgrade", "").lower() != "websocket":
                async with session.request(request.method, target, data=await request.read()) as answer:
                    return web.Response(status=answer.status, body=await answer.read())
            near = web.WebSocketResponse(autoping=False)
            await near.prepare(request)
            async with session.ws_connect(target, autoping=False) as far:
                await asyncio.gather(self._pump(near, far, "asked"), self._pump(far, near, "told"))
        return near

    async def _pump(
        self,
        source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
        target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
        name: str,
    ) -> None:
        async for message in source:
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    self.count[name] += 1
                    await target.send_str(message.data)
                case aiohttp.WSMsgType.PING:
                    await target.ping(message.data)
                case aiohttp.WSMsgType.PONG:
                    await target.pong(message.data)
        await target.close()


async def count_variables(asterisk: Asterisk, count: Counter[str]) -> None:
    """Count the messages about variables of the hook until this task is cancelled."""
    url = f"{asterisk.ari_url}/events?app=counting&subscribeAll=true"
    credentials = base64.b64encode(f"idtone:{asterisk.ari_password}".encode()).decode()
    login = {"Authorization": f"Basic {credentials}"}
    async with aiohttp.ClientSession(headers=login) as session, session.ws_connect(url) as events:
        async for message in events:
            event = message.json()
            if event["type"] == "ChannelVarset" and OF_THE_HOOK.search(event["variable"]):
                count["variables"] += 1


class Counted(Service):
    """A service whose requests and events pass through `Between`."""

    url = ""

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"IDTONE_ARI_URL": self.url}


async def test_no_more_is_said_of_a_call_than_before(asterisk, shared_service):
    shared_service.stop()
    service = Counted(asterisk, LAB_REGISTRY, POLICY)
    counts: dict[Way, Counter[str]] = {}
    async with Between(asterisk).listening() as between:
        service.url = between.url
        await asyncio.to_thread(service.start)
        before = set(await asyncio.to_thread(service.records))  # left over from earlier tests
        try:
            async with lab(asterisk) as phones, asyncio.TaskGroup() as tasks:
                counting = tasks.create_task(count_variables(asterisk, between.count))
                for way in (WAYS[0], *WAYS):  # the first call finds all caches empty
                    between.count.clear()
                    await asyncio.gather(*(phones.call(way.forwarding(), 0.05) for _ in range(CALLS)))
                    await phones.nothing_is_left()
                    counts[way] = between.count.copy()
                counting.cancel()
        finally:
            await asyncio.to_thread(service.stop)
    records = service.records()
    deliveries = [records[name]["delivery"]["called"] for name in records.keys() - before]
    assert (len(deliveries), set(deliveries)) == (CALLS * (1 + len(WAYS)), {"sent"})
    print(f"\nin {CALLS} calls: {counts}")
    for way, count in counts.items():
        for name, limit in LIMITS[way.interface].items():
            assert CALLS * limit <= count[name] <= CALLS * limit + BESIDE, way
    assert 0 < sum(count["variables"] for count in counts.values()) <= CALLS * len(WAYS) * VARIABLES
