"""Common part of all phones that are other vendors' programs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import soundfile

from lab.asterisk import LOOPBACK, free_ports
from lab.repository import ROOT

from .pbx import MEDIA, PhonesPbx
from .required_packages import python_with

STARTS_WITHIN_S: Final = 30.0
STOPS_WITHIN_S: Final = 5.0
LOOKS_EVERY_S: Final = 0.02
DESKTOP: Final = (
    "mesa-*", "libllvm*", "libz3-*", "libgtk*", "adwaita-*", "fonts-*", "systemd*", "dbus*", "alsa-*",
)  # fmt: skip
"""Patterns of packages that a phone needs only on a desktop."""


def two_ports() -> int:
    """A port that is free for UDP and TCP, and whose next port is free too.

    Some phones use both ports for SIP over TLS.
    """
    while True:
        first, second = free_ports(2)
        if second == first + 1 and [first, second] == [_udp(first), _udp(second)]:
            return first


def _udp(port: int) -> int | None:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind((LOOPBACK, port))
        return port
    return None


async def wait_for_file(path: Path, within_s: float = 3.0) -> bool:
    """Wait until the WAV file has the size that its header states. Returns False after `within_s`."""
    for _ in range(round(within_s / LOOKS_EVERY_S)):
        if _is_whole(path):
            return True
        await asyncio.sleep(LOOKS_EVERY_S)
    return False


def _is_whole(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        octets = file.read(200)
    at = octets.find(b"data")
    return at >= 0 and int.from_bytes(octets[at + 4 : at + 8], "little") == path.stat().st_size - at - 8


@dataclass(frozen=True, slots=True)
class PhoneProperties:
    """The wanted properties of a phone.

    Creating a phone raises ValueError for a property that its kind does not support.
    """

    codec: str = "PCMU"
    """`PCMU`, `PCMA`, `G722`, `GSM` or `opus`."""
    transport: str = "udp"
    """SIP transport: `udp`, `tcp` or `tls`."""
    srtp: str = ""
    """`sdes`, `dtls`, or an empty string for plain RTP."""
    ice: bool = False
    announced: str = ""
    """Address in its session descriptions, or an empty string for its own."""
    early_ms: int = 0
    """Duration of early media before the answer in ms."""
    hold: tuple[tuple[int, bool], ...] = ()
    """Times after the answer in ms at which the phone holds the call (True) or resumes it (False)."""
    settings: tuple[str, ...] = ()
    """Further lines of the phone's own configuration."""

    def but(self, **others: Any) -> PhoneProperties:
        return replace(self, **others)


