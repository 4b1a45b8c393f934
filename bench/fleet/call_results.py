"""Results of the calls around a failure in the fleet, by carrier, called phones and evidence."""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from idtone.core.calls import Outcome
from idtone.core.errors import LedgerError
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.replication.node_ledgers import Ledgers
from idtone.ledger.store.ledger_reader import LedgerReader
from lab.carrier import CarriedCall
from lab.fleet import Fleet, Node
from lab.lab import SUSPENDED

NOTICED_S: Final = 5.0
"""Seconds for which a dead part may still get calls, until Kamailio notices by OPTIONS or a timeout."""
ENTERED_S: Final = 60.0
"""Longest wait for the evidence after the calls, in seconds."""


@dataclass(frozen=True)
class CallResults:
    """Counts of calls in a drill.

    On the failed part, `lost_on_dead` calls were in set-up and `cut_on_dead` calls were in progress. `lost_elsewhere`
    and `touched_elsewhere` count the same on the other parts.
    """

    offered: int
    answered: int
    refused: int
    busy: int
    lost_on_dead: int
    lost_elsewhere: int
    lost_how: list[str]
    """A text for each lost call: its final status (0 for none), its time in seconds after the failure, and the nodes
    where it rang.
    """
    cut_on_dead: int
    touched_elsewhere: int
    rang_twice: int
    suspended_offered: int
    suspended_connected: int
    with_notice: int
    """Calls that got the notice instead of the licensed sound, by the evidence."""
    unannounced: int
    """Answered calls whose sound did not play to its end, by the evidence."""
    records: int
    kept_apart: int
    """Records that are only in a ledger outside the nodes."""
    without_record: int
    """Answered and refused calls that are in no ledger."""
    incomplete: int
    """Answered calls whose record has no end, because Asterisk was killed."""
    not_replicated: int
    """The nodes' records that PostgreSQL lacks, or has in another form."""
    entered_s: float
    """Seconds from the end of the calls until all their evidence was complete, in PostgreSQL too."""
    recovered_s: float | None
    """Seconds from the failure to the sending of the last lost or rejected call; None without such a call."""


@dataclass(frozen=True)
class _Evidence:
    own: dict[tuple[str, str], Record]
    """Node and call id → record."""
    apart: dict[tuple[str, str], Record]
    replicated: dict[tuple[str, str], Record]


def judge_calls(
    fleet: Fleet,
    calls: Mapping[str, CarriedCall],
    struck_s: float,
    dead_nodes: Collection[str] = (),
    dead_proxy: str = "",
    within_s: float = ENTERED_S,
) -> CallResults:
    """Wait for the evidence, and count the results of the calls.

    `struck_s` is the time of the failure, since the epoch. `dead_nodes` has the names of the failed nodes. If a
    Kamailio failed, the ids of its calls begin with `dead_proxy`. The wait is at most `within_s`.
    """
    names = {node.asterisk.sip_address: node.name for node in fleet.nodes}
    names |= {each.address: each.name for each in fleet.apart if each.address}
    arrived: dict[str, list[tuple[str, str]]] = {}
    for arrival in fleet.phones.arrivals():
        name, node, unique = arrival.call.split("_")
        if name in calls:
            arrived.setdefault(name, []).append((node, f"{unique}-1"))
    began = datetime.fromtimestamp(min(call.sent_s for call in calls.values()), UTC) - timedelta(seconds=1)

    def on_dead(name: str, call: CarriedCall) -> bool:
        if dead_proxy:
            return name.startswith(dead_proxy)
        where = names.get(call.node) if call.node else next((node for node, _ in arrived.get(name, ())), None)
        if where is not None:
            return where in dead_nodes
        return bool(dead_nodes) and struck_s - NOTICED_S < call.sent_s < struck_s + NOTICED_S

    answered = {name: call for name, call in calls.items() if call.status == 200}
    lost = [name for name, call in calls.items() if call.status not in (200, 403, 503)]
    cut = [name for name, call in answered.items() if call.over_s is None]
    cut_on_dead = sum(on_dead(name, calls[name]) for name in cut)
    bad_s = [call.sent_s for call in calls.values() if call.status not in (200, 403) and call.sent_s >= struck_s - 1]
    suspended = {name for name, call in calls.items() if call.number == SUSPENDED}
    statuses = Counter(call.status for call in calls.values())

    asked_s = time.monotonic()
    while True:
        evidence = _evidence(fleet, began)
        without = _without_record(calls, answered, arrived, evidence)
        incomplete = _incomplete(answered, arrived, evidence)
        differing = _not_replicated(evidence)
        entered_s = time.monotonic() - asked_s
        if not (without or incomplete > cut_on_dead or differing) or entered_s > within_s:
            break
        time.sleep(0.5)
    every = evidence.own | evidence.apart
    heard = {place for place, record in every.items() if record.sent}
    return CallResults(
        offered=len(calls),
        answered=len(answered),
        refused=statuses[403],
        busy=statuses[503],
        lost_on_dead=sum(on_dead(name, calls[name]) for name in lost),
        lost_elsewhere=sum(not on_dead(name, calls[name]) for name in lost),
        lost_how=[
            f"{calls[name].status}, {calls[name].sent_s - struck_s:+.2f} s, {[*dict(arrived.get(name, ()))]}"
            for name in lost
        ],
        cut_on_dead=cut_on_dead,
        touched_elsewhere=len(cut) - cut_on_dead,
        rang_twice=sum(len(places) > 1 for places in arrived.values()),
        suspended_offered=len(suspended),
        suspended_connected=sum(calls[name].status == 200 or name in arrived for name in suspended),
        with_notice=sum(record.outcome == Outcome.NOTICE for record in every.values()),
        unannounced=sum(not heard.intersection(arrived.get(name, ())) for name in answered),
        records=len(evidence.own),
        kept_apart=len(evidence.apart),
        without_record=without,
        incomplete=incomplete,
        not_replicated=differing,
        entered_s=entered_s,
        recovered_s=max(0.0, max(bad_s) - struck_s) if bad_s else None,
    )


