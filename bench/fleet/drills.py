"""Drills in which a part of the fleet fails during calls and recovers."""

import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.carrier import CarriedCall, Carrier
from lab.fleet import Fleet, Node, wait_until
from lab.lab import LICENSED, SUSPENDED

from .call_results import CallResults, judge_calls

NUMBERS: Final = (LICENSED,)
BEFORE_S, AFTER_S = 4.0, 5.0
LONG_S, LONG_RATE = 10.0, 1.0
"""Duration in seconds, and rate per second, of the calls that are in progress at the failure."""
BACK_S: Final = 60.0
FILLING_S: Final = 6.0


@dataclass(frozen=True)
class Drill:
    """A drill in which a part of the fleet fails.

    `strike` makes the part fail, and `mend` repairs it after `away_s`. `is_back` is True once the part works again.
    Calls may be lost on `dead_nodes` and, with `dead_proxy`, through the first Kamailio.
    """

    name: str
    strike: Callable[[Fleet], None]
    mend: Callable[[Fleet], None]
    is_back: Callable[[Fleet], bool]
    away_s: float = 8.0
    dead_nodes: Collection[str] = ()
    dead_proxy: bool = False
    prepare: Callable[[Fleet], None] = lambda fleet: None
    """Called before the calls begin."""
    noticed: Callable[[Fleet], bool] | None = None
    """Tells if a node has reported the fault; None if no report is expected."""
    splits: bool = False
    """True if a call may begin in one ledger and end in another."""


@dataclass(frozen=True)
class DrillResult:
    """The result of a drill.

    `noticed_s` is from the failure to a node's report of it. `back_s` is from the repair until the part works again.
    Both are None if that did not happen. `faults` are the missed goals.
    """

    name: str
    away_s: float
    noticed_s: float | None
    back_s: float | None
    judged: CallResults
    faults: list[str]


def run_drill(fleet: Fleet, one: Drill, rate: float, folder: Path) -> DrillResult:
    """Run a drill with calls before, during and after the failure, and return its result."""
    one.prepare(fleet)
    away_s, noticed_s = one.away_s, None
    seconds = BEFORE_S + away_s + AFTER_S
    with ExitStack() as started:
        carriers = []
        for number, proxy in enumerate(fleet.proxies, 1):
            for kind, numbers, each_rate, hold_s in (
                ("short", NUMBERS, rate / len(fleet.proxies), 0.2),
                ("long", NUMBERS, LONG_RATE / len(fleet.proxies), LONG_S),
                ("suspended", (SUSPENDED,), 1 / len(fleet.proxies), 0.2),
            ):
                carrier = Carrier(
                    proxy.address,
                    numbers,
                    each_rate,
                    seconds,
                    folder / f"{number}-{kind}",
                    hold_s,
                    "".join(filter(str.isalnum, f"{number}x{one.name}{kind}")),
                )
                started.callback(carrier.stop)
                carriers.append(carrier)
        time.sleep(BEFORE_S)
        struck_s = time.time()
        one.strike(fleet)
        if noticed := one.noticed:
            with suppress(TimeoutError):
                wait_until(lambda: noticed(fleet), "a word of it", away_s)
                noticed_s = time.time() - struck_s
        time.sleep(max(0.0, struck_s + away_s - time.time()))
        one.mend(fleet)
        try:
            back_s: float | None = wait_until(lambda: one.is_back(fleet), one.name, BACK_S)
        except TimeoutError:
            back_s = None
        calls: dict[str, CarriedCall] = {}
        for carrier in carriers:
            calls |= carrier.finish()
    fleet.settle()
    found = judge_calls(fleet, calls, struck_s, one.dead_nodes, "1x" if one.dead_proxy else "")
    row = DrillResult(one.name, away_s, noticed_s, back_s, found, [])
    row.faults.extend(missed_goals(one, row))
    return row


def missed_goals(one: Drill, row: DrillResult) -> list[str]:
    found = row.judged
    wanted = {
        "lost elsewhere": found.lost_elsewhere,
        "calls in progress elsewhere touched": found.touched_elsewhere,
        "suspended numbers connected": found.suspended_connected,
        "calls without a record": found.without_record,
        "records not in PostgreSQL": found.not_replicated,
        "calls that rang twice": found.rang_twice,
        "records without their end": 0 if one.splits else max(0, found.incomplete - found.cut_on_dead),
        "turned away": found.busy,
    }
    missed = [f"{count} {what}" for what, count in wanted.items() if count]
    if row.back_s is None:
        missed.append(f"not back within {BACK_S:g} s")
    if one.noticed and row.noticed_s is None:
        missed.append("not noticed")
    return missed


