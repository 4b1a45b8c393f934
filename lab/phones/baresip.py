"""Debian's baresip, which records what it plays, after its buffers.

The module ctrl_tcp reports its events and controls it.
"""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from lab.asterisk import LOOPBACK, free_ports
from lab.unpacked_packages import command, unpacked_tree

from .program import DESKTOP, Program, wait_for_file

CODECS: Final = {
    "PCMU": "PCMU/8000/1",
    "PCMA": "PCMA/8000/1",
    "G722": "G722/16000/1",
    "GSM": "GSM/8000/1",
    "opus": "opus/48000/2",
}
RATES: Final = {"G722": 16000, "opus": 48000}
MODULES: Final = (
    "g711", "g722", "gsm", "opus", "srtp", "dtls_srtp", "ice", "stun", "aufile", "account", "menu", "ctrl_tcp",
)  # fmt: skip
"""Modules. An account may name only modules that were loaded before it."""
ROOMY: Final = ("jitter_buffer_type adaptive", "jitter_buffer_delay 2-10", "audio_buffer 40-160")
"""Buffers that are large enough to preserve the sound."""
EVENTS: Final = {
    "CALL_INCOMING": ("incoming",),
    "CALL_ESTABLISHED": ("answered", "connected"),
    "CALL_CLOSED": ("ended",),
}
WITHOUT: Final = (*DESKTOP, "libgl1-*")


class Baresip(Program):
    """A baresip. `wanted.settings` are further lines of its configuration, for example for its buffers."""

    name = "baresip"

    _watching: asyncio.Task[None] | None = None

    @classmethod
    def fetch(cls) -> Path:
        return unpacked_tree("baresip-core", without=WITHOUT)

    def command(self) -> Sequence[object]:
        root = self.fetch()
        wanted = self.wanted
        self._control = free_ports(1)[0]
        listens = self.port
        self.port += wanted.transport == "tls"  # with TLS it uses the next port
        self._played = self.folder / "played.wav"
        rate_hz = RATES.get(wanted.codec, 8000)
        lines = [
            f"sip_listen {LOOPBACK}:{listens}", f"sip_certificate {self.pbx.key_and_certificate}",
            f"audio_player aufile,{self._played}", f"audio_source aufile,{self.voice_at(rate_hz)}",
            f"ausrc_srate {rate_hz}", f"auplay_srate {rate_hz}", "auplay_channels 1", "ausrc_channels 1",
            f"ctrl_tcp_listen {LOOPBACK}:{self._control}", "rtp_ports 32800-34800", "call_max_calls 4",
            *(wanted.settings or ROOMY),
            f"module_path {root}/usr/lib/baresip/modules", *(f"module {name}.so" for name in MODULES),
        ]  # fmt: skip
        (self.folder / "config").write_text("\n".join(lines) + "\n")
        parameters = ["regint=0", "answermode=auto", f"audio_codecs={CODECS[wanted.codec]}"]
        if wanted.srtp:
            parameters.append("mediaenc=" + {"sdes": "srtp-mand", "dtls": "dtls_srtp"}[wanted.srtp])
        if wanted.ice:
            parameters.append("medianat=ice")
        transport = "" if wanted.transport == "udp" else f";transport={wanted.transport}"
        me = f"<sip:{self.endpoint}@{LOOPBACK}{transport}>"
        (self.folder / "accounts").write_text(f"{me};{';'.join(parameters)}\n")
        (self.folder / "contacts").touch()
        return [*command(root, "usr/bin/baresip"), "-f", self.folder]

    @property
    def target(self) -> str:
        return super().target.replace("phone@", f"{self.endpoint}@")

    async def ready(self) -> None:
        while True:
            try:
                reader, self._writer = await asyncio.open_connection(LOOPBACK, self._control)
                break
            except ConnectionError:
                assert self.process
                if self.process.returncode is not None:
                    raise
                await asyncio.sleep(0.05)
        self._watching = asyncio.create_task(self._watch(reader))

    async def stop(self) -> None:
        await super().stop()
        if self._watching:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        """Read baresip's events, which arrive as netstrings."""
        with contextlib.closing(self._writer):
            await self._heed(reader)

    async def _heed(self, reader: asyncio.StreamReader) -> None:
        while True:
            length = int((await reader.readuntil(b":"))[:-1])
            text = (await reader.readexactly(length + 1))[:-1].decode(errors="replace")
            with (self.folder / "events").open("a") as kept:
                kept.write(f"{text}\n")
            event: dict[str, Any] = json.loads(text)
            async with self._news:
                self.told += [{"what": what, **event} for what in EVENTS.get(str(event.get("type")), ("other",))]
                self._news.notify_all()

    async def _say(self, command: str, parameters: str = "") -> None:
        text = json.dumps({"command": command, "params": parameters})
        self._writer.write(f"{len(text)}:{text},".encode())
        await self._writer.drain()

    async def dial(self, name: str) -> None:
        await self._say("dial", self.number(name))

    async def hang_up(self) -> None:
        await self._say("hangup")

    async def over(self, number: int) -> None:
        await self.happened("ended", number + 1)
        if self.recording(number).exists():
            return
        if await wait_for_file(self._played):
            self._played.rename(self.recording(number))
