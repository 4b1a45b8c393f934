"""Hostile INVITEs on a real Asterisk, and honest calls beside them.

    python -m bench.hostile_invites [--count 100000] [--seed N] [--rate 40] [--round 5000] [--weapon NAME] [--json]

In each round the service starts while hostile calls are in progress; it uses the ARI WebSocket and HTTP in turns. Calls
use ARI and AGI. Exits with 1 if Asterisk or the service died, an honest call did not hear its sound, a record is not
complete, the ledger does not verify, or the service's log has a number.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library
from lab.asterisk import IDTONE, Asterisk
from lab.asterisk_installation import AsteriskInstallation, find_or_get
from lab.calls.assert_heard import assert_heard_then_connected
from lab.hostile.attacked_trunk import AttackedTrunk
from lab.hostile.invites import WEAPONS
from lab.lab import CALLED_NUMBER, CALLER_NUMBER, LICENSED, SUSPENDED, Forwarding, Lab, lab, wait_until
from lab.processes import end_in_order
from lab.publication import LAB_REGISTRY
from lab.repository import ROOT
from lab.service import Service

from .bench_output import PROGRESS, options, report

HONEST_PER_S: Final = 2.0
LATEST_MS: Final = 1000.0
"""Latest start of an honest call's sound. It is generous: the bench checks that the sound is complete, not how busy the
machine is.
"""
STARTS_WITHIN_S: Final = 60.0
EMPTY_WITHIN_S: Final = 60.0
"""Seconds until Asterisk has no channel: an answered hostile call whose ACK never comes ends after 32 s."""


@dataclass(frozen=True, slots=True)
class AttackPlan:
    """An attack of `count` INVITEs, `rate` per second, in rounds of `round`.

    With `weapon`, only that part of each INVITE is hostile.
    """

    count: int
    seed: int = 1
    rate: float = 40.0
    round: int = 5_000
    weapon: str = ""


@dataclass
class AttackResults:
    """The results of all calls during an attack."""

    seed: int
    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    rang: int = 0
    honest: int = 0
    heard: int = 0
    unheard: list[str] = field(default_factory=list)
    """For each honest call without its sound, the reason."""
    died: list[str] = field(default_factory=list)
    """Programs that died, each with the hostile parts of the last INVITEs."""
    records: int = 0
    incomplete: int = 0
    anomalies: Counter[str] = field(default_factory=Counter)
    left: int = 0
    """Channels that still existed at the end."""
    verified: bool = False
    leaks: int = 0
    """Number of lines in the service's log that contain a telephone number."""
    asterisk_warnings: int = 0

    @property
    def faults(self) -> list[str]:
        return [
            *self.died,
            *self.unheard,
            *([f"{self.incomplete} records are not complete"] if self.incomplete else []),
            *([] if self.verified or self.died else ["the ledger does not verify"]),
            *([f"{self.leaks} lines of the log show a number"] if self.leaks else []),
        ]


class Attack:
    """A running process of `lab.hostile.hostile_load`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: dict[str, Any] = {"sent": 0, "answers": {}, "rang": 0, "held": 0, "waiting": []}

    async def follow(self, count: int) -> None:
        """Read the process's reports until the last INVITE is answered."""
        assert self._process.stdout
        async for line in self._process.stdout:
            self.told = json.loads(line)
            if self.told["sent"] == count and not self.told["waiting"]:
                return

    def start_or_stop(self) -> None:
        """Start the attack, or end a running attack.

        The second call hangs up the held calls.
        """
        assert self._process.stdin
        self._process.stdin.write(b"\n")


