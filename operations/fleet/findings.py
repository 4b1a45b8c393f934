"""Rules that find faults in a fleet's nodes and differences between them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from idtone.core.translation import Message, joined

from .node_states import Condition, Fleet, Node, NodeState, SharedSettings

CLOCK_S: Final = 0.5
"""Offset from PostgreSQL's clock, in seconds, above which events on several nodes may appear out of order."""
SPREADING: Final = timedelta(seconds=3)
"""Time that a new registry may take to spread from the first node to all others."""
RIVALS: Final = 3
"""Minimum number of reports by another service that counts as a fault. A hand-over between two instances can cause
fewer."""
ENOUGH_DAYS: Final = 30
"""Number of days of evidence for which a node's disk should have room. `idtone doctor` has the same limit."""


@dataclass(frozen=True, slots=True)
class NodeFinding:
    """A node's fault and its remedy.

    `rule` identifies the kind of fault for programs.
    """

    node: str
    rule: str
    found: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Absence:
    """A rule for a node that is not reporting now, whose last state is therefore not judged."""

    rule: str
    condition: Condition
    words: Callable[[Node], str]
    remedy: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule for a node that is reporting now.

    `find` returns a description of the fault, or an empty text if there is none.
    """

    name: str
    find: Callable[[NodeState, _Compared], str]
    remedy: str


@dataclass(frozen=True)
class _Compared:
    """The values to which each node is compared, computed once."""

    now: datetime
    ledgers: Counter[str]
    """Node → number of ledgers."""
    newest_version: str
    newest_registry: tuple[Node, NodeState] | None
    newest_settings: SharedSettings | None
    trusts: frozenset[str | None]

    @classmethod
    def of(cls, fleet: Fleet) -> Self:
        states = [state for _, state in fleet.present]
        shared = [state.settings for state in states if state.settings]
        return cls(
            fleet.now,
            Counter(node.name for node in fleet.nodes),
            max((state.instance.version for state in states), key=_numbers, default=""),
            newest_registry(fleet),
            max(shared, key=lambda each: (each.version, each.sha256), default=None),
            frozenset(state.registry.trust for state in states),
        )


def findings(fleet: Fleet) -> list[NodeFinding]:
    """Find faults in a fleet's nodes, by node and in the order of the rules."""
    compared = _Compared.of(fleet)
    return [finding for node in fleet.nodes for finding in _of(node, compared)]


def _of(node: Node, compared: _Compared) -> Iterator[NodeFinding]:
    for absence in _ABSENCES:
        if node.condition is absence.condition:
            yield NodeFinding(node.name, absence.rule, absence.words(node), absence.remedy)
    if compared.ledgers[node.name] > 1:
        yield NodeFinding(node.name, "two-ledgers", Message("its ledger is {origin}", origin=node.origin), _TWO_LEDGERS)
    state = node.present
    if state is None:
        return
    for rule in _RULES:
        if found := rule.find(state, compared):
            yield NodeFinding(node.name, rule.name, found, rule.remedy)


def local_time(at: datetime | None) -> str:
    """Format a time in the machine's time zone; a dash for None."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else "–"


def _rivals(state: NodeState, _: _Compared) -> str:
    return Message("another service reports as this node, too") if state.rivals >= RIVALS else ""


def clock_ahead_s(state: NodeState) -> float:
    """Seconds by which PostgreSQL's clock is at least ahead of the node's; negative if it is behind.

    The result is 0 if the clocks may be equal.
    """
    clock = state.clock
    if clock is None or clock.least_seconds <= 0 <= clock.most_seconds:
        return 0.0
    return min(clock.least_seconds, clock.most_seconds, key=abs)


def _clock(state: NodeState, _: _Compared) -> str:
    ahead_s = clock_ahead_s(state)
    if abs(ahead_s) <= CLOCK_S:
        return ""
    if ahead_s > 0:
        return Message("its clock is {seconds:.1f} s behind PostgreSQL's", seconds=ahead_s)
    return Message("its clock is {seconds:.1f} s ahead of PostgreSQL's", seconds=-ahead_s)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall("[0-9]+", version)))


def _version(state: NodeState, compared: _Compared) -> str:
    newest = compared.newest_version
    if state.instance.version == newest:
        return ""
    return Message("it runs idtone {version}, and others {newest}", version=state.instance.version, newest=newest)


def newest_registry(fleet: Fleet) -> tuple[Node, NodeState] | None:
    """The node with the newest registry, and that node's state; None if no node has a registry."""
    issued = [(state.registry.issued, node.name, node, state) for node, state in fleet.present if state.registry.issued]
    if not issued:
        return None
    newest = max(at for at, *_ in issued)
    # Take the node that took it first if several have the same one.
    same = [(state.registry.taken or newest, name, node, state) for at, name, node, state in issued if at == newest]
    _, _, node, state = min(same, key=lambda each: each[:2])
    return node, state


def _registry(state: NodeState, compared: _Compared) -> str:
    newest = compared.newest_registry
    if not state.registry.version:
        return Message("it has no registry")
    if newest is None or state.registry.edition == newest[1].registry.edition:
        return ""
    node, other = newest
    if other.registry.taken and node.silent_for is not None:
        taken_for = other.at - other.registry.taken + node.silent_for
        if taken_for < SPREADING:
            return ""
    return Message(
        "its registry is version {version}, issued {issued}; {other} has version {newest}, issued {newest_issued}",
        version=state.registry.version,
        issued=local_time(state.registry.issued),
        other=node.name,
        newest=other.registry.version,
        newest_issued=local_time(other.registry.issued),
    )


