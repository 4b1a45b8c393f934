"""Serves a key holder's signing page on 127.0.0.1, only to a browser on the same computer."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import BodyPartReader, web
from aiohttp.typedefs import Handler

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.translation import JAPANESE, speak

from .address_guard import HOST, PageAddress
from .holder import KEY_LIMIT, Holder
from .package_zip import LIMIT
from .signing_page import POLICY, ended_page, holder_page

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser names no origin; elsewhere the secret stays unsaid
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_FIELD_LIMIT: Final = 4096


@dataclass(frozen=True)
class SentForm:
    """A form sent by the browser: files with their names, and the other fields."""

    files: Mapping[str, tuple[str, bytes]]
    fields: Mapping[str, str]

    def file(self, name: str) -> tuple[str, bytes]:
        return self.files.get(name, ("", b""))

    def field(self, name: str) -> str:
        return self.fields.get(name, "")


Act = Callable[[SentForm], None]


class SigningServer:
    """HTTP server of the signing page.

    The server performs one action at a time in a thread, because reading a large registry takes seconds.
    """

    def __init__(self, holder: Holder) -> None:
        self._holder = holder
        self._turn = asyncio.Lock()
        self.over = asyncio.Event()

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[PageAddress]:
        """Serve the page in an `async with` block, which receives the page's address.

        If `port` is 0, the server listens on a free port. Raises OSError if the port is in use.
        """
        with socket.create_server((HOST, port)) as listening:
            address = PageAddress(listening.getsockname()[1])
            runner = web.AppRunner(self._application(address), access_log=None)  # its lines would have the secret
            await runner.setup()
            try:
                await web.SockSite(runner, listening).start()
                yield address
            finally:
                await runner.cleanup()

    def _application(self, address: PageAddress) -> web.Application:
        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            refusal = address.refusal_status(request.method, request.path, request.headers)
            speak(language_of(request.headers.get("Accept-Language", "")))
            if refusal is not None:
                answer: web.StreamResponse = web.Response(status=refusal)
            else:
                answer = await handler(request)
            answer.headers.update(_HEADERS)
            return answer

        made = web.Application(middlewares=[guarded], client_max_size=LIMIT + KEY_LIMIT)
        acts = {
            "root": self._root, "open": self._open, "sign": self._sign, "new-key": self._make,
            "forget-key": self._forget, "close": self._close,
        }  # fmt: skip
        made.router.add_get(address.path(), self._show)
        for name, act in acts.items():
            made.router.add_post(address.path(name), self._acting(act, address.path()))
        made.router.add_post(address.path("end"), self._end)
        for name in ("signed.zip", "key.pem", "key.pub"):
            made.router.add_get(address.path(name), self._download)
        return made

    async def _show(self, _: web.Request) -> web.Response:
        return _html(holder_page(self._holder))

    def _acting(self, act: Act, home: str) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            try:
                sent = await _received(request)
                async with self._turn:
                    await asyncio.to_thread(act, sent)
            except IdtoneError as error:
                return _html(holder_page(self._holder, str(error)), HTTPStatus.BAD_REQUEST)
            return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": home})

        return handler

    def _root(self, sent: SentForm) -> None:
        self._holder.root.store(sent.file("root")[1])

    def _open(self, sent: SentForm) -> None:
        name, octets = sent.file("package")
        self._holder.open(name or "package.zip", octets, bool(sent.field("first")), datetime.now(UTC))

    def _sign(self, sent: SentForm) -> None:
        name, pem = sent.file("key")
        token, passphrase = sent.field("token").strip(), sent.field("passphrase")
        self._holder.sign(sent.field("shown"), pem, name, token, passphrase, datetime.now(UTC))

    def _make(self, sent: SentForm) -> None:
        self._holder.make_key(sent.field("name").strip(), sent.field("passphrase"), sent.field("again"))

    def _forget(self, _: SentForm) -> None:
        self._holder.forget_key()

    def _close(self, _: SentForm) -> None:
        self._holder.close()

    async def _download(self, request: web.Request) -> web.Response:
        holder = self._holder
        signed, made = holder.signed, holder.made
        octets = {
            "signed.zip": signed and signed.octets,
            "key.pem": made and made.pem,
            "key.pub": made and made.public,
        }[request.path.rpartition("/")[2]]
        if octets is None:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        return web.Response(body=octets, content_type="application/octet-stream")

    async def _end(self, _: web.Request) -> web.Response:
        self.over.set()
        return _html(ended_page())


def language_of(accepted: str) -> str:
    """Language for the header `Accept-Language`: Japanese, unless the browser prefers English."""
    return "en" if accepted.strip().lower().startswith("en") else JAPANESE


def _html(text: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html")


async def _received(request: web.Request) -> SentForm:
    files: dict[str, tuple[str, bytes]] = {}
    fields: dict[str, str] = {}
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or not part.name:
                raise UsageError("this is not the form of this page")
            limit = _FIELD_LIMIT if part.filename is None else KEY_LIMIT if part.name == "key" else LIMIT
            octets = bytearray()
            while chunk := await part.read_chunk(64 * 1024):
                octets += chunk
                if len(octets) > limit:
                    raise UsageError("this is larger than any file that belongs here")
            if part.filename is None:
                fields[part.name] = octets.decode("utf-8", "replace")
            elif octets:
                name = "".join(each for each in part.filename if each.isprintable())[:200]
                files[part.name] = name, bytes(octets)
    except (ValueError, AssertionError, RuntimeError) as error:  # aiohttp's, for a body unlike its declaration
        raise UsageError("this is not the form of this page") from error
    return SentForm(files, fields)
