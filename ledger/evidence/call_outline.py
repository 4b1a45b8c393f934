"""Short outlines of calls for misuse detection, made from the steps in the ledger.

Canary calls are left out. Creating an outline takes a tenth of the time of a full record
(`call_record.record_of_steps`), and its fields have the same values.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from idtone.core.errors import LedgerError

from .leaves import StoredStep
from .steps import CANARY, StepKind

OUTLINED: Final = frozenset(
    {StepKind.DECIDED, StepKind.FALLBACK, StepKind.CONNECTED, StepKind.SUSPENDED, StepKind.ENDED}
)
"""Kinds of steps that are needed for an outline."""
LATE: Final = timedelta(hours=6)
"""Time allowed after the end of a day. Steps written later are missing from that day's outlines."""
_SECOND_US: Final = 1_000_000
_DAY_S: Final = 86_400
_END_US: Final = 253_402_300_800 * _SECOND_US
"""The year 10000, in µs since 1970."""
_LATE_S: Final = LATE / timedelta(seconds=1)


@dataclass(slots=True)
class CallOutline:
    """A short outline of one call, for misuse detection.

    Times are in seconds since 1970 (UTC). Tokens are lower-case hexadecimal digits. None means unknown. `suspended` is
    True if the forwarding number was suspended during the call. `connected_s` and `ended_s` are None while the call is
    in progress.
    """

    call_id: str
    at_s: float
    direction: str | None = None
    outcome: str | None = None
    reason: str | None = None
    licence: str | None = None
    forwarding: str | None = None
    caller: str | None = None
    called: str | None = None
    called_kind: str | None = None
    connected_s: float | None = None
    ended_s: float | None = None
    status: str | None = None
    suspended: bool = False

    @property
    def talk_s(self) -> float | None:
        """Seconds from when the parties were connected until the call ended.

        None if the call was never connected or is still in progress.
        """
        return None if self.connected_s is None or self.ended_s is None else self.ended_s - self.connected_s


@dataclass(frozen=True, slots=True)
class OutlinedDay:
    """Outlines of the calls decided on one UTC day, such as `2026-11-01`, oldest first."""

    day: str
    calls: list[CallOutline]


class Outlines:
    """Converts the ledger's steps into call outlines, one day at a time.

    `left_out` counts the calls that were recorded more than `LATE` after their day ended.
    """

    def __init__(self) -> None:
        self.left_out = 0
        self._given = 0
        """The earliest day not yielded yet, in days since 1970."""
        self._latest_s = 0.0
        self._days: dict[int, dict[str, CallOutline]] = {}
        self._in_progress: dict[str, CallOutline] = {}

    def days(self, steps: Iterable[StoredStep]) -> Iterator[OutlinedDay]:
        """Yield the outlined days in order, each as soon as the steps are past it.

        At most two days are held in memory. Steps of kinds outside `OUTLINED` are skipped. Raises LedgerError if a step
        cannot be read.
        """
        for step in steps:
            if not isinstance(step.at, int) or not 0 <= step.at < _END_US:
                raise _unreadable(step)
            at_s = step.at / _SECOND_US
            if at_s > self._latest_s:
                self._latest_s = at_s
                yield from self._over(int((at_s - _LATE_S) // _DAY_S))
            if step.kind in _FIRST:
                self._begin(step, at_s)
            elif call := self._in_progress.get(step.call_id):
                self._go_on(call, step, at_s)
        yield from self._over(int(self._latest_s // _DAY_S) + 1)

    def _begin(self, step: StoredStep, at_s: float) -> None:
        day = int(at_s // _DAY_S)
        if day < self._given:
            self.left_out += 1
            return
        details = _details(step)
        if details.get(CANARY):
            return
        known = self._in_progress.get(step.call_id)
        if known and step.kind == StepKind.FALLBACK and "outcome" not in details:
            return  # the hook acted on the service's decision
        if known and step.kind == StepKind.DECIDED and known.outcome:
            return  # which the hook did not wait for
        call = known or CallOutline(step.call_id, at_s)
        for name in _DETAILS:
            setattr(call, name, _text(details, name))
        for role in _ROLES:
            setattr(call, role, _text(details, f"{role}_token"))
        call.called_kind = _text(details, "called_kind")
        self._in_progress[step.call_id] = call
        if not known:
            self._days.setdefault(day, {})[step.call_id] = call

    def _go_on(self, call: CallOutline, step: StoredStep, at_s: float) -> None:
        if step.kind == StepKind.CONNECTED:
            if call.connected_s is None:
                call.connected_s = at_s
        elif step.kind == StepKind.SUSPENDED:
            call.suspended = True
        elif step.kind == StepKind.ENDED and call.ended_s is None:
            call.ended_s = at_s
            call.status = _text(_details(step), "status")

    def _over(self, until: int) -> Iterator[OutlinedDay]:
        if until <= self._given:
            return
        self._given = until
        for day in sorted(each for each in self._days if each < until):
            calls = self._days.pop(day)
            for call_id in calls:
                self._in_progress.pop(call_id, None)
            name = datetime.fromtimestamp(day * _DAY_S, UTC).date().isoformat()
            yield OutlinedDay(name, sorted(calls.values(), key=lambda call: call.at_s))


def _details(step: StoredStep) -> dict[str, Any]:
    try:
        details = json.loads(step.details)
    except (ValueError, TypeError) as error:
        raise _unreadable(step) from error
    if not isinstance(details, dict):
        raise _unreadable(step)
    return details


def _text(details: dict[str, Any], key: str) -> str | None:
    value = details.get(key)
    return value if isinstance(value, str) else None


def _unreadable(step: StoredStep) -> LedgerError:
    return LedgerError(
        "step {step} of the ledger cannot be read; it is damaged, or a newer idtone wrote it", step=step.id
    )


_FIRST: Final = frozenset({StepKind.DECIDED.value, StepKind.FALLBACK.value})
_DETAILS: Final = ("direction", "outcome", "reason", "licence")
_ROLES: Final = ("forwarding", "caller", "called")