# -- the drills -------------------------------------------------------------------------------------------------------


def _node(place: int) -> Callable[[Fleet], Node]:
    return lambda fleet: fleet.nodes[place]


def is_active(fleet: Fleet, node: Node) -> bool:
    return all(proxy.states()[node.asterisk.sip_address].startswith("A") for proxy in fleet.proxies)


def is_replicated(fleet: Fleet) -> bool:
    """True if all nodes replicate and no step waits."""
    told = [node.metrics() for node in fleet.nodes]
    return all(
        each.get("idtone_ledger_replicated") == 1 and each.get("idtone_ledger_unreplicated_steps") == 0 for each in told
    )


def _ready(node: Node) -> bool:
    return node.metrics().get("idtone_ari_connected") == 1


def _nothing(fleet: Fleet) -> None:
    """Do nothing: systemd or keepalived repairs the part."""


def _kill_service(fleet: Fleet) -> None:
    os.kill(fleet.nodes[0].service.pid, signal.SIGKILL)


def _restart(node: Callable[[Fleet], Node]) -> Callable[[Fleet], None]:
    """A function that kills a frozen node's service and Asterisk, and starts them again. The calls that waited in their
    sockets are lost.
    """

    def restart(fleet: Fleet) -> None:
        frozen = node(fleet)
        frozen.kill_asterisk()
        frozen.service.frozen = False
        os.kill(frozen.service.pid, signal.SIGKILL)
        frozen.asterisk.start()

    return restart


def _kill_proxy(fleet: Fleet) -> None:
    fleet.proxies[0].kill()
    fleet.take_over(fleet.proxies[0])


def _fill(fleet: Fleet) -> None:
    """Fill the node's disk again and again for a while, because the database first uses free pages of its own file."""
    node = next(node for node in fleet.nodes if node.service.disk_mb)
    with node.service.seen_ledger.with_name("others").open("ab", buffering=0) as file:
        until_s = time.monotonic() + FILLING_S
        while time.monotonic() < until_s:
            for size in (4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(b"x" * size)
            time.sleep(0.2)


def _make_room(fleet: Fleet) -> None:
    node = next(node for node in fleet.nodes if node.service.disk_mb)
    node.service.seen_ledger.with_name("others").unlink()


def _fail_over(fleet: Fleet) -> None:
    fleet.primary.kill()
    time.sleep(2)  # before a promotion, the operator makes sure that the primary is dead
    fleet.standby.promote()


def all_drills(cut_s: float) -> tuple[Drill, ...]:
    """All drills, the longest last.

    One drill cuts the network between a node and the database for `cut_s` seconds.
    """
    first, second = _node(0), _node(1)
    return (
        Drill(
            "Asterisk killed", lambda fleet: first(fleet).kill_asterisk(), lambda fleet: first(fleet).asterisk.start(),
            lambda fleet: is_active(fleet, first(fleet)) and _ready(first(fleet)), dead_nodes={"pbx-1"},
        ),
        Drill("service killed", _kill_service, _nothing, lambda fleet: _ready(first(fleet)), away_s=0.1),
        Drill(
            "node frozen", lambda fleet: second(fleet).freeze(), lambda fleet: second(fleet).thaw(),
            lambda fleet: is_active(fleet, second(fleet)) and _ready(second(fleet)), dead_nodes={"pbx-2"},
        ),
        Drill(
            "node frozen, then restarted", lambda fleet: second(fleet).freeze(), _restart(second),
            lambda fleet: is_active(fleet, second(fleet)) and _ready(second(fleet)), dead_nodes={"pbx-2"},
        ),
        Drill(
            "Kamailio killed", _kill_proxy, _nothing, lambda fleet: bool(fleet.proxies[0].states()), away_s=0.1,
            dead_proxy=True,
        ),
        Drill(
            "registry server gone", lambda fleet: fleet.registry.stop(), lambda fleet: fleet.registry.start(),
            lambda fleet: fleet.registry.running,
        ),
        Drill(
            "witness gone", lambda fleet: fleet.witnesses[0].stop(), lambda fleet: _start_witness(fleet),
            lambda fleet: fleet.witnesses[0].running,
        ),
        Drill("disk full on a node", _fill, _make_room, is_replicated),
        Drill(
            "network to the database cut", lambda fleet: second(fleet).cut(), lambda fleet: second(fleet).mend(),
            is_replicated, away_s=cut_s,
        ),
        Drill("primary database killed", _fail_over, _nothing, is_replicated, away_s=2.5),
    )  # fmt: skip


def _start_witness(fleet: Fleet) -> None:
    fleet.witnesses[0].start()
