"""A subject of the brake, with its current counts, usual counts and step."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from idtone.core.tail_probabilities import binomial_tail, level_per_window

from .limits import (
    LEARNED_AFTER,
    LEARNED_DAYS,
    LIMITS,
    NO_COUNTS,
    SLOW_TIMES,
    TIMES,
    VOLUME,
    BrakeStep,
    Counts,
    LineKind,
    ShareLimit,
    ShareLimits,
    Signal,
    SubjectKind,
    pace_s,
    step_of,
    stops_at,
    stops_in_surge,
    thresholds,
)
from .windows import HALF_HOUR_S, HALF_MINUTE_S, MOST_DISTINCT, Halves, Positions, distinct_count

CALM_S: Final = 600.0
"""Time in seconds for which the counts must require less before a mark or slowing ends."""
_JAPAN_S: Final = 9 * 3600
_DAY_S: Final = 86_400
_NONE: Final[frozenset[str]] = frozenset()
_NOTHING: Final = BrakeStep.NOTHING
_HEAVY: Final = 8
"""Fraction of a limit at which windows are kept across restarts."""
_VOLUME_WORDS: Final = frozenset(signal.word for signal in VOLUME)
_JUDGED_SHARES: Final = frozenset({LineKind.EXTENSION, LineKind.PBX, LineKind.CALL_CENTRE, LineKind.NUMBER})


@dataclass(slots=True)
class Shares:
    """Counts of ended calls by outcome, in one-hour windows."""

    connected: Halves
    short: Halves
    rang: Halves
    pings: Halves
    unanswered: Halves

    @classmethod
    def none(cls) -> Shares:
        return cls(Halves(), Halves(), Halves(), Halves(), Halves())

    def advance(self, halves: int) -> None:
        for each in (self.connected, self.short, self.rang, self.pings, self.unanswered):
            each.advance(halves)


class Subject:
    """A line, trunk, customer or number whose calls the brake counts.

    `count` runs for every call and does as little as possible. `advance` does the rest twice a minute.
    """

    __slots__ = (
        "_before", "_called", "_calls", "_calls_before", "_calls_next", "_day", "_fresh", "_half_begin_s",
        "_half_end_s", "_hour_called", "_hour_called_before", "_hour_calls", "_hour_calls_before", "_hour_end_s",
        "_hour_next", "_hour_presented", "_hour_presented_before", "_looks", "_peaks", "_positions", "_presented",
        "_presented_next", "_restored", "_restored_count", "_was_slowed", "call_id", "days", "kind", "line", "name",
        "node", "pass_at_s", "reached_s", "shares", "signal", "since_s", "step", "stops", "token",
    )  # fmt: skip

    def __init__(
        self,
        kind: SubjectKind,
        name: str,
        line: LineKind,
        positions: Positions,
        now_s: float,
        days: Sequence[Counts] = (),
    ) -> None:
        self.kind, self.name, self.line = kind, name, line
        self.token = ""
        """Token that identifies it on disk and to other nodes; empty until needed."""
        self.days: Sequence[Counts] = days
        """The highest counts of each ordinary day."""
        self.step, self.signal, self.since_s, self.reached_s = _NOTHING, "", 0.0, 0.0
        self.node = ""
        """The node that raised its step; empty for this one."""
        self.call_id = ""
        """The call that raised it."""
        self.pass_at_s = 0.0
        """Time at which a slowed subject's next call passes."""
        self.shares: Shares | None = None
        self.stops = stops_at(line, days)
        self._positions = positions
        self._was_slowed = self._looks = False
        self._day = int((now_s + _JAPAN_S) // _DAY_S)
        self._peaks = NO_COUNTS
        self._hour_end_s = now_s + HALF_HOUR_S
        self._hour_calls = self._hour_calls_before = 0
        self._hour_presented = self._hour_presented_before = self._hour_called = self._hour_called_before = 0
        self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        self._half_begin_s, self._half_end_s = now_s, now_s + HALF_MINUTE_S
        self._calls = self._calls_before = self._fresh = self._restored = self._restored_count = 0
        self._presented: set[str] = set()
        self._called: set[str] = set()
        self._before: Set[str] = _NONE
        self._set_next()

    # -- each call ------------------------------------------------------------------------------------------------

    def count(self, presented: str, called: str, now_s: float) -> bool:
        """Count a call. True if `raise_step` must examine the counts.

        Empty numbers are not counted.
        """
        if not self._half_begin_s <= now_s < self._half_end_s:
            self.advance(now_s)
        self._calls += 1
        numbers = self._presented
        if presented and presented not in numbers and len(numbers) < MOST_DISTINCT:
            numbers.add(presented)
            if presented not in self._before and not (
                self._restored and self._restored & self._positions.bits((presented,))
            ):
                self._fresh += 1
        if called and len(self._called) < MOST_DISTINCT:
            self._called.add(called)
        return self._looks or self._calls >= self._calls_next or self._fresh >= self._presented_next

    def count_late(self, presented: str, called: str, at_s: float, now_s: float) -> None:
        """Count a call that was decided without the service, perhaps long ago."""
        if self._half_begin_s <= at_s or now_s - at_s < HALF_MINUTE_S:
            self.count(presented, called, max(at_s, self._half_begin_s))
        elif self._hour_end_s - at_s <= 2 * HALF_HOUR_S:
            self._hour_calls += 1
            self._hour_presented |= self._positions.bits((presented,))
            self._hour_called |= self._positions.bits((called,))

    @property
    def counts(self) -> Counts:
        """Count of each signal. Distinct numbers per hour are as of the last `advance`."""
        return (
            self._calls + self._calls_before,
            len(self._before) + self._fresh + self._restored_count,
            self._hour_calls + self._hour_calls_before + self._calls,
            distinct_count(self._hour_presented | self._hour_presented_before),
            distinct_count(self._hour_called | self._hour_called_before),
        )

    def advance(self, now_s: float) -> None:
        """Begin the next half-minute, after one or more have passed or the clock was set back."""
        calls = self._calls
        if calls:
            self._hour_calls += calls
            self._hour_presented |= self._positions.bits(self._presented)
            self._hour_called |= self._positions.bits(self._called)
            most_calls, most_presented, *hour = self._peaks
            in_minute, presented = calls + self._calls_before, len(self._before) + self._fresh + self._restored_count
            if in_minute > most_calls or presented > most_presented:
                self._peaks = (max(in_minute, most_calls), max(presented, most_presented), *hour)
        late_s = now_s - self._half_end_s
        if 0 <= late_s < HALF_MINUTE_S:
            self._half_begin_s = self._half_end_s
            self._half_end_s += HALF_MINUTE_S
            self._calls_before, self._before = calls, self._presented
            self._calls = self._fresh = self._restored = self._restored_count = 0
            self._presented, self._called = set(), set()
            self._set_next()
        else:
            self._begin(now_s)
        if now_s >= self._hour_end_s or now_s < self._hour_end_s - 2 * HALF_HOUR_S:
            self._turn_hour(now_s)
        self._looks = self._hour_calls + self._hour_calls_before >= self._hour_next

    def _turn_hour(self, now_s: float) -> None:
        self._peaks = tuple(map(max, self._peaks, (0, 0, *self.counts[2:])))
        if int((now_s + _JAPAN_S) // _DAY_S) != self._day:
            self._learn(now_s)
        follows = self._hour_end_s <= now_s < self._hour_end_s + HALF_HOUR_S
        self._hour_calls_before = self._hour_calls if follows else 0
        self._hour_presented_before = self._hour_presented if follows else 0
        self._hour_called_before = self._hour_called if follows else 0
        self._hour_calls = self._hour_presented = self._hour_called = 0
        if self.shares:
            self.shares.advance(1 if follows else 2)
        self._hour_end_s = (self._hour_end_s if follows else now_s) + HALF_HOUR_S

    def _learn(self, now_s: float) -> None:
        """End the day and keep its highest counts if it was ordinary and had calls."""
        if self._peaks[Signal.HOUR_CALLS] and not self._was_slowed:
            limits = LIMITS[self.line]
            # Small counts make no limit, because there is a floor; so most lines have nothing to keep but the days.
            matters = any(TIMES * self._peaks[signal] > limit.floor for signal, limit in limits.items())
            self.days = [*self.days, self._peaks if matters else NO_COUNTS][-LEARNED_DAYS:]
            self.stops = stops_at(self.line, self.days)
            self._set_next()
        self._day = int((now_s + _JAPAN_S) // _DAY_S)
        self._peaks, self._was_slowed = NO_COUNTS, self.step >= BrakeStep.SLOW

    def _set_next(self) -> None:
        calls_next, presented_next, self._hour_next = thresholds(self.stops, self.step)
        self._calls_next = calls_next - self._calls_before
        self._presented_next = presented_next - len(self._before) - self._restored_count

    # -- steps ----------------------------------------------------------------------------------------------------

    def raise_step(self, highest: BrakeStep, now_s: float, call_id: str = "", surge: bool = False) -> bool:
        """Compare the counts with the limits and raise the step if required. Returns True if it was raised."""
        step, signal = self._asked_for(surge)
        return self._raise(min(step, highest), signal.word if signal is not None else "", now_s, call_id)

    def _asked_for(self, surge: bool) -> tuple[BrakeStep, Signal | None]:
        """The step that the counts require.

        A surge raises the limits for slowing and stopping. The limit for a mark stays the same, because a mark only
        shows that a count is unusual.
        """
        step, signal = step_of(self.counts, self.stops)
        if not surge or step <= BrakeStep.MARK:
            return step, signal
        in_surge, of_surge = step_of(self.counts, stops_in_surge(self.line, self.stops))
        return (in_surge, of_surge) if in_surge > BrakeStep.MARK else (BrakeStep.MARK, signal)

    @property
    def is_marked_by_volume(self) -> bool:
        """True if the subject has a step because of its call volume."""
        return self.step is not _NOTHING and self.signal in _VOLUME_WORDS

    def is_large(self, now_s: float) -> bool:
        """True if the subject's usual call volume gives it limits above the floor.

        The subject must also be known and have called within the last hour.
        """
        return (
            len(self.days) >= LEARNED_AFTER
            and now_s - self._half_begin_s < 2 * HALF_HOUR_S
            and any(day is not NO_COUNTS for day in self.days)
        )

    def end_volume_slowing(self) -> bool:
        """Reduce a slowing to a mark unless a surge's raised limits require it. Returns True if the slowing ended."""
        if self.step is not BrakeStep.SLOW or not self.is_marked_by_volume:
            return False
        step, _ = self._asked_for(surge=True)
        if step >= BrakeStep.SLOW:
            return False
        self.step = BrakeStep.MARK
        self._set_next()
        return True

    def raise_step_by_share(self, limits: ShareLimits, highest: BrakeStep, now_s: float, call_id: str) -> bool:
        """Raise the step if the calls' outcomes are unusual. Returns True if it was raised."""
        shares = self.shares
        if shares is None or self.line not in _JUDGED_SHARES or len(self.days) < LEARNED_AFTER:
            return False
        found, word = BrakeStep.NOTHING, ""
        for name, part, of, limit in (
            ("short-calls", shares.short.total, shares.connected.total, limits.short),
            ("pings", shares.pings.total, shares.rang.total, limits.pings),
            ("unanswered", shares.unanswered.total, shares.rang.total, limits.unanswered),
        ):
            step = _step_by_share(part, of, limit, limits.false_alarm)
            if step > found:
                found, word = step, name
        if self.line is LineKind.CALL_CENTRE:
            found = min(found, BrakeStep.MARK)
        return self._raise(min(found, highest), word, now_s, call_id)

    def _raise(self, step: BrakeStep, signal: str, now_s: float, call_id: str) -> bool:
        if step > self.step:
            self.set_step(step, signal, now_s, "", call_id, now_s)
            return True
        if step and step == self.step:
            self.reached_s = now_s
        return False

    def set_step(self, step: BrakeStep, signal: str, since_s: float, node: str, call_id: str, now_s: float) -> None:
        """Set the subject's step. `node` is the node that raised it; empty if this process did."""
        self.step, self.signal, self.since_s, self.node, self.call_id = step, signal, since_s, node, call_id
        self.reached_s = now_s
        self._was_slowed |= step >= BrakeStep.SLOW
        self._set_next()

    def lower_step(self, now_s: float, surge: bool = False) -> bool:
        """End a mark or slowing that the counts have not required for a while. Returns True if it ended.

        A stop never ends this way.
        """
        if self.step in (BrakeStep.NOTHING, BrakeStep.STOP) or now_s - self.reached_s < CALM_S:
            return False
        if now_s >= self._half_end_s:
            self.advance(now_s)
        step, _ = self._asked_for(surge)
        if step >= self.step:
            self.reached_s = now_s
            return False
        self.step = BrakeStep.NOTHING
        self._set_next()
        return True

    def release(self, now_s: float) -> None:
        """End the subject's step and count its calls from zero."""
        self.step, self.signal, self.node, self.call_id, self.pass_at_s = BrakeStep.NOTHING, "", "", "", 0.0
        self._hour_calls = self._hour_calls_before = 0
        self._hour_presented = self._hour_presented_before = self._hour_called = self._hour_called_before = 0
        self._peaks, self.shares, self._looks = NO_COUNTS, None, False
        self._begin(now_s)

    def clear_minute_counts(self, now_s: float) -> None:
        """Clear the last minute's counts after part of this subject was stopped.

        That part's calls must not stop the rest.
        """
        self._hour_calls += self._calls
        self._begin(now_s)

    @property
    def pace_s(self) -> float:
        """Seconds between the subject's permitted calls while it is slowed."""
        return pace_s(self.line, self.days)

    # -- over a restart -------------------------------------------------------------------------------------------

    @property
    def is_heavy(self) -> bool:
        """True if the windows have reached a fraction of a limit and must survive a restart."""
        return any(count * _HEAVY >= stop for count, stop in zip(self.counts, self.stops, strict=True))

    def windows(self) -> dict[str, Any]:
        """Windows as stored on disk: counts and bitmaps without telephone numbers."""
        bits = self._positions.bits({*self._presented, *self._before}) | self._restored
        return {
            "at": self._half_begin_s, "calls": self._calls + self._calls_before, "presented": self.counts[1],
            "bits": f"{bits:x}", "hour_end": self._hour_end_s,
            "hour_calls": [self._hour_calls, self._hour_calls_before],
            "hour_presented": [f"{self._hour_presented:x}", f"{self._hour_presented_before:x}"],
            "hour_called": [f"{self._hour_called:x}", f"{self._hour_called_before:x}"],
        }  # fmt: skip

    def restore(self, kept: dict[str, Any], now_s: float) -> None:
        """Continue with windows from disk. Raises LookupError, TypeError or ValueError if they are damaged."""
        hour_end_s, at_s = float(kept["hour_end"]), float(kept["at"])
        if not abs(hour_end_s - now_s) <= 2 * HALF_HOUR_S:
            return
        self._hour_end_s = hour_end_s
        self._hour_calls, self._hour_calls_before = map(int, kept["hour_calls"])
        self._hour_presented, self._hour_presented_before = (int(each, 16) for each in kept["hour_presented"])
        self._hour_called, self._hour_called_before = (int(each, 16) for each in kept["hour_called"])
        if 0 <= now_s - at_s < 2 * HALF_MINUTE_S:
            self._calls_before, self._restored_count = int(kept["calls"]), int(kept["presented"])
            self._restored = int(kept["bits"], 16)
        self._set_next()


def _step_by_share(part: int, of: int, limit: ShareLimit, false_alarm: float) -> BrakeStep:
    if part < limit.at_least or part <= of * limit.usual_share:
        return BrakeStep.NOTHING
    if binomial_tail(part, of, limit.usual_share) >= level_per_window(false_alarm, of):
        return BrakeStep.NOTHING
    return BrakeStep.SLOW if part >= SLOW_TIMES * limit.at_least else BrakeStep.MARK