@asynccontextmanager
async def attack(asterisk: AttackedTrunk, plan: AttackPlan, first: int, count: int) -> AsyncIterator[Attack]:
    """Run hostile INVITEs during the block, and hang up all their calls at its end."""
    words = [
        "--seed", plan.seed, "--first", first, "--count", count, "--rate", plan.rate,
        "--weapon", plan.weapon, "--pbx", asterisk.sip_port,
        "--tcp", asterisk.tcp_port,
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "lab.hostile.hostile_load",
        *map(str, words),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    try:
        assert process.stdout
        port = json.loads(await process.stdout.readline())["called"]
        await asyncio.to_thread(asterisk.command, f"dialplan set global ATTACKED_PORT {port}")
        attacking = Attack(process)
        attacking.start_or_stop()
        yield attacking
        attacking.start_or_stop()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class HonestCalls:
    """Licensed calls at a steady rate, over both interfaces in turn."""

    def __init__(self, phones: Lab, found: AttackResults) -> None:
        self._phones = phones
        self._found = found
        self._references = {name: synthesise(profile, 8000) for name, profile in load_library().items()}

    async def call_until(self, over: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            while not over.is_set():
                tasks.create_task(self._call(("ari", "agi")[self._found.honest % 2]))
                self._found.honest += 1
                await asyncio.sleep(1 / HONEST_PER_S)

    async def _call(self, interface: str) -> None:
        try:
            placed, ending = await self._phones.call(Forwarding(LICENSED, interface=interface, endpoint="lab"))
            assert ending.reason == "licence-valid", f"{interface}: {ending}"
            assert_heard_then_connected(placed, "sample", self._references, latest_ms=LATEST_MS)
            for call in (placed.caller, placed.called):
                assert call
                call.packets.clear()
        except (AssertionError, TimeoutError) as error:
            self._found.unheard.append(f"an honest call over {interface}: {str(error)[:200] or type(error).__name__}")
        else:
            self._found.heard += 1


async def attack_and_call(
    asterisk: AttackedTrunk,
    service: Service,
    found: AttackResults,
    plan: AttackPlan,
    tell: Callable[[AttackResults], None],
) -> None:
    """Run the rounds of an attack, with honest calls at the same time.

    At the end of a round, the service is restarted during its hostile calls.
    """
    async with lab(asterisk) as phones:
        honest = HonestCalls(phones, found)
        await phones.call(Forwarding(LICENSED, endpoint="lab"))
        for turn, first in enumerate(range(0, plan.count, plan.round)):
            part = min(plan.round, plan.count - first)
            async with attack(asterisk, plan, first, part) as attacking:
                over = asyncio.Event()
                calling = asyncio.create_task(honest.call_until(over))
                following = asyncio.create_task(attacking.follow(part))
                while not following.done() and not dead_process(asterisk, service):
                    await asyncio.wait({following}, timeout=1)
                    tell(found)
                over.set()
                await calling
                found.sent += attacking.told["sent"]
                found.answers.update(attacking.told["answers"])
                found.rang += attacking.told["rang"]
                if not dead_process(asterisk, service):
                    await asyncio.to_thread(service.stop)
                    service.transport = ("auto", "http")[turn % 2]
                    await asyncio.to_thread(_start, service, found)
                if gone := dead_process(asterisk, service):
                    found.died.append(f"{gone} after {found.sent} INVITEs, the latest: {attacking.told['waiting']}")
                    following.cancel()
                    return
        # The idle channels of the site end too, and count as fewer than none.
        await asyncio.to_thread(asterisk.command, "channel request hangup all")
        try:
            await wait_until(lambda: asterisk.channels() <= 0, "Asterisk to be empty", EMPTY_WITHIN_S)
        except AssertionError:
            found.left = asterisk.channels()


def _start(service: Service, found: AttackResults) -> None:
    try:
        service.start(timeout_s=STARTS_WITHIN_S)
        time.sleep(1)  # it compares its calls with Asterisk's channels now
    except RuntimeError as error:
        found.died.append(f"the service did not start: {str(error)[-300:]}")


def dead_process(asterisk: Asterisk, service: Service) -> str:
    """The program that ended unexpectedly, with its exit code; empty if both run."""
    for name, process in (("Asterisk", asterisk.process), ("the service", service.process)):
        if process is None or process.poll() is not None:
            return f"{name} ended with {process and process.poll()}"
    return ""


def judge(service: Service, found: AttackResults) -> None:
    """Add the results from the evidence and the logs to `found`."""
    records = service.records()
    found.records = len(records)
    found.incomplete = sum(not record["complete"] for record in records.values())
    found.anomalies = Counter(each for record in records.values() for each in record["anomalies"])
    verified = subprocess.run(
        service.as_itself([IDTONE, "ledger", "verify", "-c", service.settings]),
        capture_output=True,
        text=True,
        check=False,
    )
    found.verified = verified.returncode == 0
    numbers = [number[1:] for number in (LICENSED, SUSPENDED, CALLED_NUMBER, CALLER_NUMBER)]
    found.leaks = sum(any(number in line for number in numbers) for line in service.log().splitlines())
    found.asterisk_warnings = len(service.asterisk.complaints())


def run_attacks(
    installation: AsteriskInstallation,
    scratch: Path,
    plan: AttackPlan,
    tell: Callable[[AttackResults], None] = lambda _: None,
) -> AttackResults:
    found = AttackResults(plan.seed)
    with AttackedTrunk(installation, scratch) as asterisk:
        service = Service(asterisk, LAB_REGISTRY)
        service.start(timeout_s=STARTS_WITHIN_S)
        try:
            asyncio.run(attack_and_call(asterisk, service, found, plan, tell))
            if not dead_process(asterisk, service):
                judge(service, found)
        finally:
            service.stop()
    return found


def main() -> int:
    parser = options(__doc__, count=100_000, seed=1, rate=40.0, round=5_000)
    parser.add_argument("--weapon", choices=["", *WEAPONS], default="", help="all INVITEs are hostile by this alone")
    chosen = parser.parse_args()
    plan = AttackPlan(chosen.count, chosen.seed, chosen.rate, chosen.round, chosen.weapon)
    end_in_order()
    said_s = began_s = time.monotonic()

    def tell(found: AttackResults) -> None:
        nonlocal said_s
        if time.monotonic() > said_s + 10:
            said_s = time.monotonic()
            PROGRESS.print(
                f"{said_s - began_s:.0f} s: {found.sent} sent, {found.heard} of {found.honest} honest calls heard"
            )

    with tempfile.TemporaryDirectory(prefix="idtone-hostile-") as folder:
        found = run_attacks(find_or_get(), Path(folder), plan, tell)
    shown = asdict(found) | {"faults": len(found.faults)}
    shown["answers"], shown["anomalies"] = dict(found.answers), dict(found.anomalies)
    if not chosen.json:
        for fault in found.faults[:20]:
            PROGRESS.print(fault)
        del shown["unheard"], shown["died"]
    report("hostile INVITEs", shown, chosen.json)
    return int(bool(found.faults))


if __name__ == "__main__":
    sys.exit(main())
