"""Status feed: the running service's state as one JSON object, over a socket next to the ledger.

`FEED` is the table of its fields. A reader connects, receives the object and is disconnected. Only the service's user
and root can connect. No field contains a telephone number or a member. Counts and states come from the same functions
as the metrics.
"""

import asyncio
import heapq
import json
import logging
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from idtone import __version__
from idtone.call_control.call import Call
from idtone.core.daemon_thread import in_daemon
from idtone.core.log_output import in_words, unexpected
from idtone.core.settings.settings import Interface
from idtone.core.settings.shared_settings import fleet_settings_report
from idtone.ledger.keys.timestamp_store import is_overdue
from idtone.ledger.store.sqlite import path_of
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.registry.node_member_check import member_trouble, tones_trouble

from . import backup_result, canary_result
from .call_counts import LABELS
from .feed_messages import with_messages
from .instance_parts import InstanceParts
from .ledger_disk_space import damaged_ledgers
from .local_sockets import is_trusted_peer, listening_socket
from .metrics import METRICS
from .status_client import FORMAT, socket_path
from .suspension_keeper import summary

log = logging.getLogger(__name__)

READ_WITHIN_S: Final = 1.0
"""How long the service waits for a reader, in seconds."""

OLDEST: Final = 100
"""Maximum number of calls in progress that the feed names. It names the oldest."""

BRAKED: Final = 100
"""Maximum number of braked subjects that the feed names."""

_METRICS: Final = {metric.name: metric.read for metric in METRICS}


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    """Its dotted path."""
    meaning: str
    read: Callable[[InstanceParts], Any]


def _metric(name: str) -> Callable[[InstanceParts], Any]:
    return _METRICS[f"idtone_{name}"]


def _time(timestamp_s: float | None) -> str | None:
    return None if timestamp_s is None else datetime.fromtimestamp(timestamp_s, UTC).isoformat(timespec="seconds")


def _time_of(name: str) -> Callable[[InstanceParts], str | None]:
    read = _metric(name)
    return lambda parts: _time(read(parts))


def _longest_s(parts: InstanceParts) -> float | None:
    now = parts.calls.now()
    return max((round((now - call.decided_at).total_seconds(), 1) for call in parts.calls), default=None)


def _oldest(parts: InstanceParts) -> list[dict[str, Any]]:
    calls = heapq.nsmallest(OLDEST, parts.calls, key=lambda call: call.decided_at)
    return [
        {
            "call_id": call.id,
            "decided": call.decided_at.isoformat(timespec="seconds"),
            "outcome": call.decision.outcome,
            "reason": call.decision.reason,
            "state": _state(call),
        }
        for call in calls
    ]


def _state(call: Call) -> str:
    if call.suspended:
        return "suspended"
    return "connected" if call.sounded_at else "answered" if call.answered else "dialling"


def _decisions(parts: InstanceParts) -> list[dict[str, Any]]:
    counted: Counter[tuple[str, ...]] = Counter()
    for labels, count in dict(parts.counts.decisions).items():
        named = dict(zip(LABELS, labels, strict=True))
        counted[named["outcome"], named["reason"]] += count
    return [{"outcome": outcome, "reason": reason, "calls": n} for (outcome, reason), n in counted.most_common()]


def decided_calls(parts: InstanceParts) -> int:
    """Number of calls decided by this instance and the hook."""
    return sum(_metric("decisions_total")(parts).values())


def _suspensions(parts: InstanceParts) -> str | None:
    """SHA-256 of the suspension list in use."""
    registry = parts.source.current
    return registry.signed.sha256 if registry and registry.signed else None


def _sent_ratio(parts: InstanceParts) -> float | None:
    calls = _metric("calls_with_sound_total")(parts)
    return round(_metric("calls_sent_total")(parts) / calls, 4) if calls else None


