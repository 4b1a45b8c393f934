"""A relay between the phones' SIP over UDP and Asterisk's SIP over TCP or TLS.

It listens on UDP at Asterisk's address, where Asterisk listens only on TCP, and on TCP at each phone's address. It does
not change the messages.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from .sip import Address

_LENGTH = re.compile(rb"^(?:content-length|l)\s*:\s*(\d+)", re.IGNORECASE | re.MULTILINE)


class _Relay(asyncio.DatagramProtocol):
    def __init__(self, asterisk: Address, context: ssl.SSLContext | None) -> None:
        self.asterisk = asterisk
        self.context = context
        self.lines: dict[Address, asyncio.StreamWriter] = {}
        """Address of each phone → its latest connection."""
        self.tasks: set[asyncio.Task[None]] = set()
        self._connecting: dict[Address, asyncio.Lock] = {}

    def connection_made(self, transport: Any) -> None:
        self.udp = transport

    def datagram_received(self, data: bytes, phone: tuple[Any, ...]) -> None:
        self._spawn(self._out(data, (phone[0], phone[1])))

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _out(self, data: bytes, phone: Address) -> None:
        async with self._connecting.setdefault(phone, asyncio.Lock()):
            if phone not in self.lines or self.lines[phone].is_closing():
                reader, self.lines[phone] = await asyncio.open_connection(*self.asterisk, ssl=self.context)
                self._spawn(self._in(reader, phone))
            self.lines[phone].write(data)

    async def taken(self, phone: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Accept a connection from Asterisk to a phone."""
        self.lines[phone] = writer
        await self._in(reader, phone)

    async def _in(self, reader: asyncio.StreamReader, phone: Address) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lstrip()  # an empty line keeps a connection alive
                if head:
                    length = _LENGTH.search(head)
                    body = await reader.readexactly(int(length[1])) if length else b""
                    self.udp.sendto(head + body, phone)


@asynccontextmanager
async def relay(asterisk: Address, phones: list[Address], tls: Path | None) -> AsyncIterator[None]:
    """Context in which the relay runs.

    `tls` is a file with the key and the certificate of both ends, or None for TCP. The relay does not check
    certificates.
    """
    client = server = None
    if tls:
        client, server = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        server.load_cert_chain(tls)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as life:
        udp, one = await loop.create_datagram_endpoint(lambda: _Relay(asterisk, client), local_addr=asterisk)
        life.callback(udp.close)
        for phone in phones:
            listening = await asyncio.start_server(
                lambda reader, writer, phone=phone: one.taken(phone, reader, writer), *phone, ssl=server
            )
            life.callback(listening.close)
        yield
        for task in list(one.tasks):
            task.cancel()
        for line in one.lines.values():
            line.close()
