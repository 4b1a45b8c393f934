"""The metrics for monitoring, as a table of name, kind, meaning and source of the value. It is independent of
Prometheus.

No metric contains a telephone number, a call id or a member. Names follow Prometheus' conventions.
"""

import platform
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Final

from idtone import __version__
from idtone.ari_app.application import AriApplication
from idtone.ari_app.runner import ApplicationRunner
from idtone.call_control.brake.brake import Brake
from idtone.call_control.call_control import CallControl
from idtone.call_control.chain_token import TokenResult
from idtone.call_control.fallback_keeper import FallbackKeeper
from idtone.call_control.journal_reader import JournalReader
from idtone.core.calls import Direction, Licence, Outcome, Reason
from idtone.core.duration_histogram import Durations
from idtone.core.settings.settings import Interface, Settings
from idtone.ledger.evidence.steps import CallStatus
from idtone.ledger.replication.replicator import Replicator
from idtone.ledger.store.sqlite import path_of
from idtone.ledger.witness.cosigning import Cosigning
from idtone.ledger.witness.timestamping import Timestamping
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.registry.customer_lines.lines_source import LinesSource
from idtone.registry.index import RegistryIndex
from idtone.registry.licence_lapses import LicenceLapse, lapses
from idtone.registry.node_member_check import member_trouble
from idtone.registry.sources import Source

from . import backup_result, canary_result
from .backup_result import BackupResult
from .brake_keeper import BrakeKeeper
from .call_counts import LABELS, NONE, CallCounts
from .canary_result import CanaryResult
from .ledger_disk_space import LedgerDiskSpace, damaged_ledgers
from .loaded_hook_check import LoadedHookCheck
from .other_nodes import OtherNodes, shares_with_nodes
from .suspension_keeper import SuspensionKeeper

_DAY_S: Final = 86400


class MetricKind(StrEnum):
    COUNTER = "counter"
    """A count that begins at 0 with each instance of the service."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass
class Observed:
    """The parts of an instance that the metrics and `idtone status` show. Other threads read them."""

    calls: CallControl
    counts: CallCounts
    journal: JournalReader
    evidence: LedgerWriter
    replicator: Replicator | None
    source: Source
    fallback: FallbackKeeper
    application: AriApplication
    runner: ApplicationRunner
    room: LedgerDiskSpace
    hand_overs: Callable[[], int]
    cosigning: Cosigning
    settings: Settings
    hook: LoadedHookCheck | None = None
    lines: LinesSource | None = None
    keeper: BrakeKeeper | None = None
    """The keeper of the brake; None if the brake is off."""
    suspensions: SuspensionKeeper | None = None
    """This node's own suspensions."""
    timestamping: Timestamping | None = None
    others: OtherNodes | None = None
    _suspended: tuple[RegistryIndex, list[float], list[float]] | None = field(default=None, init=False)
    _licences: tuple[RegistryIndex, tuple[Licence, ...]] | None = field(default=None, init=False)
    _lapses: tuple[RegistryIndex, float | None] | None = field(default=None, init=False)

    def certification_lapses_s(self) -> float | None:
        registry = self.source.current
        if registry is None:
            return None
        if self._lapses is None or self._lapses[0] is not registry:
            first = min(registry.certification_lapses(self.settings.association.member), default=None)
            self._lapses = registry, first[0].timestamp() if first else None
        return self._lapses[1]

    def licence_lapses(self, now: datetime) -> list[LicenceLapse]:
        """The lapses of the licences of `association.member`."""
        registry, member = self.source.current, self.settings.association.member
        if registry is None or member is None:
            return []
        if self._licences is None or self._licences[0] is not registry:
            self._licences = registry, registry.licences(member)
        return lapses(self._licences[1], now)

    def suspensions_in_force(self, now_s: float) -> int:
        registry = self.source.current
        if registry is None:
            now = datetime.fromtimestamp(now_s, UTC)
            return sum(any(each.in_force(now) for each in found) for found in self.calls.remembered.suspended.values())
        if self._suspended is None or self._suspended[0] is not registry:
            begin = sorted(each.since.timestamp() for each in registry.suspensions)
            end = sorted(each.until.timestamp() for each in registry.suspensions if each.until)
            self._suspended = registry, begin, end
        _, begin, end = self._suspended
        at_s = max(now_s, registry.issued.timestamp())
        return bisect_right(begin, at_s) - bisect_right(end, at_s)


