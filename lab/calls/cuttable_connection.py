"""A TCP proxy in front of Asterisk's ARI that a test can cut, and a service that uses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lab.asterisk import LOOPBACK, Asterisk
from lab.publication import LAB_REGISTRY
from lab.service import Service


@dataclass
class CuttableConnection:
    """A TCP proxy to Asterisk.

    `cut` aborts its connections. `swallow` makes them dead: they accept data and drop it.
    """

    port: int
    own_port: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    dead: set[asyncio.StreamWriter] = field(default_factory=set)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self.port)
        self.writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if writer not in self.dead:
                    writer.write(data)
        except ConnectionError:
            pass  # the connection was cut
        finally:
            if writer not in self.dead:
                writer.close()

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()

    def swallow(self) -> None:
        self.dead |= self.writers

    @asynccontextmanager
    async def open(self) -> AsyncIterator[CuttableConnection]:
        server = await asyncio.start_server(self._join, LOOPBACK, 0)
        self.own_port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await asyncio.sleep(0.05)


class CuttableService(Service):
    """A service that reaches Asterisk's ARI through the proxy."""

    ari_port = 0

    def _write_settings(self) -> None:
        super()._write_settings()
        text = self.settings.read_text().replace(f":{self.asterisk.http_port}/ari", f":{self.ari_port}/ari")
        self.settings.write_text(text)


@asynccontextmanager
async def cuttable_service(
    asterisk: Asterisk, transport: str = "auto", policy: str = ""
) -> AsyncIterator[tuple[Service, CuttableConnection]]:
    async with CuttableConnection(asterisk.http_port).open() as detour:
        service = CuttableService(asterisk, LAB_REGISTRY, policy, transport)
        service.ari_port = detour.own_port
        await asyncio.to_thread(service.start)
        try:
            yield service, detour
        finally:
            await asyncio.to_thread(service.stop)
