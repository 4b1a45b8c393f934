"""The `idtone status` command: the state of the running service, or of its files while no service runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from idtone.core.japan_time import JAPAN
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.terminal.command_line import ConfigOption, JsonOption, exit_negative
from idtone.core.translation import Message, joined, translated
from idtone.registry.licence_lapses import LicenceLapse
from idtone.registry.suspensions.suspension_states import DUTY_WORDS, STATE_WORDS, DutyKind, SuspensionState

from .live_display import WatchOption, show
from .status_client import answer, restarts
from .troubles import troubles

if TYPE_CHECKING:
    from rich.table import Table

Row = tuple[str, str]
"""The name of a part and its state as text."""


def status(config: ConfigOption = None, as_json: JsonOption = False, watch: WatchOption = False) -> None:
    """Show the state of the running service: Asterisk, calls, registry, evidence. --watch updates it every second.

    Run it as the service's user or as root. With --watch, --json prints one line per second. Exit 1: no service runs,
    or it does not answer. The command then shows the state of the ledger and the registry.
    """
    settings = load_settings(config)
    found = show(lambda: status_with_troubles(settings), table, lambda found: found, as_json=as_json, watch=watch)
    if not found["running"]:
        exit_negative()


def status_with_troubles(settings: Settings) -> dict[str, Any]:
    """State for `idtone status`, with current problems in `troubles` and upcoming ones in `warnings`."""
    found = read_status(settings)
    known = troubles(found, restarts(), datetime.now(UTC))
    found["troubles"] = [each.to_json() for each in known if not each.is_warning]
    found["warnings"] = [each.to_json() for each in known if each.is_warning]
    return found


def read_status(settings: Settings) -> dict[str, Any]:
    """Status feed of the service; without it, whatever state is known from files (`running` is then false)."""
    found = answer(settings)
    if found["running"]:
        return found
    from .state_from_files import state_from_files  # imports the ledger and the registry, which a feed does not need

    return found | state_from_files(settings)


# -- for people -----------------------------------------------------------------------------------------------------


def table(found: Mapping[str, Any]) -> Table:
    from rich.table import Table
    from rich.text import Text

    shown = Table.grid(padding=(0, 2))
    for trouble in found.get("troubles", ()):
        shown.add_row(Text(translated(Message("TROUBLE")), "bold red"), Text(translated(trouble["text"])))
    for warning in found.get("warnings", ()):
        shown.add_row(Text(translated(Message("SOON")), "bold yellow"), Text(translated(warning["text"])))
    for name, state in rows(found) if found["running"] else rows_without_service(found):
        shown.add_row(Text(translated(name), "bold"), Text(translated(state)))
    shown.add_row(Text(translated(Message("times")), "bold"), Text(translated(Message("of Japan (UTC+9)"))))
    return shown


def rows_without_service(found: Mapping[str, Any]) -> Iterator[Row]:
    ledger, registry = found["ledger"], found["registry"]
    yield Message("service"), found["trouble"]
    if ledger["trouble"]:
        known: str = Message("{path}: {trouble}", path=ledger["path"], trouble=ledger["trouble"])
    else:
        known = Message(
            "{path}: {steps:,} steps, the last written {written}",
            path=ledger["path"],
            steps=ledger["steps"],
            written=_in_japan(ledger["written"]),
        )
    yield Message("ledger"), known
    yield Message("room"), _room(ledger)
    if registry["trouble"]:
        yield Message("registry"), Message("{path}: {trouble}", path=registry["path"], trouble=registry["trouble"])
    else:
        yield (
            Message("registry"),
            Message("{path}, {expires}", path=registry["path"], expires=_expires(registry["expires"])),
        )
    yield from _own_suspensions(found.get("suspensions", {}).get("own", []))


def rows(found: Mapping[str, Any]) -> Iterator[Row]:
    instance, ari, calls = found["instance"], found["ari"], found["calls"]
    yield (
        Message("service"),
        Message(
            "idtone {version} on {node}, process {pid}, since {since} ({age}), {hand_overs} hand-overs",
            version=instance["version"],
            node=instance["node"],
            pid=instance["pid"],
            since=_in_japan(instance["since"]),
            age=_age(instance["since"]),
            hand_overs=instance["hand_overs"],
        ),
    )
    if ari["connected"]:
        yield (
            Message("Asterisk"),
            Message(
                "{version} is connected, {transport}, {reconnects} reconnects",
                version=ari["asterisk"],
                transport=Message(ari["transport"]),
                reconnects=ari["reconnects"],
            ),
        )
    else:
        yield Message("Asterisk"), Message("NOT connected; the log says why")
    if found["agi"]["listen"]:
        yield "AGI", found["agi"]["listen"]
    if calls["in_progress"]:
        longest = duration(calls["longest_seconds"])
        progress: str = Message(
            "{calls} in progress, the longest for {longest}", calls=calls["in_progress"], longest=longest
        )
    else:
        progress = Message("none in progress")
    yield Message("calls"), progress
    yield (
        Message("decisions"),
        _listed(f"{each['outcome']} ({each['reason']}) {each['calls']}" for each in calls["decisions"]),
    )
    yield Message("ended"), _listed(f"{status} {count}" for status, count in calls["ended"].items())
    if calls["sent_ratio"] is not None:
        yield (
            Message("sound sent"),
            Message(
                "on {sent} of {calls} connected calls with a sound ({percent:.1f} %), confirmed on {confirmed}",
                sent=calls["sent"],
                calls=calls["with_sound"],
                percent=100 * calls["sent_ratio"],
                confirmed=calls["confirmed"],
            ),
        )
    if calls["decision_seconds"]:
        yield (
            Message("decision delay"),
            _listed(
                f"{interface}: p50 {1000 * delay['p50']:.1f} ms, p99 {1000 * delay['p99']:.1f} ms"
                for interface, delay in calls["decision_seconds"].items()
            ),
        )
    if found["brake"]["subjects"]:
        yield (
            Message("brake"),
            _listed(
                f"{each['step']}: {each['kind']} {each['label'] or each['token'][:8]} ({each['signal']})"
                for each in found["brake"]["subjects"]
            ),
        )
    yield from _registry_rows(found)
    yield from _evidence_rows(found)
    if settings := found.get("settings"):
        yield (
            Message("settings"),
            Message(
                "version {version} of the fleet's, signed {signed}, {count} keys set otherwise here",
                version=settings["version"],
                signed=_in_japan(settings["signed"]),
                count=len(settings["overrides"]),
            ),
        )
    if canary := found.get("canary"):
        yield Message("canary"), _canary(canary)
    if backup := found.get("backup"):
        yield Message("backup"), _backup(backup)
    yield Message("metrics"), found["metrics"]["listen"] or Message("off")


def _registry_rows(found: Mapping[str, Any]) -> Iterator[Row]:
    registry, fallback = found["registry"], found["fallback"]
    if registry["version"]:
        known = Message(
            "version {version} ({trust}), issued {age} ago, {expires}",
            version=registry["version"],
            trust=registry["trust"],
            age=_age(registry["issued"]),
            expires=_expires(registry["expires"]),
        )
        yield Message("registry"), known
    else:
        yield Message("registry"), Message("NO registry; the log says why")
    if trouble := found.get("association", {}).get("trouble"):
        yield Message("member"), trouble
    yield Message("lines"), _lines(found.get("lines"))
    yield Message("suspensions"), Message("{count:,} in force", count=registry["suspensions_in_force"])
    yield from _own_suspensions(found.get("suspensions", {}).get("own", []))
    if lapses := registry.get("licence_lapses"):
        ends = joined("; ", (str(LicenceLapse.of_json(each)) for each in lapses))
        yield Message("licences"), Message("until {ends}", ends=ends)
    if registry.get("certification_lapses"):
        until = Message(
            "the first lapses, or is to be checked, on {at}", at=_in_japan(registry["certification_lapses"])
        )
        yield Message("certifications"), until
    never = registry.get("never_originates")
    entries = Message("no list is published") if never is None else Message("{count:,} entries", count=never)
    yield Message("never originate"), entries
    if fallback["trouble"]:
        yield Message("fallback"), fallback["trouble"]


def _own_suspensions(own: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for each in own:
        since = (
            Message("in force since {at}", at=_in_japan(each["in_force"]))
            if each["in_force"]
            else Message("not in force")
        )
        duties = [
            Message("{kind} OVERDUE since {due}", kind=_duty(duty), due=duty["due"])
            if duty["overdue"]
            else Message("{kind} due {due}", kind=_duty(duty), due=duty["due"])
            for duty in each["duties"]
        ]
        known = Message(
            "{id} ({reference}): {state}, {since}, {numbers} numbers, {ended} calls ended",
            id=each["id"],
            reference=each["reference"],
            since=since,
            numbers=each["numbers"],
            state=Message(STATE_WORDS[SuspensionState(each["state"])]),
            ended=each["calls_ended"],
        )
        yield Message("own suspension"), joined("; ", [known, *duties])


def _duty(duty: Mapping[str, Any]) -> Message:
    return Message(DUTY_WORDS[DutyKind(duty["kind"])])


def _lines(lines: Mapping[str, Any] | None) -> str:
    if lines is None:
        return Message("customers' numbers are not checked (lines.source)")
    known = Message(
        "{numbers:,} numbers of {customers:,} customers, {lines:,} lines, taken {taken}",
        numbers=lines["numbers"],
        customers=lines["customers"],
        lines=lines["lines"],
        taken=_in_japan(lines["taken"]),
    )
    if lines["taken"] is None:
        known = Message("NO table of lines: outgoing calls are refused")
    return Message("{known}; {trouble}", known=known, trouble=lines["trouble"]) if lines["trouble"] else known


def _evidence_rows(found: Mapping[str, Any]) -> Iterator[Row]:
    ledger, replication = found["ledger"], found["replication"]
    yield (
        Message("ledger"),
        ledger["trouble"] or Message("{steps} unwritten steps", steps=ledger["unwritten_steps"]),
    )
    yield Message("room"), _room(ledger)
    yield (
        Message("reserve"),
        Message("{left} of {size}", left=_size(ledger["reserve_bytes"]), size=_size(ledger["reserve_size_bytes"])),
    )
    if ledger["checkpoint_leaves"] is not None:
        yield (
            Message("checkpoint"),
            Message(
                "{leaves:,} leaves, written {written}",
                leaves=ledger["checkpoint_leaves"],
                written=_in_japan(ledger["checkpoint_written"]),
            ),
        )
    for log in ledger.get("ends_given_up", ()):
        yield Message("earlier log"), Message("the end of {log} was given up: it is not signed", log=log)
    for witness in ledger["witnesses"]:
        known = Message("{name} has cosigned {leaves:,} leaves", name=witness["name"], leaves=witness["leaves"])
        yield Message("witness"), witness["trouble"] or known
    if timestamp := ledger.get("timestamp"):
        yield Message("timestamp"), _timestamp(timestamp)
    if replication:
        behind = replication["unreplicated_steps"]
        waiting = (
            Message("PostgreSQL has not answered yet")
            if behind is None
            else Message("{steps:,} steps are not in PostgreSQL", steps=behind)
        )
        yield Message("replication"), replication["trouble"] or waiting
    yield Message("journal"), Message("read {seconds:.1f} s ago", seconds=found["journal"]["lag_seconds"])


def _canary(found: Mapping[str, Any]) -> str:
    if found["at"] is None:
        return Message("no call was placed yet; run idtone canary")
    return Message("{verdict}, {age} ago: {says}", verdict=found["verdict"], age=_age(found["at"]), says=found["says"])


def _backup(found: Mapping[str, Any]) -> str:
    if found["at"] is None:
        return Message("none was made yet; run: systemctl enable --now idtone-backup.timer")
    made = Message("{age} ago, {archive}", age=_age(found["at"]), archive=found["archive"])
    if found["overdue"]:
        return Message("overdue: the last one {made}; see: journalctl -u idtone-backup", made=made)
    return made


def _timestamp(found: Mapping[str, Any]) -> str:
    last = Message("the last one {age} ago", age=_age(found["at"])) if found["at"] else Message("none was made yet")
    if found["trouble"]:
        last = Message("{last}; {trouble}", last=last, trouble=found["trouble"])
    return Message("overdue: {last}", last=last) if found["overdue"] else last


def _room(ledger: Mapping[str, Any]) -> str:
    if ledger.get("free_bytes") is None:
        return Message("not known")
    free = _size(ledger["free_bytes"])
    if ledger["room_days"] is None:
        return Message("{free} free", free=free)
    return Message("{free} free, enough for {days:,.0f} days", free=free, days=ledger["room_days"])


def _listed(texts: Iterator[str]) -> str:
    return ", ".join(texts) or Message("none")


def _in_japan(time: str | None) -> str:
    return datetime.fromisoformat(time).astimezone(JAPAN).strftime("%Y-%m-%d %H:%M:%S") if time else "?"


def _expires(time: str | None) -> str:
    if time and datetime.fromisoformat(time) <= datetime.now(UTC):
        return Message(
            "EXPIRED {expires}: after policy.registry_stale no licence is valid; run: idtone registry update",
            expires=_in_japan(time),
        )
    return Message("expires {expires}", expires=_in_japan(time))


def _age(time: str | None) -> str:
    return duration((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()) if time else "?"


def duration(seconds: float) -> str:
    """Duration such as `1:02:03`, or `2 days` for two days or more."""
    lasted = timedelta(seconds=max(0, round(seconds)))
    return Message("{days:,} days", days=lasted.days) if lasted >= timedelta(days=2) else _clock(lasted)


def _clock(lasted: timedelta) -> str:
    hours, rest = divmod(lasted.seconds + 86400 * lasted.days, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def _size(octets: float) -> str:
    return f"{octets / 1e9:,.1f} GB" if octets >= 1e9 else f"{octets / 1e6:,.1f} MB"