class Program:
    """Process of one phone, used with `async with`. It answers by itself, and numbers its calls in order."""

    name: str
    terminal = False
    """True if its output is a terminal, so that it does not buffer lines."""
    environment: dict[str, str] | None = None

    def __init__(self, wanted: PhoneProperties, folder: Path, pbx: PhonesPbx, endpoint: str = "phone") -> None:
        self.wanted, self.folder, self.pbx, self.endpoint = wanted, folder, pbx, endpoint
        folder.mkdir(parents=True, exist_ok=True)
        self.port = two_ports()
        self.process: asyncio.subprocess.Process | None = None
        self.told: list[dict[str, Any]] = []
        self._news = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None
        self.voice = self.voice_at(8000)

    def voice_at(self, rate_hz: int) -> Path:
        """A WAV file with the phone's voice: a constant value of one step of the codec.

        Some phones treat digital silence as a pause and send nothing.
        """
        path = self.folder / f"voice-{rate_hz}.wav"
        soundfile.write(path, np.full(rate_hz * 20, 8, np.int16), rate_hz)
        return path

    @classmethod
    def fetch(cls) -> object:
        """Find or fetch the phone's software, and return its location. Raises PackagesUnavailable."""
        return None

    @property
    def target(self) -> str:
        """URI of the phone, as dialled by the PBX."""
        transport = "" if self.wanted.transport == "udp" else f";transport={self.wanted.transport}"
        return f"sip:phone@{LOOPBACK}:{self.port}{transport}"

    def number(self, name: str) -> str:
        """URI of a number at the PBX, as dialled by the phone."""
        ports = {"udp": self.pbx.sip_port, "tcp": self.pbx.tcp_port, "tls": self.pbx.tls_port}
        transport = "" if self.wanted.transport == "udp" else f";transport={self.wanted.transport}"
        return f"sip:{name}@{LOOPBACK}:{ports[self.wanted.transport]}{transport}"

    def command(self) -> Sequence[object]:
        """Write the phone's configuration and return the start command."""
        return []

    async def ready(self) -> None:
        """Wait until the phone accepts calls."""

    def recording(self, number: int) -> Path:
        """Path of the phone's recording of the call with this number."""
        return self.folder / f"{number}.wav"

    async def dial(self, name: str) -> None:
        """Call this number at the PBX. Raises TypeError if the phone only answers calls."""
        raise TypeError(f"{self.name} only takes calls")

    async def answered(self, number: int) -> None:
        """Wait until the phone has answered the call with this number."""
        await self.happened("answered", number + 1)

    async def connected(self, number: int) -> None:
        """Wait until the phone's call with this number is connected."""
        await self.happened("connected", number + 1)

    async def hang_up(self) -> None:
        """End the present call."""

    async def over(self, number: int) -> None:
        """Wait until the call with this number has ended and its recording is complete."""

    async def __aenter__(self) -> Self:
        words = [str(each) for each in self.command()]
        seen, shown = os.openpty() if self.terminal else os.pipe()
        with (self.folder / "errors").open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=shown,
                stderr=errors,
                cwd=self.folder,
                env=self.environment,
                start_new_session=True,
            )
        os.close(shown)
        self._reading = asyncio.create_task(self._read(seen))
        try:
            async with asyncio.timeout(STARTS_WITHIN_S):
                await self.ready()
        except BaseException as error:
            await self.stop()
            raise RuntimeError(f"{self.name} did not start ({error!r}):\n{self.said()}") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        if self.process and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOPS_WITHIN_S):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        if self.process and self.process.stdin:
            self.process.stdin.close()
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def said(self) -> str:
        """The latest events of the phone, and the end of its error output."""
        errors = (self.folder / "errors").read_text(errors="replace")[-2000:]
        return "\n".join([json.dumps(each) for each in self.told[-20:]] + [errors])

    async def write(self, line: str) -> None:
        """Write a line to the phone's standard input."""
        assert self.process
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()

    async def happened(self, what: str, count: int = 1, within_s: float = 10.0) -> dict[str, Any]:
        """Wait for `count` events `what`, and return the last of them. Raises TimeoutError."""

        def found() -> list[dict[str, Any]]:
            return [each for each in self.told if each["what"] == what]

        async with asyncio.timeout(within_s), self._news:
            await self._news.wait_for(lambda: len(found()) >= count)
        return found()[count - 1]

    def heed(self, line: str) -> dict[str, Any] | None:
        """The event in a line of the phone's output, or None if the line has no event."""
        try:
            told = json.loads(line)
        except ValueError:
            return None
        return told if isinstance(told, dict) and "what" in told else None

    async def _read(self, seen: int) -> None:
        lines = asyncio.StreamReader()
        opened = os.fdopen(seen, "rb", 0)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), opened)
        # Reading from a terminal fails when its other end is gone.
        with (self.folder / "output").open("ab") as kept, contextlib.closing(transport), contextlib.suppress(OSError):
            async for line in lines:
                kept.write(line)
                kept.flush()
                if told := self.heed(line.decode(errors="replace")):
                    async with self._news:
                        self.told.append(told)
                        self._news.notify_all()


class Scripted(Program):
    """Our own program for another vendor's library. It reads settings, and writes events as JSON lines."""

    script: str
    packages: tuple[str, ...]

    @classmethod
    def fetch(cls) -> Path:
        """The Python that has the library."""
        return python_with(*cls.packages)

    def settings(self) -> dict[str, Any]:
        wanted = self.wanted
        return {
            "folder": str(self.folder), "port": self.port, "user": self.endpoint, "transport": wanted.transport,
            "certificate": str(self.pbx.key_and_certificate), "codec": wanted.codec, "srtp": wanted.srtp,
            "ice": wanted.ice,
            "media": os.environ.get(MEDIA, LOOPBACK) if wanted.ice else LOOPBACK,
            "announced": wanted.announced, "early_ms": wanted.early_ms,
            "hold": wanted.hold, "rtp_port": 36_000 + 2 * (self.port - 20_000), "voice": str(self.voice),
            "rate_hz": 16000 if wanted.codec in ("G722", "opus") else 8000,
        }  # fmt: skip

    def command(self) -> Sequence[object]:
        settings = self.folder / "settings.json"
        settings.write_text(json.dumps(self.settings()))
        return [self.fetch(), Path(__file__).with_name(self.script), settings]

    async def ready(self) -> None:
        await self.happened("ready", within_s=STARTS_WITHIN_S)

    async def dial(self, name: str) -> None:
        await self.write(f"call {self.number(name)}")

    async def hang_up(self) -> None:
        await self.write("hangup")

    async def over(self, number: int) -> None:
        await self.happened("ended", number + 1)
        await wait_for_file(self.recording(number))


class Pjsua(Scripted):
    """A PJSUA2 phone."""

    name = "pjsua2"
    script = "pjsua_process.py"
    packages = ("pjsua2-python",)


class Aiortc(Scripted):
    """An aiortc phone, with SIP over a WebSocket."""

    name = "aiortc"
    script = "aiortc_process.py"
    packages = ("aiortc", "aiohttp")

    @property
    def target(self) -> str:
        return self.endpoint

    def number(self, name: str) -> str:
        return f"sip:{name}@{LOOPBACK}"

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"websocket": self.pbx.websocket}

    def command(self) -> Sequence[object]:
        self.environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return super().command()