Value = float | Durations
Values = Value | Mapping[tuple[str, ...], Value] | None
"""One value, or one for each combination of the labels' values; None without a value."""


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    kind: MetricKind
    meaning: str
    read: Callable[[Observed], Values]
    labels: tuple[str, ...] = ()


def _registry(read: Callable[[RegistryIndex], float | None]) -> Callable[[Observed], Values]:
    return lambda observed: read(observed.source.current) if observed.source.current else None


def _lines(read: Callable[[LinesSource], float | None]) -> Callable[[Observed], Values]:
    return lambda observed: read(observed.lines) if observed.lines else None


def _replica(read: Callable[[Replicator], float | None]) -> Callable[[Observed], Values]:
    return lambda observed: read(observed.replicator) if observed.replicator else None


def _brake(read: Callable[[Brake], Values]) -> Callable[[Observed], Values]:
    return lambda observed: read(observed.calls.braking.brake) if observed.calls.braking else None


def _unwritten(observed: Observed) -> float:
    owed = observed.evidence.unwritten
    return owed.steps if owed else 0


def _canary(read: Callable[[CanaryResult], float | None]) -> Callable[[Observed], Values]:
    """A reader of one value of the last canary call. It reads None if this node places no such calls, or has no result
    yet.
    """

    def value(observed: Observed) -> Values:
        canary = observed.settings.canary
        result = canary_result.read(canary.result) if canary.is_on else None
        return read(result) if result else None

    return value


def _canary_made(observed: Observed) -> Values:
    canary = observed.settings.canary
    if not canary.is_on:
        return None
    result = canary_result.read(canary.result)
    return result.at.timestamp() if result else 0


def _stamped(observed: Observed) -> Values:
    if observed.timestamping is None or observed.settings.ledger.timestamp.url is None:
        return None
    return observed.timestamping.at.timestamp() if observed.timestamping.at else 0


def _backup(read: Callable[[BackupResult], datetime | None]) -> Callable[[Observed], Values]:
    """A reader of one time of the last backup. It reads 0 if there is none yet, and None if this node makes no
    backups.
    """

    def value(observed: Observed) -> Values:
        backup = observed.settings.backup
        if not backup.is_on:
            return None
        result = backup_result.read(backup.result)
        moment = read(result) if result else None
        return moment.timestamp() if moment else 0

    return value


@cache
def _no_decisions(interface: Interface) -> dict[tuple[str, ...], float]:
    """A zero for each possible combination of labels, because `increase()` does not see a counter that begins at 1."""
    careful = (Outcome.NOTICE, Outcome.REFUSE)
    more = {Reason.LICENCE_VALID: (Outcome.PLAY,), Reason.EMERGENCY: (Outcome.BYPASS,)}
    return {
        (outcome, reason, by, direction): 0
        for reason in Reason
        for outcome in more.get(reason, careful)
        for by in (interface, NONE)
        for direction in Direction
    }


_COUNTER, _GAUGE, _HISTOGRAM = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM

