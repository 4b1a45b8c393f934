"""A Japanese operator's node: a fresh Debian 13 on which the commands of the pages were run."""

import email
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.policy import default
from pathlib import Path
from typing import Any, Final

from .first_month import Act, commands
from .machine import Machine, MachineFailed

NUMBER: Final = "0312345678"
"""Number with a licence in the sample registry."""
JAPAN: Final = {"LC_ALL": "", "LANG": "ja_JP.UTF-8", "LANGUAGE": "ja"}
ANSWERS: Final = {
    "idtone setup --call": NUMBER,
    "sudo idtone-evidence hold place ": NUMBER,
    "sudo -u idtone idtone console": "a long pass phrase of mine",
}
"""Beginning of a command → the operator's answer. The answer to all other questions is yes."""
IDS: Final = {
    "s-1a2b3c4d": ("idtone suspensions list --json", "id"),
    "CALL_ID": ("idtone ledger list --limit 1 --until 0s --json", "call_id"),  # no call from the future
    "h-1a2b3c4d": ("idtone-evidence hold list --json", "hold"),
}
"""Placeholder of an id on a page → the command that prints this node's id, and its field."""
MAILS: Final = "/var/mails"
AS_SERVICE: Final = ("runuser", "-u", "idtone", "--")
_DIALPLAN: Final = """
[first-month]
exten = _0XXXXXXXXX,1,Gosub(idtone-forward,s,1(Local/s@mobile/n,${EXTEN},incoming,30,09011112222))
 same = n,Hangup(${IDTONE_CAUSE})
[mobile]
exten = s,1,Answer()
 same = n,Wait(30)
 same = n,Hangup()
"""
_SENDMAIL: Final = f"""#!/bin/sh
mkdir -p {MAILS}
cat > {MAILS}/$(date +%s%N)
"""
CALL_S: Final = 30.0
LINE_S: Final = 1200.0
"""Maximum time in seconds of a typed line. The longest one fetches and installs Asterisk."""
LISTEN: Final = "127.0.0.1:9573"


