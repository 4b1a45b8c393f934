"""Metrics for monitoring: a table of names, kinds, meanings and values, independent of Prometheus.

No metric contains a telephone number, a call id or a member. The names follow Prometheus conventions.
"""

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Final

from idtone import __version__
from idtone.call_control.brake.brake import Brake
from idtone.call_control.chain_token import TokenResult
from idtone.core.calls import Direction, Outcome, Reason
from idtone.core.duration_histogram import Durations
from idtone.core.settings.settings import Interface
from idtone.ledger.evidence.steps import CallStatus
from idtone.ledger.replication.replicator import Replicator
from idtone.ledger.store.sqlite import path_of
from idtone.registry.customer_lines.lines_source import LinesSource
from idtone.registry.index import RegistryIndex
from idtone.registry.node_member_check import member_trouble

from . import backup_result, canary_result
from .backup_result import BackupResult
from .call_counts import LABELS, NONE
from .canary_result import CanaryResult
from .instance_parts import InstanceParts
from .ledger_disk_space import damaged_ledgers
from .other_nodes import shares_with_nodes

_DAY_S: Final = 86400


class MetricKind(StrEnum):
    COUNTER = "counter"
    """A count that starts at 0 in each instance of the service."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


Value = float | Durations
Values = Value | Mapping[tuple[str, ...], Value] | None
"""One value, or one for each combination of label values; None if there is no value."""


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    kind: MetricKind
    meaning: str
    read: Callable[[InstanceParts], Values]
    labels: tuple[str, ...] = ()


def _registry(read: Callable[[RegistryIndex], float | None]) -> Callable[[InstanceParts], Values]:
    return lambda parts: read(parts.source.current) if parts.source.current else None


def _lines(read: Callable[[LinesSource], float | None]) -> Callable[[InstanceParts], Values]:
    return lambda parts: read(parts.lines) if parts.lines else None


def _replica(read: Callable[[Replicator], float | None]) -> Callable[[InstanceParts], Values]:
    return lambda parts: read(parts.replicator) if parts.replicator else None


def _brake(read: Callable[[Brake], Values]) -> Callable[[InstanceParts], Values]:
    return lambda parts: read(parts.calls.braking.brake) if parts.calls.braking else None


def _unwritten(parts: InstanceParts) -> float:
    owed = parts.evidence.unwritten
    return owed.steps if owed else 0


def _canary(read: Callable[[CanaryResult], float | None]) -> Callable[[InstanceParts], Values]:
    """Reader for a value of the last canary call.

    The reader returns None if this node places no canary calls, or has no result yet.
    """

    def value(parts: InstanceParts) -> Values:
        canary = parts.settings.canary
        result = canary_result.read(canary.result) if canary.is_on else None
        return read(result) if result else None

    return value


def _canary_made(parts: InstanceParts) -> Values:
    canary = parts.settings.canary
    if not canary.is_on:
        return None
    result = canary_result.read(canary.result)
    return result.at.timestamp() if result else 0


def _stamped(parts: InstanceParts) -> Values:
    if parts.settings.ledger.timestamp.url is None:
        return None
    return parts.timestamping.at.timestamp() if parts.timestamping.at else 0


def _backup(read: Callable[[BackupResult], datetime | None]) -> Callable[[InstanceParts], Values]:
    """Reader for a time of the last backup.

    The reader returns 0 before the first backup, and None if this node makes no backups.
    """

    def value(parts: InstanceParts) -> Values:
        backup = parts.settings.backup
        if not backup.is_on:
            return None
        result = backup_result.read(backup.result)
        moment = read(result) if result else None
        return moment.timestamp() if moment else 0

    return value


@cache
def _no_decisions(interface: Interface) -> dict[tuple[str, ...], float]:
    """Zero for each possible label combination.

    Prometheus's `increase()` misses the first event of a counter that starts at 1.
    """
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
        lambda parts: {(__version__, platform.python_version()): 1.0}, ("version", "python"),
    ),
    # Calls
    Metric(
        "idtone_decisions_total", _COUNTER,
        "Decisions on calls. The interface is none if the hook decided by itself (fallback). The outcome is none if "
        "the call ended before the decision. A call whose verdict came too late counts twice, because the hook decided "
        "it too.",
        lambda parts: _no_decisions(parts.settings.interface) | parts.counts.decisions, LABELS,
    ),
    Metric(
        "idtone_emergency_calls_of_suspended_numbers_total", _COUNTER,
        "Emergency calls that were connected although their forwarding number was suspended.",
        lambda parts: parts.counts.emergencies_of_suspended,
    ),
    Metric(
        "idtone_foreign_number_calls_total", _COUNTER,
        "Calls whose forwarding number another member holds.",
        lambda parts: parts.counts.foreign_numbers,
    ),
    Metric(
        "idtone_calls_ended_total", _COUNTER,
        "Calls that ended, by IDTONE_STATUS; INTERRUPTED if their end is not known.",
        lambda parts: {(status,): 0 for status in (*CallStatus, "INTERRUPTED")} | parts.counts.ended, ("status",),
    ),
    Metric(
        "idtone_calls_in_progress", _GAUGE, "Calls between their decision and their end.",
        lambda parts: len(parts.calls),
    ),
    Metric(
        "idtone_calls_with_sound_total", _COUNTER,
        "Ended calls that were connected and on which a party was to hear a sound. Calls that an earlier instance "
        "decided are left out.",
        lambda parts: parts.counts.connected,
    ),
    Metric(
        "idtone_calls_sent_total", _COUNTER,
        "The calls of idtone_calls_with_sound_total for which all packets of each of these sounds were sent.",
        lambda parts: parts.counts.sent,
    ),
    Metric(
        "idtone_calls_confirmed_total", _COUNTER,
        "The calls of idtone_calls_sent_total for which the phone's own reports confirm each of these sounds.",
        lambda parts: parts.counts.confirmed,
    ),
    Metric(
        "idtone_calls_sound_failed_total", _COUNTER,
        "The calls of idtone_calls_with_sound_total for which one of these sounds was not played to its end.",
        lambda parts: parts.counts.failed,
    ),
    Metric(
        "idtone_sound_files_damaged", _GAUGE,
        "Sound files that are not as the service made them, and added files that Asterisk could play instead. The "
        "notice replaces their sounds.",
        lambda parts: parts.calls.files.damaged if parts.calls.files else 0,
    ),
    Metric(
        "idtone_sound_file_changes_total", _COUNTER,
        "How often a sound file was found to differ from the one that the service made.",
        lambda parts: parts.calls.files.changes if parts.calls.files else 0,
    ),
    Metric(
        "idtone_decision_seconds", _HISTOGRAM,
        "Time from the hook's request until the decision was safe from a crash of the service and the verdict could be "
        "given.",
        lambda parts: {(interface,): waited for interface, waited in parts.calls.deciding.items()},
        ("interface",),
    ),
    Metric(
        "idtone_connect_seconds", _HISTOGRAM,
        "Time from the answer to the connection of the parties, on calls with a sound: the sound and its overhead.",
        lambda parts: parts.counts.connecting,
    ),
    Metric(
        "idtone_chain_tokens_total", _COUNTER,
        "Chain tokens of calls that came from other nodes of the fleet (fleet.trunks), by their result. Only accepted "
        "ones count; for the others the sound is played.",
        lambda parts: {
            (result.value,): parts.calls.fleet.results[result] for result in TokenResult
        } if parts.calls.fleet else None,
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
        lambda parts: (
            not parts.others.trouble if parts.keeper and shares_with_nodes(parts.settings)
            else None
        ),
    ),
    # Asterisk
    Metric(
        "idtone_ari_connected", _GAUGE, "1 if the service is connected to Asterisk's ARI, else 0.",
        lambda parts: parts.application.connected,
    ),
    Metric(
        "idtone_hook_loaded", _GAUGE, "1 if Asterisk has loaded the hook, else 0; absent while that is not known.",
        lambda parts: None if parts.hook.digest is None else bool(parts.hook.digest),
    ),
    Metric(
        "idtone_ari_reconnects_total", _COUNTER, "Connections to ARI after the first one.",
        lambda parts: max(0, parts.runner.connections - 1),
    ),
    Metric(
        "idtone_journal_lag_seconds", _GAUGE,
        "Time since the service last read the journal to its end; normally less than a second.",
        lambda parts: parts.journal.lag_s,
    ),
    Metric(
        "idtone_journal_held_files_total", _COUNTER,
        "Old files of the journal that a process kept open for more than a minute. They were emptied and removed.",
        lambda parts: parts.journal.held_files,
    ),
    Metric(
        "idtone_fallback_file_current", _GAUGE,
        "1 if Asterisk has the suspended numbers of the registry in use, for its decisions during a fallback; else 0.",
        lambda parts: parts.fallback.has_suspensions_of(parts.source.current),
    ),
    # Registry
    Metric(
        "idtone_registry_version", _GAUGE, "The version of the registry in use; 0 without a registry.",
        lambda parts: parts.source.current.version if parts.source.current else 0,
    ),
    Metric(
        "idtone_member_known", _GAUGE,
        "1 if association.member is set, and the registry in use has this member; else 0: then no licence counts.",
        lambda parts: member_trouble(parts.settings.association.member, parts.source.current) is None,
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
        lambda parts: parts.suspensions_in_force(time.time()),
    ),
    Metric(
        "idtone_licence_lapses_timestamp_seconds", _GAUGE,
        "The time from which no licence of `association.member` is valid for calls of this direction; absent for a "
        "direction without a licence, and 90 days after the lapse.",
        lambda parts: {
            (each.direction.value,): each.at.timestamp() for each in parts.licence_lapses(datetime.now(UTC))
        },
        ("direction",),
    ),
    Metric(
        "idtone_certification_lapses_timestamp_seconds", _GAUGE,
        "When the first certification lapses, or its check is due. Only those on which the numbers of "
        "`association.member` depend count; without this setting, all count. Absent if none is recorded.",
        lambda parts: parts.certification_lapses_s(),
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
        lambda parts: parts.evidence.signs,
    ),
    Metric(
        "idtone_ledger_unsigned_ends", _GAUGE,
        "Earlier logs of this node that wait for the signature of their end: `idtone status` names them.",
        lambda parts: parts.evidence.unsigned_ends,
    ),
    Metric(
        "idtone_ledger_quarantined_steps", _GAUGE,
        "Steps in the ledger that idtone did not write, or that were changed: they are never signed.",
        lambda parts: parts.evidence.quarantined,
    ),
    Metric(
        "idtone_ledger_set_aside", _GAUGE, "Damaged ledgers that were set aside and not moved away.",
        lambda parts: len(damaged_ledgers(path_of(parts.settings.ledger.own_url()))),
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
        lambda parts: parts.evidence.reserve.left,
    ),
    Metric(
        "idtone_ledger_reserve_size_bytes", _GAUGE, "Disk space that should be in reserve (ledger.reserve).",
        lambda parts: parts.evidence.reserve.size,
    ),
    Metric(
        "idtone_ledger_free_bytes", _GAUGE, "Free disk space for evidence, without the reserve.",
        lambda parts: parts.room.free_space_and_days().free_bytes,
    ),
    Metric(
        "idtone_ledger_room_seconds", _GAUGE,
        "For how long the free disk space is enough, at the rate of the last week.",
        lambda parts: None if (days := parts.room.free_space_and_days().days) is None else days * _DAY_S,
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
        lambda parts: parts.settings.canary.every.total_seconds() if parts.settings.canary.is_on else None,
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
        lambda parts: (
            None if _stamped(parts) is None else parts.settings.ledger.timestamp.every.total_seconds()
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
        lambda parts: parts.settings.backup.every.total_seconds() if parts.settings.backup.is_on else None,
    ),
    Metric(
        "idtone_backup_drill_timestamp_seconds", _GAUGE,
        "When `idtone restore --drill` was good last on this node; 0 if it never was, missing without recipients.",
        _backup(lambda result: result.drilled),
    ),
    # The service
    Metric(
        "idtone_started_timestamp_seconds", _GAUGE, "When this instance began to decide calls.",
        lambda parts: parts.calls.since.timestamp(),
    ),
    Metric(
        "idtone_hand_overs_total", _COUNTER,
        "Hand-overs from one instance to the next since the service was started; it continues with the next instance.",
        lambda parts: parts.hand_overs(),
    ),
    Metric(
        "idtone_clock_timestamp_seconds", _GAUGE, "The time by the clock of this machine.",
        lambda parts: datetime.now(UTC).timestamp(),
    ),
)  # fmt: skip
"""All metrics that idtone defines. The metrics `process_…` come from prometheus-client."""