def _expired(state: NodeState, compared: _Compared) -> str:
    expires = state.registry.expires
    if expires is None or expires > compared.now:
        return ""
    return Message("its registry has expired at {expires}", expires=local_time(expires))


def _trust(state: NodeState, compared: _Compared) -> str:
    if state.registry.trust != "unsigned" or compared.trusts <= {"unsigned", None}:
        return ""
    return Message("its registry is unsigned, and others have a signed one")


def _hook(state: NodeState, _: _Compared) -> str:
    if state.hook.current is not False:
        return ""
    if not state.hook.loaded:
        return Message("Asterisk has not loaded the hook")
    return Message(
        "the hook in Asterisk ({digest}) is not the one of its version and settings", digest=state.hook.loaded
    )


def _settings(state: NodeState, compared: _Compared) -> str:
    own, newest = state.settings, compared.newest_settings
    if newest is None:
        return ""
    if own is None:
        return Message("it does not use the shared settings, which others do")
    if own.version != newest.version:
        return Message(
            "its shared settings are version {own}, and others have {newest}", own=own.version, newest=newest.version
        )
    if own.sha256 != newest.sha256:
        return Message(
            "its shared settings, version {own}, are not those that others have of this version", own=own.version
        )
    return ""


def _asterisk(state: NodeState, _: _Compared) -> str:
    return "" if state.ari.connected else Message("its service is not connected to Asterisk")


def _fallback(state: NodeState, compared: _Compared) -> str:
    if state.fallback.current:
        return ""
    return state.fallback.trouble or Message("Asterisk does not have the suspended numbers of this registry yet")


def _ledger(state: NodeState, _: _Compared) -> str:
    ledger = state.ledger
    if ledger.trouble or not ledger.unwritten_steps:
        return ledger.trouble
    return Message("{steps:,} steps of evidence are not written", steps=ledger.unwritten_steps)


def _room(state: NodeState, _: _Compared) -> str:
    days = state.ledger.room_days
    if days is None or days >= ENOUGH_DAYS:
        return ""
    return Message("its disk has room for the evidence of {days:,.0f} days", days=days)


def _replication(state: NodeState, _: _Compared) -> str:
    trouble, behind = state.replication.trouble, state.replication.unreplicated_steps
    if not trouble or not behind:
        return trouble
    return Message("{steps:,} steps wait: {trouble}", steps=behind, trouble=trouble)


def _witnesses(state: NodeState, _: _Compared) -> str:
    troubles = state.ledger.witness_troubles
    parts = [Message("witness {name}: {trouble}", name=each.name, trouble=each.trouble) for each in troubles]
    return joined("; ", parts) if parts else ""


_TWO_LEDGERS: Final = Message(
    "two ledgers with different keys say that they are of this node: compare `idtone-evidence log replicas --json` "
    "with `idtone-evidence log key` on the node, and drop the schema of the one that is not"
)
_ABSENCES: Final = (
    _Absence(
        "silent",
        Condition.SILENT,
        lambda node: Message("it has not reported since {heard}", heard=local_time(node.heard)),
        Message("See that the node runs and reaches PostgreSQL: systemctl status idtone"),
    ),
    _Absence(
        "stopped",
        Condition.STOPPED,
        lambda node: Message("its service was stopped; it reported last at {heard}", heard=local_time(node.heard)),
        Message("Start it: systemctl start idtone. If the node is gone for good, drop its schema in PostgreSQL"),
    ),
    _Absence(
        "format",
        Condition.OTHER_FORMAT,
        lambda node: Message("it reports in a format that this idtone does not know ({format})", format=node.trouble),
        Message("Use the idtone of the newest node"),
    ),
    _Absence(
        "unreadable",
        Condition.UNREADABLE,
        lambda node: Message("its report cannot be read ({field})", field=node.trouble),
        Message("Restart its service; if that does not help, someone else writes to its schema in PostgreSQL"),
    ),
    _Absence(
        "no-state",
        Condition.STATELESS,
        lambda node: Message("it reports no state; PostgreSQL heard it last at {heard}", heard=local_time(node.heard)),
        Message("Upgrade its idtone, and start its service"),
    ),
)
_RULES: Final = (
    _Rule(
        "rivals", _rivals,
        Message("Two machines have this node's keys: stop the clone, and give it another name and another ledger"),
    ),
    _Rule("asterisk", _asterisk, Message("See on the node: idtone doctor")),
    _Rule(
        "clock", _clock,
        Message("See on the node: chronyc tracking. If all nodes differ, look at PostgreSQL's machine"),
    ),
    _Rule("version", _version, Message("Upgrade it")),
    _Rule("registry", _registry, Message("See on the node: idtone registry update, and its log")),
    _Rule("registry-expired", _expired, Message("The association must sign it again; see registry.source")),
    _Rule("registry-trust", _trust, Message("Set registry.trust on the node to the association's root")),
    _Rule(
        "hook", _hook,
        Message("On the node: idtone dialplan export /etc/asterisk && asterisk -rx 'dialplan reload'"),
    ),
    _Rule("settings", _settings, Message("Copy the newest file of shared settings to it: systemctl reload idtone")),
    _Rule("fallback", _fallback, Message("See on the node: idtone doctor, and its log")),
    _Rule("ledger", _ledger, Message("See on the node: idtone doctor, and its log")),
    _Rule("ledger-room", _room, Message("Give the ledger's disk more room")),
    _Rule("replication", _replication, Message("See docs/how-to/several-nodes.md, If the log reports a problem")),
    _Rule("witnesses", _witnesses, Message("See that the witness can be reached from the node")),
)  # fmt: skip