@dataclass
class OperatorNode:
    machine: Machine
    commands: int = 0
    took: dict[str, float] = field(default_factory=dict)
    _known: set[str] | None = None
    """Result of the last check after an act, or None if the doctor must check again."""

    @property
    def root(self) -> Path:
        return self.machine.root

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        file = self.root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def resemble(self) -> None:
        """Add what an operator's machine has: a current mirror, a limit of open files, and a known host name."""
        self.write("/etc/apt/apt.conf.d/50old-mirror", 'Acquire::Check-Valid-Until "false";\n')
        self.write("/etc/systemd/system/asterisk.service.d/limit.conf", "[Service]\nLimitNOFILE=65536\n")
        with (self.root / "etc/hosts").open("a") as hosts:  # as Debian's installer writes it
            hosts.write(f"127.0.0.1 localhost\n127.0.1.1 {self.machine.run('hostname').strip()}\n")

    def type(self, lines: Iterable[str], refused: tuple[str, ...] = ()) -> str:
        """Type lines in one shell, as an operator does, and return their output.

        A line that begins like one of `refused` may fail. Each line may take `LINE_S`.
        """
        said = ""
        with self.machine.shell(**JAPAN) as shell:
            shell.type("cd /root", LINE_S)
            for line in lines:
                answer = next((text for start, text in ANSWERS.items() if line.startswith(start)), "y")
                began_s = time.monotonic()
                line = self._with_ids(line)
                code, printed = shell.type(f"{{ {line}\n}} < <(yes {answer})", LINE_S)
                said += f"# {line}\n{printed}"
                print(f"{time.monotonic() - began_s:6.1f} s  {line}")
                if code and not (refused and line.startswith(refused)):
                    raise MachineFailed(f"{line}: exit {code}\n{said}")
        return said

    def _with_ids(self, line: str) -> str:
        for example, (command, name) in IDS.items():
            if example in line:
                (found,) = json.loads(self.machine.run(*command.split()))
                line = line.replace(example, found[name])
        return line

    def do(self, act: Act) -> str:
        began_s = time.monotonic()
        said = self.type(commands(f"act: {act.name}", act.page), act.refused)
        self.took[act.name] = time.monotonic() - began_s
        return said

    def prepare_calls(self) -> None:
        """Install a sendmail, and the operator's own dialplan, which forwards calls with the hook."""
        plan = self.root / "etc/asterisk/extensions.conf"
        plan.write_text(plan.read_text() + _DIALPLAN)
        self.machine.run("asterisk", "-rx", "dialplan reload")
        self.write("/usr/sbin/sendmail", _SENDMAIL, 0o755)

    def place(self) -> None:
        """Begin a forwarded call. Its caller stays for four seconds."""
        self.machine.run("asterisk", "-rx", f"channel originate Local/{NUMBER}@first-month application Wait 4")

    def records(self, limit: int = 1) -> list[dict[str, Any]]:
        listed = self.machine.run(*AS_SERVICE, "idtone", "ledger", "list", "--limit", str(limit), "--json")
        found: list[dict[str, Any]] = json.loads(listed)
        return found

    def call(self) -> dict[str, Any]:
        """Place a call, wait until it has ended, and return its record."""
        before = {each["call_id"] for each in self.records(1000)}
        self.place()
        new: list[dict[str, Any]] = []

        def is_there() -> bool:
            new[:] = [each for each in self.records(1000) if each["call_id"] not in before and each["complete"]]
            return bool(new)

        self.wait(is_there, "the record of a call", CALL_S)
        return new[0]

    def call_with_a_wrong_clock(self) -> dict[str, Any]:
        """Place a call while the service's clock is two hours ahead, and return its record.

        The machine's clock is not changed.
        """
        self.machine.install("libfaketime")
        (library,) = (self.root / "usr/lib").glob("*/faketime/libfaketime.so.1")
        faked = f"LD_PRELOAD=/{library.relative_to(self.root)} FAKETIME=+2h FAKETIME_DONT_FAKE_MONOTONIC=1"
        part = "/etc/systemd/system/idtone.service.d/ahead.conf"
        # The library slows down each look at the clock, and thereby the service on a busy machine.
        self.write(part, f"[Service]\nEnvironment={faked}\nWatchdogSec=30s\n")
        restart = "systemctl daemon-reload && systemctl restart idtone"
        self.machine.run("sh", "-c", restart)
        try:
            self.wait(self.is_connected, "the service with a wrong clock", 30)
            return self.call()
        finally:
            self.machine.run("sh", "-c", f"rm {part} && {restart}")

    def status(self) -> dict[str, Any]:
        """Output of `idtone status --json`, which ends with 1 if no service runs."""
        printed = self.machine.run("sh", "-c", "idtone status --json || true")
        found: dict[str, Any] = json.loads(printed)
        return found

    def processor_s(self, unit: str) -> float:
        """Processor time of a unit's processes since its start, in seconds."""
        shown = self.machine.run("systemctl", "show", "--value", "--property", "CPUUsageNSec", unit)
        return int(shown) / 1e9

    def is_connected(self) -> bool:
        found = self.status()
        return bool(found["running"] and found["ari"]["connected"])

    def is_well(self) -> bool:
        found = self.status()
        return bool(found["running"] and found["ari"]["connected"] and not found["troubles"])

    def bad(self) -> set[str]:
        """The doctor's findings that are not good.

        The result after one act is reused before the next one, because the doctor takes longer than most acts.
        """
        known, self._known = self._known, None
        return self._look() if known is None else known

    def _look(self) -> set[str]:
        found = json.loads(self.machine.run("sh", "-c", "idtone doctor --json || true"))
        return {f"{each['id']}: {each['state']}" for each in found if each["state"] in ("bad", "warning")}

    def is_as_good(self, before: set[str], said: str) -> None:
        """Assert that the node is as good as before an act. A failure shows the act's output `said`.

        The node is well, the doctor finds nothing new, a call gets the licensed sound, and the evidence verifies.
        """
        self.wait(self.is_well, said, 60)
        # On a busy machine, a single check by the doctor may find a name that resolves slowly.
        after: set[str] = set()

        def is_no_worse() -> bool:
            nonlocal after
            after = self._look()
            return after <= before

        self.wait(is_no_worse, f"no finding but {sorted(before)}; {said}", 60)
        record = self.call()
        assert (record["outcome"], record["status"], record["fallback"]) == ("PLAY", "CONNECTED", False), said
        # Local channels have no packets to count.
        assert (record["profile"], record["known_by"]) == ("sample", {"called": "playback"}), (record, said)
        self.machine.run("idtone", "ledger", "verify")
        self._known = after

    def mails(self) -> list[str]:
        folder = self.root / MAILS[1:]
        read = [email.message_from_bytes(each.read_bytes(), policy=default) for each in sorted(folder.glob("*"))]
        return [f"To: {each['To']}\n{each['Subject']}\n{each.get_content()}" for each in read if each["To"]]

    def wait(self, condition: Callable[[], bool], what: str, within_s: float, every_s: float = 0.5) -> float:
        """Wait until a condition is true, and return the number of seconds that it took. Raises AssertionError."""
        began_s = time.monotonic()
        while not condition():
            assert time.monotonic() - began_s < within_s, f"not within {within_s:.0f} s: {what}; {self.status()}"
            time.sleep(every_s)
        return time.monotonic() - began_s
