"""Requests to the console as raw octets, in forms that no browser sends."""

import asyncio
from contextlib import suppress

from lab.console.site import Site


def host_of(site: Site) -> tuple[str, int]:
    host, _, port = site.address.removeprefix("http://").rpartition(":")
    return host, int(port)


async def answered(site: Site, octets: bytes) -> bytes:
    """Complete answer of the console, until it closes the connection or sends nothing for half a second.

    The first octets may take up to a minute.
    """
    reader, writer = await asyncio.open_connection(*host_of(site))
    with suppress(ConnectionError):
        writer.write(octets)
        await writer.drain()
    found = b""
    with suppress(TimeoutError, ConnectionError):
        while chunk := await asyncio.wait_for(reader.read(65536), 0.5 if found else 60):
            found += chunk
    writer.close()
    return found


def get(site: Site, *more: str, path: str = "/sign-in", host: str | None = None) -> bytes:
    named = site.address.removeprefix("http://") if host is None else host
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {named}", *more, "", ""]).encode("latin-1")
