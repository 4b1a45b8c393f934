"""Debian's linphonec, with files in place of a sound card."""

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from lab.asterisk import LOOPBACK
from lab.debian_archive import PackagesUnavailable
from lab.unpacked_packages import command, unpacked_tree

from .program import DESKTOP, Program, wait_for_file

MIMES: Final = {
    "PCMU": ("PCMU", 8000),
    "PCMA": ("PCMA", 8000),
    "G722": ("G722", 8000),
    "GSM": ("GSM", 8000),
    "opus": ("opus", 48000),
}
WITHOUT: Final = (*DESKTOP, "perl*", "bind9*")
LOOKS_EVERY_S: Final = 0.25
INSTALLED: Final = b"/usr/share/belr/"
TOLD: Final = (
    (re.compile(r"incoming call from"), "incoming"),
    (re.compile(r"Call \d+ .*connected"), "connected"),
    (re.compile(r"Media streams established"), "answered"),
    (re.compile(r"Call \d+ .*(?:ended|error)|Call.* (?:ended|failed|terminated)"), "ended"),
)


class Linphone(Program):
    """A linphonec that answers by itself.

    It records each call in a separate file, whose name is set before the call.
    """

    name = "linphone"
    terminal = True

    @classmethod
    def fetch(cls) -> Path:
        return unpacked_tree("linphone-cli", without=WITHOUT)

    def command(self) -> Sequence[object]:
        root = self.fetch()
        wanted = self.wanted
        ports = {name: self.port if name == wanted.transport else 0 for name in ("udp", "tcp", "tls")}
        sections = [
            "[sip]", f"sip_port={ports['udp']}", f"sip_tcp_port={ports['tcp']}", f"sip_tls_port={ports['tls']}",
            f"contact=sip:{self.endpoint}@{LOOPBACK}", f"bind_address={LOOPBACK}", "guess_hostname=0", "use_ipv6=0",
            "media_encryption=" + {"sdes": "srtp", "dtls": "dtls", "": "none"}[wanted.srtp],
            "media_encryption_mandatory=0", "auto_answer_replacing_calls=1", "register_only_when_network_is_up=0",
            "verify_server_certs=0", "[rtp]", "audio_rtp_port=-1",
            *(wanted.settings or ("audio_adaptive_jitt_comp_enabled=0", "audio_jitt_comp=60")),
            f"bind_address={LOOPBACK}", "[video]", "enabled=0",
            "[net]", "firewall_policy=0",
        ]  # fmt: skip
        for index, (name, (mime, rate_hz)) in enumerate(MIMES.items()):
            on = int(name == wanted.codec)
            sections += [f"[audio_codec_{index}]", f"mime={mime}", f"rate={rate_hz}", f"enabled={on}"]
        settings = self.folder / "linphonerc"
        settings.write_text("\n".join(sections) + "\n")
        self.environment = os.environ | {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "TERM": "dumb"}
        self._number = 0
        (self.folder / ".local/share/linphone").mkdir(parents=True, exist_ok=True)
        loader, option, libraries, program = command(root, "usr/bin/linphonec")
        return [loader, option, f"{self._own_grammars(root)}:{libraries}", program, "-c", settings, "-a"]

    def _own_grammars(self, root: Path) -> Path:
        """A folder with a changed copy of libbelr, which looks for its grammars in the working folder.

        The original looks only in the folder of an installed package. Raises PackagesUnavailable if it differs from
        what is expected.
        """
        (self.folder / "grammars").symlink_to(root / "usr/share/belr/grammars")
        library = next(root.glob("usr/lib/*/libbelr.so.1"))
        own = self.folder / "lib"
        own.mkdir()
        octets = library.read_bytes()
        if octets.count(INSTALLED) != 1:
            raise PackagesUnavailable(f"{library} names its grammars in another way than expected")
        (own / library.name).write_bytes(octets.replace(INSTALLED, b"./" * (len(INSTALLED) // 2)))
        return own

    async def ready(self) -> None:
        await self.happened("started", within_s=20)
        await self._order("soundcard use files")
        await self.happened("ready", within_s=20)
        await self._order(f"play {self.voice}")
        await self._order(f"record {self.recording(0)}")

    async def _order(self, line: str) -> None:
        """Send one command. If several lines arrive before linphonec reads its input, it keeps only the last one."""
        await self.write(line)
        await asyncio.sleep(LOOKS_EVERY_S)

    def heed(self, line: str) -> dict[str, Any] | None:
        if "Using wav files" in line:
            return {"what": "ready", "line": line}
        if "Warning: video is disabled" in line:
            return {"what": "started", "line": line}
        return next(({"what": what, "line": line} for pattern, what in TOLD if pattern.search(line)), None)

    async def dial(self, name: str) -> None:
        await self._order(f"call {self.number(name)}")

    async def hang_up(self) -> None:
        await self._order("terminate")

    async def over(self, number: int) -> None:
        await self.happened("ended", number + 1)
        await wait_for_file(self.recording(number))
        if number == self._number:
            self._number += 1
            await self._order(f"record {self.recording(number + 1)}")
