"""Connection to Asterisk's REST interface, with events and requests over one WebSocket.

Asterisk 20.14, 21.9 and 22.4 and later accept requests over the WebSocket of the events, which saves an HTTP round trip
per request. For older versions, the requests use HTTP. A connection ends with its WebSocket. `runner` opens the next
one.
"""

import asyncio
import base64
import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any, Final, Literal, Protocol
from urllib.parse import quote

import aiohttp

from idtone.core.errors import AriRefused, AriUnavailable
from idtone.core.translation import Message, template

from .asterisk_version import AsteriskVersion
from .events import EVENTS, AriResponse, Channel, Event, read, read_channel, read_waiting

APPLICATION: Final = "idtone"
"""The application's name in the dialplan's Stasis(idtone,…)."""
REQUEST_TIMEOUT_S: Final = 5.0
OPEN_WITHIN_S: Final = 2.0
"""Time limit for opening a connection, in seconds. On a dead line, it would take forever."""
HEARTBEAT_S: Final = 1.0
"""Time in seconds without a message after which Asterisk is pinged. A WebSocket counts as broken if nothing arrives
within half of this time. The hook waits three seconds for a verdict; by then, a new connection serves calls that are
waiting on a dead line or a frozen Asterisk.
"""
_LOOKS: Final = 5
"""Number of looks for the answer to a ping. After the event loop has stood still, it reads what has arrived before the
next look. aiohttp's own heartbeat looks once, and drops a good connection.
"""
ANSWER_LIMIT: Final = 2**22
"""Maximum size of an answer and of a WebSocket message, in octets. The longest ones describe one channel, with all of
its caller's texts. The texts come from a few SIP messages of 64 kB, and JSON can need six octets for each of their
octets.
"""

_CLOSES_WITHIN_S: Final = 0.05
"""Time for Asterisk to notice that a connection has closed."""
_LOCKED_OUT: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""HTTP statuses that mean that the password or the user's permissions were changed."""

Transport = Literal["auto", "websocket", "http"]


def channel_path(channel_id: str) -> str:
    """Path of a channel in an ARI request.

    An ARI application may have chosen the channel id, with any characters.
    """
    return f"channels/{quote(channel_id, safe='')}"


class Ari(Protocol):
    """Interface for the ARI requests and events that the application uses. `AriConnection` implements it."""

    async def request(self, method: str, path: str, **query: str | int) -> Any:
        """Send a request with a short answer. Returns the answer, or None if it is empty.

        Raises AriRefused for an error status or AriUnavailable if no answer arrives.
        """
        ...

    async def waiting(self) -> frozenset[str] | None:
        """Ids of the channels waiting in the application, or None if Asterisk has dropped the application.

        Asterisk drops an application that has neither a connection nor waiting channels. This works even after another
        connection took over or after `leave`. Raises AriUnavailable, or AriRefused for another error.
        """
        ...

    async def channel(self, channel_id: str) -> Channel | None:
        """Channel with the given id, or None if it does not exist.

        For a channel whose caller sent invalid UTF-8, Asterisk returns no description (status 200 without a body, or
        status 500). The `entered` of such a channel is None. Raises AriUnavailable, or AriRefused for another error.
        """
        ...

    def events(self) -> AsyncIterator[Event]:
        """The application's events in order of arrival. Raises AriUnavailable when the connection breaks."""
        ...

    async def leave(self) -> None:
        """Leave the application. No more events arrive, but requests still work."""
        ...


