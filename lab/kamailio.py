"""Runs a real Kamailio with the shipped configuration: the machine's own, or Debian's, unpacked in the user's cache.

    python -m lab.kamailio     prints its version

Kamailio listens on a loopback address without root, and keeps all its files in a scratch folder.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from .asterisk import LOOPBACK, free_ports
from .debian_archive import PackagesUnavailable
from .repository import ROOT
from .sip import Address
from .unpacked_packages import command, print_found, unpacked_tree

SAMPLES: Final = ROOT / "config" / "kamailio"
CONFIGURATION: Final = "idtone-dispatcher.cfg"
WITHOUT: Final = tuple(
    """
    adduser debconf init-system-helpers libc-bin libdebconf* libperl* login.defs mailcap media-types passwd perl*
    python3* libpython* sgml-base xml-core
    """.split()
)
"""Patterns of packages needed only for its installation, or only by modules that are not loaded."""
OLDEST: Final = 6
NODES, CARRIERS = 1, 2
"""Numbers of the destination sets in the shipped configuration."""
UNASKED: Final = 32
"""Flag of a destination that gets no OPTIONS."""
READY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class KamailioInstallation:
    """An installed Kamailio. `command` and `control` run `kamailio` and `kamcmd`.

    `modules` is the folder of its modules.
    """

    command: list[str]
    control: list[str]
    modules: Path
    version: str


def find_or_get() -> KamailioInstallation:
    """The Kamailio of this machine, or a fetched one. Raises PackagesUnavailable."""
    own = shutil.which("kamailio", path="/usr/sbin:/usr/local/sbin")
    if own:
        folders = [*Path(own).parents[1].glob("lib*/**/kamailio/modules"), *Path("/usr/lib").glob("*/kamailio/modules")]
        found = _installation([own], ["kamcmd"], folders)
        if found and int(found.version.partition(".")[0]) >= OLDEST:
            return found
    root = unpacked_tree("kamailio", "kamailio-secsipid-modules", without=WITHOUT)
    found = _installation(
        command(root, "usr/sbin/kamailio"),
        command(root, "usr/sbin/kamcmd"),
        list(root.glob("usr/lib/*/kamailio/modules")),
    )
    if found is None:
        raise PackagesUnavailable(f"the Kamailio in {root} does not start. Install kamailio {OLDEST} or newer")
    return found


def _installation(program: list[str], control: list[str], folders: Sequence[Path]) -> KamailioInstallation | None:
    said = subprocess.run([*program, "-v"], capture_output=True, text=True, timeout=60, check=False).stdout.split()
    # version: kamailio 6.0.1 (x86_64/linux)
    if said[:2] != ["version:", "kamailio"] or not folders:
        return None
    return KamailioInstallation(program, control, folders[0], said[2])


class Kamailio:
    """A running Kamailio with the shipped configuration, at a free port.

    `nodes` and `carriers` are the destinations of calls.
    """

    def __init__(
        self,
        installation: KamailioInstallation,
        scratch: Path,
        nodes: Sequence[Address],
        carriers: Sequence[Address],
        own_numbers: str = "^$",
        div: tuple[Path, str] | None = None,
    ) -> None:
        """Write the configuration, without starting Kamailio.

        `own_numbers` is a regular expression for the numbers that return to the nodes. `div` is a key for PASSporTs of
        diversions, with the address of its certificate.
        """
        self._installation = installation
        self._scratch = scratch
        self._own_numbers = own_numbers
        self._div = div
        self.address: Address = (LOOPBACK, free_ports(1, socket.SOCK_DGRAM)[0])
        self.log_file = scratch / "log"
        self._process: subprocess.Popen[bytes] | None = None
        scratch.mkdir(parents=True, exist_ok=True)
        shutil.copy(SAMPLES / CONFIGURATION, scratch)
        lines = [(NODES, node, 0) for node in nodes] + [(CARRIERS, carrier, UNASKED) for carrier in carriers]
        text = "".join(f"{group} {_uri(address)} {flags}\n" for group, address, flags in lines)
        (scratch / "dispatcher.list").write_text(text)

    @property
    def control_socket(self) -> Path:
        """Socket for kamcmd."""
        return self._scratch / "ctl"

    @property
    def pids(self) -> list[int]:
        """Process ids of Kamailio: its main process first, then the children."""
        assert self._process
        return [self._process.pid, *_children(self._process.pid)]

    def check(self) -> None:
        """Check the configuration with Kamailio. Raises RuntimeError with its output."""
        self._write_own()
        done = subprocess.run(
            [*self._command(), "-c"], capture_output=True, text=True, timeout=60, check=False, cwd=self._scratch
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def start(self) -> None:
        self._write_own()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command(), "-DD", "-E"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._scratch,
                start_new_session=True,
            )
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            try:
                self.call("core.uptime")
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise RuntimeError(f"Kamailio does not start:\n{self.log_file.read_text()[-3000:]}")

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def kill(self) -> None:
        """Kill all processes of this Kamailio at once."""
        assert self._process
        own = self.pids
        for pid in own:
            _kill(pid)
        self._process.wait(60)
        self._process = None
        while any(Path(f"/proc/{pid}").exists() for pid in own):  # the next Kamailio binds the same address
            time.sleep(0.01)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def call(self, method: str, *arguments: object, within_s: float = 20.0) -> Any:
        """Call a remote procedure and return its result.

        Raises OSError if Kamailio does not answer, and RuntimeError if it refuses the call.
        """
        mine = self._scratch / "answers"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            mine.unlink(missing_ok=True)
            asking.bind(str(mine))
            asking.settimeout(within_s)
            asking.connect(str(self._scratch / "rpc"))
            asking.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": arguments}).encode())
            answer = json.loads(asking.recv(65536))
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def states(self, group: int = NODES) -> Mapping[Address, str]:
        """Address of each destination → its state: `AP` active and probed, `IP` inactive, `DX` taken out, …"""
        found = {}
        for record in self.call("dispatcher.list")["RECORDS"]:
            if record["SET"]["ID"] != group:
                continue
            for each in record["SET"]["TARGETS"]:
                host, _, port = each["DEST"]["URI"].removeprefix("sip:").partition(":")
                found[(host, int(port))] = each["DEST"]["FLAGS"]
        return found

    def set_state(self, state: str, address: Address, group: int = NODES) -> None:
        """Set the state of a destination: `dx` takes it out, and `ap` puts it back."""
        self.call("dispatcher.set_state", state, group, _uri(address))

    def kamcmd(self, *arguments: str) -> str:
        """The output of `kamcmd`, run as an operator would run it."""
        return subprocess.check_output(
            [*self._installation.control, "-s", f"unix:{self.control_socket}", *arguments], text=True, timeout=60
        )

    def _command(self) -> list[str]:
        return [
            *self._installation.command, "-f", str(self._scratch / CONFIGURATION),
            "-L", str(self._installation.modules), "-Y", str(self._scratch), "-m", "64", "-M", "8",
        ]  # fmt: skip

    def _write_own(self) -> None:
        defined = {
            "LISTEN": f"udp:{self.address[0]}:{self.address[1]}",
            "OWN_NUMBERS": f'"{self._own_numbers}"',
            "LIST": f'"{self._scratch / "dispatcher.list"}"',
            "CONTROL": f'"unix:{self.control_socket}"',
            "JSONRPC": f'"{self._scratch / "rpc"}"',
            "CHILDREN": "2",
        }
        if self._div:
            defined |= {"DIV_KEY": f'"{self._div[0]}"', "DIV_CERTIFICATE": f'"{self._div[1]}"'}
        text = "".join(f"#!define IDTONE_{name} {value}\n" for name, value in defined.items())
        (self._scratch / "idtone-dispatcher-local.cfg").write_text(text)


def _uri(address: Address) -> str:
    return f"sip:{address[0]}:{address[1]}"


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def main() -> int:
    """Find or fetch Kamailio, and print its version."""
    return print_found(lambda: find_or_get().version)


if __name__ == "__main__":
    sys.exit(main())
