"""Two reference applications without licence, evidence, or recovery after a failure.

One works like most ARI applications: it creates, dials, sounds and bridges both legs over HTTP. The other lets each
channel continue immediately, over the WebSocket. It shows the cost of an empty Stasis().

Run it as `python -m bench.cost.reference_applications URL PASSWORD_FILE SOUNDS`.
"""

import asyncio
import json
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from .forwarding_ways import ANSWERER, REFERENCE, SOUND


@dataclass
class _Call:
    caller: str
    called: str
    playback: str = ""
    bridge: str = ""
    ended: bool = False


@dataclass
class Reference:
    """The ARI application that creates, dials, sounds and bridges both legs."""

    session: aiohttp.ClientSession
    url: str
    sound: str
    calls: dict[str, _Call] = field(default_factory=dict)
    """Id of a channel of either leg, or of the playback → its call."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def ask(self, method: str, path: str, **query: str) -> None:
        async with self.session.request(method, f"{self.url}/{path}", params=query) as answer:
            await answer.read()

    async def serve(self) -> None:
        """Serve until the connection ends."""
        query = {"app": REFERENCE, "subscribeAll": "false"}
        async with self.session.ws_connect(f"{self.url}/events", params=query) as events:
            _ready()
            async for message in events:
                task = asyncio.create_task(self.handle(json.loads(message.data)))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def handle(self, event: dict[str, Any]) -> None:
        match event:
            case {"type": "StasisStart", "args": ["caller", phone], "channel": {"id": caller}}:
                await self.begin(caller, phone)
            case {"type": "StasisStart", "args": ["called"], "channel": {"id": called}} if called in self.calls:
                await self.ask("POST", f"channels/{called}/dial", caller=self.calls[called].caller, timeout="30")
            case {"type": "ChannelStateChange", "channel": {"id": called, "state": "Up"}} if (
                called in self.calls and self.calls[called].called == called and not self.calls[called].playback
            ):
                await self.play(self.calls[called])
            case {"type": "ChannelStateChange", "channel": {"id": called, "state": "Ringing"}} if called in self.calls:
                await self.ask("POST", f"channels/{self.calls[called].caller}/ring")
            case {"type": "PlaybackFinished", "playback": {"id": playback}} if playback in self.calls:
                await self.connect(self.calls.pop(playback))
            case {"type": "StasisEnd" | "ChannelDestroyed", "channel": {"id": channel}} if channel in self.calls:
                await self.end(self.calls[channel])

    async def begin(self, caller: str, phone: str) -> None:
        called = f"reference-{uuid.uuid4().hex}"
        self.calls[caller] = self.calls[called] = _Call(caller, called)
        await self.ask(
            "POST",
            "channels/create",
            endpoint=phone,
            app=REFERENCE,
            appArgs="called",
            channelId=called,
            originator=caller,
        )

    async def play(self, call: _Call) -> None:
        call.playback = uuid.uuid4().hex
        self.calls[call.playback] = call
        await self.ask("POST", f"channels/{call.called}/play/{call.playback}", media=f"sound:{self.sound}")

    async def connect(self, call: _Call) -> None:
        if call.ended:
            return
        call.bridge = uuid.uuid4().hex
        await self.ask("POST", f"channels/{call.caller}/answer")
        await self.ask("POST", f"bridges/{call.bridge}", type="mixing")
        await self.ask("POST", f"bridges/{call.bridge}/addChannel", channel=f"{call.caller},{call.called}")

    async def end(self, call: _Call) -> None:
        if call.ended:
            return
        call.ended = True
        for channel in (call.caller, call.called):
            self.calls.pop(channel, None)
            await self.ask("DELETE", f"channels/{channel}")
        if call.bridge:
            await self.ask("DELETE", f"bridges/{call.bridge}")


async def continue_channels(session: aiohttp.ClientSession, url: str) -> None:
    """Send each channel back to the dialplan, at the extension in its Stasis argument.

    Ends with the connection.
    """
    async with session.ws_connect(f"{url}/events", params={"app": ANSWERER, "subscribeAll": "false"}) as events:
        _ready()
        async for message in events:
            match json.loads(message.data):
                case {"type": "StasisStart", "args": [extension], "channel": {"id": channel}}:
                    request = {
                        "type": "RESTRequest",
                        "request_id": channel,
                        "method": "POST",
                        "uri": f"channels/{channel}/continue",
                        "query_strings": [{"name": "extension", "value": extension}],
                    }
                    await events.send_str(json.dumps(request))


def _ready() -> None:
    print("ready", flush=True)


async def main(url: str, password: str, sounds: str) -> None:
    auth = aiohttp.BasicAuth("idtone", password)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(auth=auth, connector=connector) as session:
        await asyncio.gather(Reference(session, url, f"{sounds}/{SOUND}").serve(), continue_channels(session, url))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_text(), sys.argv[3]))