class AriConnection:
    """An open connection to ARI. Use `connect` to create one."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._over_websocket = False
        self._ids = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[AriResponse]] = {}
        self._arrived_s = time.monotonic()
        """Time of the latest message from Asterisk, which may be the answer to a ping."""
        self.version = ""

    async def open(self, transport: Transport) -> None:
        info = await self._over_http("GET", "asterisk/info", {"only": "system"}, None)
        try:
            self.version = _version(info["system"]["version"])
        except (LookupError, TypeError, ValueError) as error:
            raise AriUnavailable(
                Message("{url} does not answer like Asterisk; check ari.url", url=self._url)
            ) from error
        self._over_websocket = transport == "websocket" or (
            transport == "auto" and AsteriskVersion.read(self.version).takes_requests_over_websocket
        )
        for last in (False, False, True):
            self._socket = await self._listen()
            # Asterisk drops the filter together with the application, so each connection sets it again. It goes over
            # HTTP because the WebSocket is not read yet.
            allowed = {"allowed": [{"type": event} for event in EVENTS]}
            try:
                await self._over_http("PUT", f"applications/{APPLICATION}/eventFilter", {}, allowed)
            except AriRefused as error:
                if last or error.status != HTTPStatus.NOT_FOUND:
                    raise
                await self.close()
                await asyncio.sleep(_CLOSES_WITHIN_S)
            else:
                return

    async def _listen(self) -> aiohttp.ClientWebSocketResponse:
        """Subscribe to the application's events.

        Another connection that closes at this moment can end the subscription, because Asterisk 22.10.1 removes an
        application by name even if another connection uses it.
        """
        try:
            return await self._session.ws_connect(
                f"{self._url}/events",
                params={"app": APPLICATION},
                autoping=False,  # so that the answers to our pings are seen
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSES_WITHIN_S),  # a dead line never answers
                max_msg_size=ANSWER_LIMIT,
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AriUnavailable(
                Message("Asterisk does not accept a WebSocket at {url}: {error}", url=self._url, error=error)
            ) from error

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def leave(self) -> None:
        """Leave the application permanently. No more events arrive, and requests use HTTP."""
        self._over_websocket = False
        await self.close()

    @property
    def transport(self) -> str:
        """Description of the transport, for the log and the service's state, where it is translated."""
        return template("requests over the WebSocket") if self._over_websocket else template("requests over HTTP")

    # Asterisk builds a message of the WebSocket on the stack of a thread (`ast_websocket_write`) and dies of one that
    # is longer than some 490,000 octets. So requests that grow with calls or headers go over HTTP.

    async def waiting(self) -> frozenset[str] | None:
        try:
            return read_waiting(await self._over_http("GET", f"applications/{APPLICATION}", {}, None))
        except AriRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def channel(self, channel_id: str) -> Channel | None:
        try:
            answer = await self._over_http("GET", channel_path(channel_id), {}, None)
        except AriRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            if error.status != HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            answer = None
        return Channel(channel_id, None) if answer is None else read_channel(answer, APPLICATION)

    async def request(self, method: str, path: str, **query: str | int) -> Any:
        parameters = {name: str(value) for name, value in query.items()}
        try:
            if self._over_websocket:
                return await self._over_socket(method, path, parameters)
            return await self._over_http(method, path, parameters, None)
        except AriRefused as error:
            if error.status in _LOCKED_OUT:
                await self.close()  # otherwise calls would wait for a service that cannot answer them
            raise

    async def events(self) -> AsyncIterator[Event]:
        if self._socket is None:
            raise AriUnavailable(Message("the connection was never opened"))
        watching = asyncio.create_task(self._watch(self._socket))
        try:
            async for message in self._socket:
                self._arrived_s = time.monotonic()
                if message.type is aiohttp.WSMsgType.PING:
                    with suppress(ConnectionError):  # the next message says that it is closed
                        await self._socket.pong(message.data)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                event = read(message.data)
                if isinstance(event, AriResponse):
                    waiting = self._waiting.pop(event.request_id, None)
                    if waiting and not waiting.done():
                        waiting.set_result(event)
                elif event is not None:
                    yield event
        finally:
            watching.cancel()
            self._fail_waiting()
        await self._socket.close()
        raise AriUnavailable(Message("Asterisk closed the WebSocket (code {code})", code=self._socket.close_code))

    async def _watch(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Close the WebSocket if Asterisk does not answer a ping."""
        with suppress(ConnectionError):  # the WebSocket is closed already
            while True:
                arrived_s = self._arrived_s
                await asyncio.sleep(arrived_s + HEARTBEAT_S - time.monotonic())
                if self._arrived_s != arrived_s:
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_S / 2):  # a dead line's buffer may be full
                        await socket.ping()
                for _ in range(_LOOKS):
                    await asyncio.sleep(HEARTBEAT_S / 2 / _LOOKS)
                    if self._arrived_s != arrived_s:
                        break
                else:
                    await socket.close()
                    return

    def _fail_waiting(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(AriUnavailable(Message("the WebSocket broke before Asterisk answered")))
        self._waiting.clear()

    async def _over_socket(self, method: str, path: str, query: Mapping[str, str]) -> Any:
        if self._socket is None or self._socket.closed:
            raise AriUnavailable(Message("the WebSocket is closed"))
        request_id = str(next(self._ids))
        answer = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        message = {
            "type": "RESTRequest",
            "request_id": request_id,
            "method": method,
            "uri": path,
            "query_strings": [{"name": name, "value": value} for name, value in query.items()],
        }
        try:
            await self._socket.send_str(json.dumps(message))
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                response = await answer
        except TimeoutError as error:
            raise AriUnavailable(
                Message("Asterisk did not answer {method} {path} in time", method=method, path=path)
            ) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise AriUnavailable(Message("the WebSocket broke: {error}", error=error)) from error
        finally:
            self._waiting.pop(request_id, None)
        return _body(response.status, response.reason, response.body, f"{method} {path}")

    async def _over_http(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        try:
            async with self._session.request(method, f"{self._url}/{path}", params=query, json=body) as answer:
                text = (await self._read(answer)).decode()
                return _body(answer.status, answer.reason or "", text, f"{method} {path} at {self._url}")
        except (aiohttp.ClientError, TimeoutError, UnicodeError) as error:
            raise AriUnavailable(
                Message("Asterisk does not answer at {url}: {reason}", url=self._url, reason=str(error) or "timed out")
            ) from error

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for part in answer.content.iter_any():
            body += part
            if len(body) > ANSWER_LIMIT:
                raise AriUnavailable(
                    Message("the answer of {url} is longer than any of Asterisk's; check ari.url", url=self._url)
                )
        return bytes(body)


async def _refuse_redirect(
    _: aiohttp.ClientSession, __: object, redirected: aiohttp.TraceRequestRedirectParams
) -> None:
    """Reject a redirect, because Asterisk never redirects and no other server may get the credentials."""
    raise AriUnavailable(
        Message("{origin} redirects, and Asterisk never does; check ari.url", origin=redirected.url.origin())
    )


@asynccontextmanager
async def connect(url: str, user: str, password: str, transport: Transport = "auto") -> AsyncIterator[AriConnection]:
    """Open a connection for the `idtone` application.

    The password is sent in a header, never in the URL. Raises AriUnavailable, or AriRefused (401 for a wrong password).
    """
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(_refuse_redirect)
    # Asterisk never compresses, and a small answer must not become large here.
    async with aiohttp.ClientSession(
        headers=headers, timeout=timeout, trace_configs=[tracing], auto_decompress=False
    ) as session:
        connection = AriConnection(session, url)
        try:
            try:
                async with asyncio.timeout(OPEN_WITHIN_S):
                    await connection.open(transport)
            except TimeoutError as error:
                raise AriUnavailable(
                    Message(
                        "Asterisk does not answer at {url} within {open_within_s:g} s",
                        url=url,
                        open_within_s=OPEN_WITHIN_S,
                    )
                ) from error
            yield connection
        finally:
            await connection.close()


def _version(value: object) -> str:
    if not isinstance(value, str) or len(value) > 100 or not value.isprintable():
        raise ValueError("not a version")
    return value


def _body(status: int, reason: str, text: str, request: str) -> Any:
    if status >= 400:
        raise AriRefused(status, reason, request)
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise AriUnavailable(
            Message("the answer to {request} is not JSON, so it is not Asterisk's; check ari.url", request=request)
        ) from error