METRICS: Final = (
    Metric(
        "idtone_build_info", _GAUGE, "The running version; the value is always 1.",
        lambda observed: {(__version__, platform.python_version()): 1.0}, ("version", "python"),
    ),
    # Calls
    Metric(
        "idtone_decisions_total", _COUNTER,
        "Decisions on calls. The interface is none if the hook decided by itself (fallback). The outcome is none if "
        "the call ended before the decision. A call whose verdict came too late counts twice, because the hook decided "
        "it too.",
        lambda observed: _no_decisions(observed.settings.interface) | observed.counts.decisions, LABELS,
    ),
    Metric(
        "idtone_emergency_calls_of_suspended_numbers_total", _COUNTER,
        "Emergency calls that were connected although their forwarding number was suspended.",
        lambda observed: observed.counts.emergencies_of_suspended,
    ),
    Metric(
        "idtone_foreign_number_calls_total", _COUNTER,
        "Calls whose forwarding number another member holds.",
        lambda observed: observed.counts.foreign_numbers,
    ),
    Metric(
        "idtone_calls_ended_total", _COUNTER,
        "Calls that ended, by IDTONE_STATUS; INTERRUPTED if their end is not known.",
        lambda observed: {(status,): 0 for status in (*CallStatus, "INTERRUPTED")} | observed.counts.ended, ("status",),
    ),
    Metric(
        "idtone_calls_in_progress", _GAUGE, "Calls between their decision and their end.",
        lambda observed: len(observed.calls),
    ),
    Metric(
        "idtone_calls_with_sound_total", _COUNTER,
        "Ended calls that were connected and on which a party was to hear a sound. Calls that an earlier instance "
        "decided are left out.",
        lambda observed: observed.counts.connected,
    ),
    Metric(
        "idtone_calls_sent_total", _COUNTER,
        "The calls of idtone_calls_with_sound_total for which all packets of each of these sounds were sent.",
        lambda observed: observed.counts.sent,
    ),
    Metric(
        "idtone_calls_confirmed_total", _COUNTER,
        "The calls of idtone_calls_sent_total for which the phone's own reports confirm each of these sounds.",
        lambda observed: observed.counts.confirmed,
    ),
    Metric(
        "idtone_calls_sound_failed_total", _COUNTER,
        "The calls of idtone_calls_with_sound_total for which one of these sounds was not played to its end.",
        lambda observed: observed.counts.failed,
    ),
    Metric(
        "idtone_sound_files_damaged", _GAUGE,
        "Sound files that are not as the service made them, and added files that Asterisk could play instead. The "
        "notice replaces their sounds.",
        lambda observed: observed.calls.files.damaged if observed.calls.files else 0,
    ),
    Metric(
        "idtone_sound_file_changes_total", _COUNTER,
        "How often a sound file was found to differ from the one that the service made.",
        lambda observed: observed.calls.files.changes if observed.calls.files else 0,
    ),
    Metric(
        "idtone_decision_seconds", _HISTOGRAM,
        "Time from the hook's request until the decision was safe from a crash of the service and the verdict could be "
        "given.",
        lambda observed: {(interface,): waited for interface, waited in observed.calls.deciding.items()},
        ("interface",),
    ),
    Metric(
        "idtone_connect_seconds", _HISTOGRAM,
        "Time from the answer to the connection of the parties, on calls with a sound: the sound and its overhead.",
        lambda observed: observed.counts.connecting,
    ),
    Metric(
        "idtone_chain_tokens_total", _COUNTER,
        "Chain tokens of calls that came from other nodes of the fleet (fleet.trunks), by their result. Only accepted "
        "ones count; for the others the sound is played.",
        lambda observed: {
            (result.value,): observed.calls.fleet.results[result] for result in TokenResult
        } if observed.calls.fleet else None,
        ("result",),
    ),
    # The brake
    Metric(
        "idtone_brake_subjects", _GAUGE,
        "Endpoints, customers, trunks and numbers that the brake has marked, slowed or stopped, by the step: mark, "
        "slow, stop.",
        _brake(lambda brake: {(step.word,): n for step, n in brake.subjects().items()}), ("step",),
    ),
    Metric(
        "idtone_brake_steps_total", _COUNTER, "How often a subject of the brake reached a step on this node.",
        _brake(lambda brake: {(step.word,): n for step, n in brake.steps.items()}), ("step",),
    ),
    Metric(
        "idtone_brake_surge", _GAUGE,
        "1 while the brake allows more calls, because many lines call more than usual at the same time; else 0.",
        _brake(lambda brake: brake.is_surge(time.time())),
    ),
    Metric(
        "idtone_brake_shared", _GAUGE,
        "1 if this node knows what the brakes of other nodes stopped, else 0; absent without PostgreSQL or "
        "fleet.key_file.",
        lambda observed: (
            not observed.others.trouble if observed.keeper and observed.others and shares_with_nodes(observed.settings)
            else None
        ),
    ),
    # Asterisk
    Metric(
        "idtone_ari_connected", _GAUGE, "1 if the service is connected to Asterisk's ARI, else 0.",
        lambda observed: observed.application.connected,
    ),
    Metric(
        "idtone_hook_loaded", _GAUGE, "1 if Asterisk has loaded the hook, else 0; absent while that is not known.",
        lambda observed: None if observed.hook is None or observed.hook.digest is None else bool(observed.hook.digest),
    ),
    Metric(
        "idtone_ari_reconnects_total", _COUNTER, "Connections to ARI after the first one.",
        lambda observed: max(0, observed.runner.connections - 1),
    ),
    Metric(
        "idtone_journal_lag_seconds", _GAUGE,
        "Time since the service last read the journal to its end; normally less than a second.",
        lambda observed: observed.journal.lag_s,
    ),
    Metric(
        "idtone_journal_held_files_total", _COUNTER,
        "Old files of the journal that a process kept open for more than a minute. They were emptied and removed.",
        lambda observed: observed.journal.held_files,
    ),
    Metric(
        "idtone_fallback_file_current", _GAUGE,
        "1 if Asterisk has the suspended numbers of the registry in use, for its decisions during a fallback; else 0.",
        lambda observed: observed.fallback.has_suspensions_of(observed.source.current),
    ),
    # Registry
    Metric(
        "idtone_registry_version", _GAUGE, "The version of the registry in use; 0 without a registry.",
        lambda observed: observed.source.current.version if observed.source.current else 0,
    ),
    Metric(
        "idtone_member_known", _GAUGE,
        "1 if association.member is set, and the registry in use has this member; else 0: then no licence counts.",
        lambda observed: member_trouble(observed.settings.association.member, observed.source.current) is None,
    ),
    Metric(
        "idtone_registry_issued_timestamp_seconds", _GAUGE, "When the registry in use was issued.",
        _registry(lambda registry: registry.issued.timestamp()),
    ),
    Metric(
        "idtone_registry_expires_timestamp_seconds", _GAUGE, "When the registry in use expires.",
        _registry(lambda registry: registry.expires.timestamp()),
    ),
    Metric(
        "idtone_suspensions_in_force", _GAUGE,
        "Suspensions in force (of numbers, ranges, members); without a registry, the entries of fallback.conf.",
        lambda observed: observed.suspensions_in_force(time.time()),
    ),
    Metric(
        "idtone_licence_lapses_timestamp_seconds", _GAUGE,
        "The time from which no licence of `association.member` is valid for calls of this direction; absent for a "
        "direction without a licence, and 90 days after the lapse.",
        lambda observed: {
            (each.direction.value,): each.at.timestamp() for each in observed.licence_lapses(datetime.now(UTC))
        },
        ("direction",),
    ),
    Metric(
        "idtone_certification_lapses_timestamp_seconds", _GAUGE,
        "When the first certification lapses, or its check is due. Only those on which the numbers of "
        "`association.member` depend count; without this setting, all count. Absent if none is recorded.",
        lambda observed: observed.certification_lapses_s(),
    ),
    Metric(
        "idtone_never_originates_entries", _GAUGE,
        "Entries of the list of numbers that never originate; absent if the association publishes no list.",
        _registry(lambda registry: registry.never_originating.entries if registry.never_originating else None),
    ),
    # The customers' lines
    Metric(
        "idtone_lines_current", _GAUGE,
        "1 if the newest table of lines is in use, 0 if it has faults or its source cannot be reached; absent if "
        "customers' numbers are not checked.",
        _lines(lambda lines: not lines.trouble and lines.index is not None),
    ),
    Metric(
        "idtone_lines_numbers", _GAUGE,
        "Numbers of the table of lines in use; 0 if it could never be read, and then outgoing calls are refused.",
        _lines(lambda lines: lines.index.totals.numbers if lines.index else 0),
    ),
    # Evidence
    Metric(
        "idtone_ledger_unwritten_steps", _GAUGE, "Steps of evidence that could not be written yet, or never will be.",
        _unwritten,
    ),
    Metric(
        "idtone_ledger_signed", _GAUGE,
        "1 if the evidence that is written is signed, else 0: `idtone status` says why.",
        lambda observed: observed.evidence.signs,
    ),
    Metric(
        "idtone_ledger_unsigned_ends", _GAUGE,
        "Earlier logs of this node that wait for the signature of their end: `idtone status` names them.",
        lambda observed: observed.evidence.unsigned_ends,
    ),
    Metric(
        "idtone_ledger_quarantined_steps", _GAUGE,
        "Steps in the ledger that idtone did not write, or that were changed: they are never signed.",
        lambda observed: observed.evidence.quarantined,
    ),
    Metric(
        "idtone_ledger_set_aside", _GAUGE, "Damaged ledgers that were set aside and not moved away.",
        lambda observed: len(damaged_ledgers(path_of(observed.settings.ledger.own()))),
    ),
    Metric(
        "idtone_ledger_unreplicated_steps", _GAUGE, "Steps of evidence that PostgreSQL does not have yet.",
        _replica(lambda replicator: replicator.status.behind),
    ),
    Metric(
        "idtone_ledger_replicated", _GAUGE, "1 if PostgreSQL took the evidence at the last attempt, else 0.",
        _replica(lambda replicator: replicator.status.behind is not None and not replicator.status.trouble),
    ),
    Metric(
        "idtone_ledger_reserve_bytes", _GAUGE, "Disk space that is in reserve for evidence.",
        lambda observed: observed.evidence.reserve.left,
    ),
    Metric(
        "idtone_ledger_reserve_size_bytes", _GAUGE, "Disk space that should be in reserve (ledger.reserve).",
        lambda observed: observed.evidence.reserve.size,
    ),
    Metric(
        "idtone_ledger_free_bytes", _GAUGE, "Free disk space for evidence, without the reserve.",
        lambda observed: observed.room.free_space_and_days().free_bytes,
    ),
    Metric(
        "idtone_ledger_room_seconds", _GAUGE,
        "For how long the free disk space is enough, at the rate of the last week.",
        lambda observed: None if (days := observed.room.free_space_and_days().days) is None else days * _DAY_S,
    ),
    # The canary
    Metric(
        "idtone_canary_good", _GAUGE,
        "1 if the sound of the last canary call arrived as it should, else 0; missing without a canary call.",
        _canary(lambda result: result.good),
    ),
    Metric(
        "idtone_canary_timestamp_seconds", _GAUGE,
        "When the last canary call was placed; 0 if none was yet, missing if the settings name no canary.",
        _canary_made,
    ),
    Metric(
        "idtone_canary_every_seconds", _GAUGE, "How often a canary call is to be placed (canary.every).",
        lambda observed: observed.settings.canary.every.total_seconds() if observed.settings.canary.is_on else None,
    ),
    Metric(
        "idtone_canary_level_decibels", _GAUGE,
        "The level at which the sound of the last canary call arrived, in dBm0.",
        _canary(lambda result: result.level_dbm0),
    ),
    # The authority's timestamps
    Metric(
        "idtone_stamped_timestamp_seconds", _GAUGE,
        "When the tree's newest head had a timestamp last; 0 if none ever had one, missing without an authority.",
        _stamped,
    ),
    Metric(
        "idtone_stamped_every_seconds", _GAUGE,
        "How often the tree's head is to be stamped (ledger.timestamp.every); missing without an authority.",
        lambda observed: (
            None if _stamped(observed) is None else observed.settings.ledger.timestamp.every.total_seconds()
        ),
    ),
    # The backup
    Metric(
        "idtone_backup_timestamp_seconds", _GAUGE,
        "When the last backup was made; 0 if none was yet, missing if the settings name no recipients.",
        _backup(lambda result: result.at),
    ),
    Metric(
        "idtone_backup_every_seconds", _GAUGE, "How often a backup is to be made (backup.every).",
        lambda observed: observed.settings.backup.every.total_seconds() if observed.settings.backup.is_on else None,
    ),
    Metric(
        "idtone_backup_drill_timestamp_seconds", _GAUGE,
        "When `idtone restore --drill` was good last on this node; 0 if it never was, missing without recipients.",
        _backup(lambda result: result.drilled),
    ),
    # The service
    Metric(
        "idtone_started_timestamp_seconds", _GAUGE, "When this instance began to decide calls.",
        lambda observed: observed.calls.since.timestamp(),
    ),
    Metric(
        "idtone_hand_overs_total", _COUNTER,
        "Hand-overs from one instance to the next since the service was started; it continues with the next instance.",
        lambda observed: observed.hand_overs(),
    ),
    Metric(
        "idtone_clock_timestamp_seconds", _GAUGE, "The time by the clock of this machine.",
        lambda observed: datetime.now(UTC).timestamp(),
    ),
)  # fmt: skip
"""All metrics that idtone defines. The metrics `process_…` come from prometheus-client."""