def _delays(parts: InstanceParts) -> dict[str, dict[str, Any]]:
    return {
        interface: {"calls": n, "p50": waited.quantile_s(0.5), "p99": waited.quantile_s(0.99)}
        for (interface,), waited in _metric("decision_seconds")(parts).items()
        if (n := waited.counted()[0][-1])
    }


def _checkpoint_size(parts: InstanceParts) -> int | None:
    note = parts.evidence.stored_checkpoint
    return Checkpoint.parse(note.text).size if note else None


def _checkpoint_written(parts: InstanceParts) -> str | None:
    with suppress(FileNotFoundError):
        return _time(parts.settings.ledger.checkpoint_file().stat().st_mtime)
    return None


def _canary(parts: InstanceParts) -> dict[str, Any] | None:
    canary = parts.settings.canary
    if not canary.is_on:
        return None
    result = canary_result.read(canary.result)
    if result is None:
        return {"every_seconds": canary.every.total_seconds(), "at": None}
    return {"every_seconds": canary.every.total_seconds(), **result.to_json()}


def _backup(parts: InstanceParts) -> dict[str, Any] | None:
    backup = parts.settings.backup
    if not backup.is_on:
        return None
    result = backup_result.read(backup.result)

    def text(moment: datetime | None) -> str | None:
        return moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment else None

    return {
        "every_seconds": backup.every.total_seconds(),
        "at": text(result.at) if result else None,
        "archive": result.chain[-1].name if result else None,
        "newest_call": text(result.newest) if result else None,
        "drilled_at": text(result.drilled) if result else None,
        "overdue": backup_result.is_old(result, backup.every.total_seconds(), parts.calls.now()),
    }


def _timestamp(parts: InstanceParts) -> dict[str, Any] | None:
    settings, timestamping = parts.settings.ledger.timestamp, parts.timestamping
    if settings.url is None:
        return None
    return {
        "every_seconds": settings.every.total_seconds(),
        "at": timestamping.at.isoformat(timespec="seconds") if timestamping.at else None,
        "overdue": is_overdue(timestamping.at, settings.every, parts.calls.now()),
        "trouble": timestamping.trouble,
    }


def _replication(parts: InstanceParts) -> dict[str, Any] | None:
    if parts.replicator is None:
        return None
    status = parts.replicator.status
    return {"unreplicated_steps": status.behind, "trouble": str(status.trouble)}


def _association_trouble(parts: InstanceParts) -> str:
    settings, registry, now = parts.settings, parts.source.current, parts.calls.now()
    member = settings.association.member
    tones = settings.policy.policy(member).tones
    return str(member_trouble(member, registry) or tones_trouble(tones, member, registry, now) or "")


def _lines(parts: InstanceParts) -> dict[str, Any] | None:
    source = parts.lines
    if source is None:
        return None
    totals = source.index.totals if source.index else None
    return {
        "customers": totals.customers if totals else 0,
        "lines": totals.lines if totals else 0,
        "numbers": totals.numbers if totals else 0,
        "taken": source.taken and source.taken.isoformat(timespec="seconds"),
        "trouble": source.trouble,
    }


def _braked(parts: InstanceParts) -> list[dict[str, Any]] | None:
    if parts.calls.braking is None:
        return None
    newest = heapq.nlargest(BRAKED, parts.calls.braking.brake.holds(), key=lambda hold: hold.since_s)
    return [hold.to_json() for hold in newest]


def _own_suspensions(parts: InstanceParts) -> list[dict[str, Any]]:
    return summary(parts.suspensions.known, datetime.now(UTC))


def _licence_lapses(parts: InstanceParts) -> list[dict[str, Any]]:
    return [each.to_json() for each in parts.licence_lapses(datetime.now(UTC))]