def _without_record(
    calls: Mapping[str, CarriedCall],
    answered: Collection[str],
    arrived: Mapping[str, list[tuple[str, str]]],
    evidence: _Evidence,
) -> int:
    known = evidence.own.keys() | evidence.apart.keys()
    missing = sum(place not in known for name in answered for place in arrived.get(name, [("", "")]))
    refused = sum(call.status == 403 for call in calls.values())
    recorded = sum(record.outcome == Outcome.REFUSE for record in (evidence.own | evidence.apart).values())
    return missing + max(0, refused - recorded)


def _incomplete(answered: Collection[str], arrived: Mapping[str, list[tuple[str, str]]], evidence: _Evidence) -> int:
    both = (evidence.own, evidence.apart)
    return sum(
        any(place in ledgers for ledgers in both)
        and not any(place in ledgers and ledgers[place].complete for ledgers in both)
        for name in answered
        for place in arrived.get(name, ())
    )


def _not_replicated(evidence: _Evidence) -> int:
    return sum(
        place not in evidence.replicated or len(evidence.replicated[place].steps) != len(record.steps)
        for place, record in evidence.own.items()
    )


def _evidence(fleet: Fleet, since: datetime) -> _Evidence:
    own = {(node.name, record.call_id): record for node in fleet.nodes for record in own_records(node, since)}
    apart = {
        (each.name, record.call_id): record
        for each in fleet.apart
        for record in LedgerReader.open(f"sqlite:///{each.ledger}").records(since=since)
    }
    replicated = {}
    try:
        for ledger in Ledgers.in_postgresql([fleet.server()], {}).nodes:
            for record in ledger.reader.records(since=since):
                replicated[(ledger.node, record.call_id)] = record
    except LedgerError:
        pass  # PostgreSQL is down: it has nothing
    return _Evidence(own, {place: apart[place] for place in apart.keys() - own.keys()}, replicated)


def own_records(node: Node, since: datetime) -> list[Record]:
    """Records of a node's own ledger.

    A ledger on another file system is copied before it is read.
    """
    if not node.service.disk_mb:
        return LedgerReader.open(f"sqlite:///{node.service.ledger}").records(since=since)
    with tempfile.TemporaryDirectory(prefix="idtone-ledger-") as folder:
        for path in node.service.seen_ledger.parent.glob("ledger.sqlite3*"):
            if path.is_file():
                shutil.copy(path, folder)
        return LedgerReader.open(f"sqlite:///{Path(folder, 'ledger.sqlite3')}").records(since=since)
