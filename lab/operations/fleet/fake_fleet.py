"""A fake fleet that answers commands as kamcmd, idtone and systemctl do, and fails on demand.

`tests/calls/test_fleet_upgrade.py` runs the same commands on a real Kamailio, Asterisk and service.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from idtone.operations.fleet.command_runner import CommandResult

GOOD = {"hook-file": "good", "hook-loaded": "good", "service": "good"}


@dataclass
class FakeNode:
    """A fake PBX."""

    name: str
    installed: str = "0.1.0"
    serving: str = "0.1.0"
    pid: int = 100
    decided: int = 0
    in_progress: int = 0
    running: bool = True
    ari: bool = True
    registry: int = 42
    findings: dict[str, str] = field(default_factory=lambda: dict(GOOD))
    new_version: str = "0.2.0"
    package_reloads: bool = True
    """True if the package starts the hand-over itself, as Debian's does."""
    on_reload: Callable[[FakeNode], None] = lambda node: None
    fails: set[str] = field(default_factory=set)
    """Commands that fail, by their first two words."""

    def answer(self, words: tuple[str, ...]) -> CommandResult:
        """Result of a command on the node."""
        if " ".join(words[:2]) in self.fails:
            return CommandResult(100, errors="E: no such package\n")
        match words:
            case ("idtone", "status", "--json"):
                return CommandResult(0 if self.running else 1, self._status())
            case ("idtone", "doctor", "--json"):
                found = [{"id": k, "state": v, "looked_at": f"The {k}", "found": "x"} for k, v in self.findings.items()]
                return CommandResult(1 if "bad" in self.findings.values() else 0, json.dumps(found))
            case ("idtone", "--version"):
                return CommandResult(0, f"idtone {self.installed}\n")
            case ("apt-get", "install", "-y", "--no-remove", "-o", "Dpkg::Options::=--force-confold", "idtone"):
                if self.installed != self.new_version:
                    self.installed = self.new_version
                    self.findings["hook-file"] = self.findings["hook-loaded"] = "bad"
                    if self.package_reloads:
                        self._reload()
                return CommandResult(0)
            case ("systemctl", "reload", "idtone"):
                self._reload()
                return CommandResult(0)
            case ("idtone", "dialplan", "export", "/etc/asterisk"):
                self.findings["hook-file"] = "good"
                return CommandResult(0)
            case ("asterisk", "-rx", "dialplan reload"):
                self.findings["hook-loaded"] = self.findings["hook-file"]
                return CommandResult(0)
        return CommandResult(127, errors=f"{words}: not found")

    def _reload(self) -> None:
        self.serving, self.pid, self.decided = self.installed, self.pid + 1, 0
        self.on_reload(self)

    def _status(self) -> str:
        if not self.running:
            return json.dumps({"running": False, "trouble": "no service runs"})
        return json.dumps(
            {
                "running": True,
                "instance": {"version": self.serving, "pid": self.pid},
                "ari": {"connected": self.ari},
                "calls": {"decisions": [{"calls": self.decided}], "in_progress": self.in_progress},
                "registry": {"version": self.registry, "trust": "signed"},
            }
        )


class FakeFleet:
    """Nodes behind two dispatchers, as both a `CommandRunner` and a clock.

    `ran` holds all commands with their prefixes.
    """

    def __init__(self, *nodes: FakeNode) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.flags = {name: {address(node.name): "AP" for node in nodes} for name in ("sip-1", "sip-2")}
        self.deaf: set[str] = set()
        """Dispatchers that refuse to change a state. kamcmd exits with 0 even then."""
        self.ran: list[tuple[str, ...]] = []
        self.now_s = 0.0
        self.each_second: Callable[[], None] = lambda: None

    def run(self, command: Sequence[str], within_s: float) -> CommandResult:
        """Run a command, as `CommandRunner.run` specifies."""
        self.ran.append(tuple(command))
        prefix, host, *words = command
        assert prefix == "via", command
        if host in self.nodes:
            return self.nodes[host].answer(tuple(words))
        return self._kamcmd(host, *words)

    def sleep(self, seconds: float) -> None:
        """Advance the clock."""
        self.now_s += seconds
        self.each_second()

    def _kamcmd(self, host: str, *words: str) -> CommandResult:
        flags = self.flags[host]
        match words:
            case ("kamcmd", "dispatcher.list"):
                destinations = "".join(
                    f"\t\t\t\tDEST: {{\n\t\t\t\t\tURI: {uri}\n\t\t\t\t\tFLAGS: {state}\n\t\t\t\t}}\n"
                    for uri, state in flags.items()
                )
                return CommandResult(
                    0, f"{{\n\tNRSETS: 1\n\tRECORDS: {{\n\t\tSET: {{\n\t\t\tID: 1\n\t\t\tTARGETS: {{\n{destinations}"
                )
            case ("kamcmd", "dispatcher.set_state", state, "1", uri) if uri in flags and host not in self.deaf:
                flags[uri] = state.upper()
                return CommandResult(0, "Ok. Dispatcher state updated.\n")
        return CommandResult(0, "error: 500 - State Update Failed\n")


def address(node: str) -> str:
    """Destination of the node in the dispatchers."""
    return f"sip:{node}:5060"


INVENTORY = """\
dispatchers:
  - {name: sip-1, run: [via, sip-1, kamcmd]}
  - {name: sip-2, run: [via, sip-2, kamcmd], group: 1}
nodes:
  - {node: pbx-1, run: [via, pbx-1], address: 'sip:pbx-1:5060'}
  - {node: pbx-2, run: [via, pbx-2], address: 'sip:pbx-2:5060'}
  - {node: pbx-3, run: [via, pbx-3], address: 'sip:pbx-3:5060'}
"""