FEED: Final = (
    Field("format", "The version of this format. It changes if a field changes or is removed.", lambda _: FORMAT),
    Field("running", "Whether the service runs.", lambda _: True),
    Field("instance.version", "The version of idtone.", lambda _: __version__),
    Field("instance.node", "The PBX's name in the evidence.", lambda parts: parts.settings.node),
    Field("instance.pid", "The process.", lambda _: os.getpid()),
    Field(
        "instance.since",
        "When this instance began to decide calls. All counts begin then.",
        lambda parts: _time(parts.calls.since.timestamp()),
    ),
    Field("instance.hand_overs", "Hand-overs since the service was started.", _metric("hand_overs_total")),
    Field("ari.connected", "Whether Asterisk's ARI is connected.", _metric("ari_connected")),
    Field(
        "ari.asterisk",
        "Asterisk's version; null while it is not connected.",
        lambda parts: parts.runner.connection and parts.runner.connection.version,
    ),
    Field(
        "ari.transport",
        "How requests go to Asterisk; null while it is not connected.",
        lambda parts: parts.runner.connection and parts.runner.connection.transport,
    ),
    Field("ari.reconnects", "Connections after the first one.", _metric("ari_reconnects_total")),
    Field(
        "hook.loaded",
        "The digest of the hook that Asterisk has loaded; empty if there is none, null while it is not known.",
        lambda parts: parts.hook.digest,
    ),
    Field(
        "hook.current",
        "Whether it is the hook of this version and these settings; null while it is not known.",
        lambda parts: parts.hook.is_current,
    ),
    Field(
        "agi.listen",
        "Where the service listens for AGI; null if it does not.",
        lambda parts: parts.settings.agi.listen if parts.settings.interface is Interface.AGI else None,
    ),
    Field("calls.in_progress", "Calls between their decision and their end.", _metric("calls_in_progress")),
    Field("calls.longest_seconds", "How long ago the oldest of them was decided; null without calls.", _longest_s),
    Field(
        "calls.oldest",
        f"The oldest of them, at most {OLDEST}: a list of call id, decided, outcome, reason and state (`dialling`, "
        "`answered`, `connected`, or `suspended` if Asterisk ends it because its number is suspended).",
        _oldest,
    ),
    Field("calls.decided", "Decided calls, including those that the hook decided by itself.", decided_calls),
    Field("calls.decisions", "The same by outcome and reason: a list of outcome, reason and their number.", _decisions),
    Field(
        "calls.ended",
        "Ended calls by IDTONE_STATUS.",
        lambda parts: {status: n for (status,), n in dict(parts.counts.ended).items()},
    ),
    Field(
        "calls.suspended",
        "Calls that the service ended because their number was suspended, by the reference of the suspension.",
        lambda parts: dict(parts.calls.suspended.ended),
    ),
    Field(
        "calls.with_sound",
        "Ended calls that were connected and on which a party was to hear a sound.",
        _metric("calls_with_sound_total"),
    ),
    Field(
        "calls.sent", "The calls of `with_sound` for which each of these sounds was sent.", _metric("calls_sent_total")
    ),
    Field(
        "calls.confirmed",
        "The calls of `sent` for which the phone's own reports confirm each of these sounds.",
        _metric("calls_confirmed_total"),
    ),
    Field("calls.sent_ratio", "`sent` divided by `with_sound`; null without such calls.", _sent_ratio),
    Field(
        "calls.decision_seconds",
        "From the hook's request to the decision, by interface: the number of calls, and the median and 99th "
        "percentile, estimated from a histogram.",
        _delays,
    ),
    Field("registry.version", "The registry's version; 0 without a registry.", _metric("registry_version")),
    Field(
        "registry.trust",
        "`signed` or `unsigned`; null without a registry.",
        lambda parts: parts.source.current and parts.source.current.trust,
    ),
    Field(
        "association.trouble",
        "What is wrong with `association.member`: not set, or not in the registry; or with `policy.tones`: not "
        "licensed; empty if nothing is.",
        _association_trouble,
    ),
    Field("registry.issued", "When it was issued.", _time_of("registry_issued_timestamp_seconds")),
    Field("registry.expires", "When it expires.", _time_of("registry_expires_timestamp_seconds")),
    Field(
        "registry.suspensions_in_force",
        "Suspensions in force: of numbers, ranges and members.",
        _metric("suspensions_in_force"),
    ),
    Field(
        "registry.suspensions_sha256",
        "The SHA-256 of the signed `suspensions.yaml` in use; null without one.",
        _suspensions,
    ),
    Field(
        "suspensions.own",
        "This node's own suspensions (`idtone suspend`) that are not over, or whose duties are open, the newest 100: a "
        "list of `id`, `state`, `reference`, `numbers` (how many), `asked`, `in_force` (null until the service has "
        "confirmed it), `calls_ended`, `home` (the node that ordered it, empty for this one), `not_confirmed_by` (the "
        "other nodes that have not confirmed it), and `duties` with `kind`, `due` and `overdue`.",
        _own_suspensions,
    ),
    Field(
        "registry.licence_lapses",
        "The times from which no licence of `association.member` is valid: a list of `direction`, `at`, `licence` (the "
        "id of the last one), and `suspended` (the id of one that would be valid if it were not suspended, or empty); "
        "without a direction that has no licence, or has had none for 90 days.",
        _licence_lapses,
    ),
    Field(
        "registry.certification_lapses",
        "When the first certification lapses, or its check is due; null if none is recorded.",
        _time_of("certification_lapses_timestamp_seconds"),
    ),
    Field(
        "registry.never_originates",
        "Entries of the list of numbers that never originate; null if the association publishes no list.",
        _metric("never_originates_entries"),
    ),
    Field(
        "registry.taken",
        "When this registry was taken into use.",
        lambda parts: parts.source.taken and parts.source.taken.isoformat(timespec="milliseconds"),
    ),
    Field(
        "lines",
        "The table of the customers' lines: `customers`, `lines`, `numbers`, `taken` (when it was taken into use), "
        "`trouble` (why the newest one is not in use; empty if it is); null if customers' numbers are not checked.",
        _lines,
    ),
    Field(
        "fallback.current",
        "Whether Asterisk has the suspended numbers of this registry.",
        _metric("fallback_file_current"),
    ),
    Field("fallback.trouble", "Why not; empty if it has.", lambda parts: str(parts.fallback.trouble)),
    Field(
        "journal.lag_seconds",
        "Time since the journal was read to its end.",
        lambda parts: round(_metric("journal_lag_seconds")(parts), 3),
    ),
    Field(
        "ledger.unwritten_steps",
        "Steps that are not in the ledger yet, or never will be.",
        _metric("ledger_unwritten_steps"),
    ),
    Field("ledger.free_bytes", "Free disk space, without the reserve.", _metric("ledger_free_bytes")),
    Field(
        "ledger.room_days",
        "For how many days it is enough, at the rate of the last week.",
        lambda parts: parts.room.free_space_and_days().days,
    ),
    Field("ledger.reserve_bytes", "Disk space in reserve.", _metric("ledger_reserve_bytes")),
    Field("ledger.reserve_size_bytes", "What should be in reserve.", _metric("ledger_reserve_size_bytes")),
    Field(
        "ledger.checkpoint_leaves",
        "Leaves in the last signed checkpoint; null if nothing was signed.",
        _checkpoint_size,
    ),
    Field("ledger.checkpoint_written", "When it was written.", _checkpoint_written),
    Field(
        "ledger.trouble",
        "What is wrong with the evidence: it is not signed, not written, or has no room; empty if nothing is.",
        lambda parts: parts.evidence.words,
    ),
    Field(
        "ledger.set_aside",
        "A list of the damaged ledgers that were set aside and not moved away.",
        lambda parts: [str(each) for each in damaged_ledgers(path_of(parts.settings.ledger.own_url()))],
    ),
    Field(
        "ledger.ends_given_up",
        "A list of the earlier logs whose end was given up: nothing can sign it any more.",
        lambda parts: parts.evidence.ends_given_up,
    ),
    Field(
        "ledger.witnesses",
        "A list of the witnesses: name, how many leaves it cosigned last (0 if unknown), trouble.",
        lambda parts: [
            {"name": each.key.name, "leaves": each.size, "trouble": each.trouble} for each in parts.cosigning.witnesses
        ],
    ),
    Field(
        "ledger.timestamp",
        "The authority's timestamps: when the newest head was stamped last (`at`, null if none ever was), "
        "`every_seconds`, whether that is `overdue`, and `trouble`, what the authority answered. Null if the settings "
        "name no authority.",
        _timestamp,
    ),
    Field(
        "replication",
        "PostgreSQL: steps that it does not have, and what is wrong; null without PostgreSQL.",
        _replication,
    ),
    Field(
        "brake.subjects",
        "What the brake has marked, slowed or stopped: a list of token, kind, line, label (empty for a number), step, "
        "signal, since_s, node and call_id. The newest 100.",
        _braked,
    ),
    Field(
        "brake.trouble",
        "Why the stops of other nodes are not known; empty if they are, or without other nodes.",
        lambda parts: parts.others.trouble,
    ),
    Field(
        "settings",
        "The settings of the fleet that this instance uses: `version`, `sha256`, `signed`, and in `overrides` the keys "
        "that this node sets otherwise, such as `policy.waiting: 100` (`(not shown)` where they hold numbers or a "
        "member); null without `fleet.settings`.",
        lambda parts: fleet_settings_report(parts.settings),
    ),
    Field(
        "canary",
        "The last canary call (`idtone canary`): `at` (null before the first), `good`, `verdict`, `says`, `fault`, "
        "`detail`, `expected`, `call_id`, `outcome`, `reason`, `status`, `level_dbm0`, `lasted_s`; and "
        "`every_seconds`, how often one is to be placed. Null if the settings name no canary.",
        _canary,
    ),
    Field(
        "backup",
        "The last backup (`idtone backup`): `at` (null before the first), `archive`, `newest_call` (when the newest "
        "call in it was over), `drilled_at` (when a drill was good last), `every_seconds`, and whether the next one is "
        "`overdue`. Null if the settings name no recipients.",
        _backup,
    ),
    Field(
        "metrics.listen",
        "Where the metrics are; null if they are off.",
        lambda parts: parts.settings.metrics.listen,
    ),
)


