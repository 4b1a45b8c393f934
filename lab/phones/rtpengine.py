"""A real rtpengine as the media relay between the PBX and a phone, in userspace and controlled by its ng protocol."""

import asyncio
import os
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lab.asterisk import LOOPBACK, free_ports
from lab.unpacked_packages import command, unpacked_tree

from .network_devices import change_media_address

WITHOUT: Final = (
    "rtpengine-kernel-dkms",
    "dkms",
    "linux-*",
    "gcc*",
    "perl*",
    "systemd*",
    "dbus*",
    "libgtk*",
    "mesa-*",
    "libllvm*",
    "libz3-*",
)
STARTS_WITHIN_S: Final = 10.0


@dataclass
class Rtpengine:
    """An rtpengine as the `MediaPath` of a `network_device`."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    announced: str = ""
    """Address that the phone announces to rtpengine, if the phone is behind NAT."""
    _cookies: int = 0
    _control: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    @classmethod
    def fetch(cls) -> Path:
        """Folder of the unpacked packages. Raises PackagesUnavailable."""
        return unpacked_tree("rtpengine-daemon", without=WITHOUT)

    def start(self) -> None:
        """Start rtpengine. `ready` waits until it answers."""
        (self.port,) = free_ports(1, socket.SOCK_DGRAM)
        root = self.fetch()
        words = [
            *command(root, "usr/bin/rtpengine"), "--foreground", "--log-stderr", "--log-level=6", "--table=-1",
            "--config-file=none", f"--interface={LOOPBACK}", f"--listen-ng={LOOPBACK}:{self.port}",
            "--port-min=32100", "--port-max=32700", "--num-threads=1",
        ]  # fmt: skip
        with (self.folder / "rtpengine.log").open("wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        self._control.connect((LOOPBACK, self.port))
        self._control.setblocking(False)

    async def ready(self) -> None:
        """Wait until rtpengine answers. Raises RuntimeError with its log."""
        for _ in range(round(STARTS_WITHIN_S / 0.1)):
            try:
                await self._ask({"command": "ping"}, 0.1)
            except (TimeoutError, ConnectionError):
                await asyncio.sleep(0.1)
            else:
                return
        raise RuntimeError(f"rtpengine did not start:\n{(self.folder / 'rtpengine.log').read_text()[-2000:]}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to freeze, thaw or kill rtpengine."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        self.process = None

    async def offer(self, call: str, body: bytes) -> bytes:
        return await self._changed("offer", call, body, {"from-tag": "pbx"})

    async def answer(self, call: str, body: bytes, status: int) -> bytes:
        body = change_media_address(body, self.announced)
        return await self._changed("answer", call, body, {"from-tag": "pbx", "to-tag": "phone"})

    async def close(self) -> None:
        pass

    async def _changed(self, verb: str, call: str, body: bytes, tags: dict[str, Any]) -> bytes:
        asked = {"command": verb, "call-id": call, "sdp": body, "ICE": "remove"}
        told = await self._ask(asked | tags, 2.0)
        if told.get(b"result") != b"ok":
            raise RuntimeError(f"rtpengine: {told}")
        return bytes(told[b"sdp"])

    async def _ask(self, what: dict[str, Any], within_s: float) -> dict[bytes, Any]:
        self._cookies += 1
        cookie = f"{self._cookies}".encode()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(within_s):
            await loop.sock_sendall(self._control, cookie + b" " + encoded(what))
            while True:
                data = await loop.sock_recv(self._control, 65536)
                answered, _, rest = data.partition(b" ")
                if answered == cookie:
                    return dict(decoded(rest)[0])


def encoded(value: Any) -> bytes:
    """The value in bencode."""
    match value:
        case dict():
            return b"d" + b"".join(encoded(key) + encoded(each) for key, each in sorted(value.items())) + b"e"
        case list():
            return b"l" + b"".join(map(encoded, value)) + b"e"
        case int():
            return b"i%de" % value
        case str():
            return encoded(value.encode())
    return b"%d:%b" % (len(value), value)


def decoded(data: bytes) -> tuple[Any, bytes]:
    """The first value in the bencode `data`, and the rest of the data."""
    kind = data[:1]
    if kind == b"i":
        number, _, rest = data[1:].partition(b"e")
        return int(number), rest
    if kind in (b"l", b"d"):
        values, rest = [], data[1:]
        while rest[:1] != b"e":
            value, rest = decoded(rest)
            values.append(value)
        return (values if kind == b"l" else dict(zip(values[::2], values[1::2], strict=True))), rest[1:]
    length, _, rest = data.partition(b":")
    return rest[: int(length)], rest[int(length) :]
