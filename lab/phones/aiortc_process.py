"""An aiortc phone that uses SIP over a WebSocket (RFC 7118), run as a process: `aiortc_process.py SETTINGS`.

It reads and writes the same lines as `pjsua_process.py`. It registers, because the PBX cannot open a WebSocket to it.
It needs the packages aiortc and aiohttp, and this repository in PYTHONPATH.
"""

from __future__ import annotations

import array
import asyncio
import json
import sys
import wave
from pathlib import Path
from typing import Any

import aiohttp
from aiortc import RTCPeerConnection, RTCSessionDescription  # type: ignore[import-not-found]
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError  # type: ignore[import-not-found]

from lab.dialog import token
from lab.sip import BRANCH_COOKIE, Party, Request, Response, Uri, parse

SETTINGS: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
FOLDER = Path(SETTINGS["folder"])
US = "phone.invalid"
CONTACT = ("Contact", f"<sip:{SETTINGS['user']}@{US};transport=ws>")
SDP = ("Content-Type", "application/sdp")
ANSWERS_AFTER_S = 0.02


def tell(what: str, number: int | None = None, **more: Any) -> None:
    print(json.dumps({"what": what, "call": number, **more}), flush=True)


class Call:
    """Media of one call, and the objects that its end requires."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.peer = RTCPeerConnection()
        self.peer.addTrack(AudioStreamTrack())
        self.invite: Request | None = None
        self.remote: Party | None = None
        self.local: Party | None = None
        self.target: Uri | None = None
        self.writing: asyncio.Task[None] | None = None
        self.peer.on("track", lambda track: setattr(self, "writing", asyncio.create_task(self.record(track))))

    async def record(self, track: Any) -> None:
        """Record everything that the phone would play."""
        file: wave.Wave_write | None = None
        try:
            while True:
                frame = await track.recv()
                channels = len(frame.layout.channels)
                samples = array.array("h", bytes(frame.planes[0])[: 2 * channels * frame.samples])[::channels]
                if file is None:
                    file = wave.open(str(FOLDER / f"{self.number}.wav"), "wb")  # noqa: SIM115 — closed below
                    file.setparams((1, 2, frame.sample_rate, 0, "NONE", ""))
                file.writeframes(samples.tobytes())
        except MediaStreamError:
            pass
        finally:
            if file:
                file.close()

    async def close(self) -> None:
        await self.peer.close()
        if self.writing:
            await asyncio.wait({self.writing}, timeout=1)
            self.writing.cancel()
        tell("ended", self.number)


class Phone:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.calls: list[Call] = []
        self.of: dict[str, Call] = {}

    async def send(self, message: Request | Response) -> None:
        await self.socket.send_str(message.encode().decode())

    def request(self, method: str, uri: Uri, call_id: str, sender: Party, to: Party, sequence: int) -> Request:
        headers = [
            ("Via", f"SIP/2.0/WS {US};branch={BRANCH_COOKIE}{token()}"), ("Max-Forwards", "70"),
            ("From", str(sender)), ("To", str(to)), ("Call-ID", call_id), ("CSeq", f"{sequence} {method}"), CONTACT,
        ]  # fmt: skip
        return Request(headers, b"", method, uri)

    async def register(self) -> None:
        me = Party(Uri(SETTINGS["user"], "127.0.0.1"))
        asked = self.request("REGISTER", Uri("", "127.0.0.1"), token(), me.tagged(token()), me, 1)
        asked.headers.append(("Expires", "3600"))
        await self.send(asked)

    async def run(self) -> None:
        async for message in self.socket:
            if message.type is not aiohttp.WSMsgType.TEXT or not message.data.strip():
                continue
            read = parse(message.data.encode())
            if isinstance(read, Request):
                await self.take(read)
            else:
                await self.hear(read)

    async def take(self, request: Request) -> None:
        call = self.of.get(request.call_id)
        if request.method == "INVITE" and call is None:
            asyncio.create_task(self.answer(request))  # noqa: RUF006
        elif request.method == "BYE":
            await self.send(request.response(200, token()))
            if call:
                await call.close()
        elif request.method != "ACK":
            await self.send(request.response(200, token(), [CONTACT]))

    async def answer(self, invite: Request) -> None:
        call = self.of[invite.call_id] = Call(len(self.calls))
        self.calls.append(call)
        tag = token()
        tell("incoming", call.number)
        await self.send(invite.response(180, tag, [CONTACT]))
        await call.peer.setRemoteDescription(RTCSessionDescription(invite.body.decode(), "offer"))
        await call.peer.setLocalDescription(await call.peer.createAnswer())
        await asyncio.sleep(ANSWERS_AFTER_S)
        await self.send(invite.response(200, tag, [CONTACT, SDP], call.peer.localDescription.sdp.encode()))
        tell("answered", call.number)

    async def dial(self, number: str) -> None:
        call = Call(len(self.calls))
        self.calls.append(call)
        await call.peer.setLocalDescription(await call.peer.createOffer())
        uri = Uri.parse(number)
        call_id = token()
        self.of[call_id] = call
        sender = Party(Uri(SETTINGS["user"], "127.0.0.1")).tagged(token())
        invite = call.invite = self.request("INVITE", uri, call_id, sender, Party(uri), 1)
        invite.headers.append(SDP)
        invite.body = call.peer.localDescription.sdp.encode()
        await self.send(invite)

    async def hear(self, response: Response) -> None:
        number, method = response.sequence
        if method == "REGISTER":
            tell("ready" if response.status == 200 else "refused", status=response.status)
        if method != "INVITE" or not (call := self.of.get(response.call_id)) or not call.invite:
            return
        if response.body and call.peer.remoteDescription is None:
            await call.peer.setRemoteDescription(RTCSessionDescription(response.body.decode(), "answer"))
        if response.status >= 200:
            call.remote, call.local = response.recipient, response.sender
            call.target = Party.parse(response.get("Contact")).uri if response.status < 300 else call.invite.uri
            ack = self.request("ACK", call.target, response.call_id, call.local, call.remote, number)
            if response.status >= 300:
                ack = call.invite.acknowledgement(response)
            await self.send(ack)
            tell("connected" if response.status < 300 else "ended", call.number, status=response.status)

    async def hang_up(self) -> None:
        for call_id, call in list(self.of.items()):
            if call.target and call.local and call.remote:
                del self.of[call_id]
                await self.send(self.request("BYE", call.target, call_id, call.local, call.remote, 2))
                await call.close()

    async def obey(self, lines: asyncio.StreamReader) -> None:
        while line := (await lines.readline()).decode().strip():
            word, _, rest = line.partition(" ")
            if word == "call":
                await self.dial(rest)
            elif word == "hangup":
                await self.hang_up()


async def main() -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(SETTINGS["websocket"], protocols=["sip"]) as socket,
    ):
        phone = Phone(socket)
        await phone.register()
        running = asyncio.create_task(phone.run())
        obeying = asyncio.create_task(phone.obey(lines))
        await asyncio.wait({running, obeying}, return_when=asyncio.FIRST_COMPLETED)
        for task in (running, obeying):
            task.cancel()


asyncio.run(main())