def snapshot(parts: InstanceParts) -> dict[str, Any]:
    """Build the status feed. Reading the disk may block, so do not call it in the event loop."""
    return nested((field.name, field.read(parts)) for field in FEED)


def nested(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Build nested objects from pairs of a dotted path and a value."""
    made: dict[str, Any] = {}
    for path, value in values:
        *above, name = path.split(".")
        place = made
        for each in above:
            place = place.setdefault(each, {})
        place[name] = value
    return made


@asynccontextmanager
async def serve_feed(parts: InstanceParts) -> AsyncIterator[None]:
    """Serve the status feed during the block, to one reader at a time. The caller must hold the ledger's lock."""
    with listening_socket(socket_path(path_of(parts.settings.ledger.own_url())), socket.SOCK_STREAM) as listener:
        attending = asyncio.create_task(_attend(listener, parts))
        try:
            yield
        finally:
            attending.cancel()
            await asyncio.wait({attending})


async def _attend(listener: socket.socket, parts: InstanceParts) -> None:
    loop = asyncio.get_running_loop()
    while True:
        end, _ = await loop.sock_accept(listener)
        with end:
            if not is_trusted_peer(end):
                continue
            end.setblocking(False)
            try:
                made = await asyncio.wrap_future(in_daemon(lambda: snapshot(parts), "the status"))
                async with asyncio.timeout(READ_WITHIN_S):
                    await loop.sock_sendall(end, json.dumps(with_messages(made)).encode() + b"\n")
            except Exception as error:
                log.error("the status was not read: %s", in_words(error), exc_info=unexpected(error))
