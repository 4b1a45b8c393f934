"""The brake's state: which calls it refuses and what it learns from each call.

Each call is counted for its number, endpoint, customer and trunks (`call_subjects`), from the narrowest subject to the
widest. If a call stops one subject, the wider ones start a new minute, so that one hacked line does not stop its
customer. A refused call never reached the trunk and presented no number, so it counts only for the endpoint and the
customer that attempted it. A stopped subject's calls count for no subject. Emergency calls are ignored.

Memory stays bounded, even if callers invent numbers. Each table has two generations with a limited number of subjects
and drops those without a call since the previous generation (like the clock algorithm). A dropped subject's stop is
kept under its token. The module does no I/O: `now_s` is an argument.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from idtone.core.calls import Direction, ForwardedCall, Reason

from .call_subjects import UNNAMED, names_of
from .limits import (
    NO_COUNTS,
    SURGE_LINES,
    SURGE_ONE_IN,
    SURGE_S,
    BrakeStep,
    Counts,
    LineKind,
    ShareLimits,
    Signal,
    SubjectKind,
)
from .shared_stops import MOST_STOPS, MOST_TOLD, Hold, is_released, label_of, token_of
from .subject import CALM_S, Shares, Subject
from .windows import Positions

MOST_LINES: Final = 131_072
"""Maximum number of endpoints and of customers. Callers cannot invent them."""
MOST_TRUNKS: Final = 4096
MOST_NUMBERS: Final = 16_384
LOOK_FOR_SURGE_S: Final = 60.0
_OUTGOING: Final = Direction.OUTGOING
_TRUNK: Final = SubjectKind.TRUNK
_NUMBER: Final = SubjectKind.NUMBER
_STOP: Final = BrakeStep.STOP
_SLOW: Final = BrakeStep.SLOW
Found = tuple[Subject, ...]
_NONE: Final[Sequence[Hold]] = ()


@dataclass(frozen=True, slots=True)
class LineKinds:
    """Endpoints and account codes that are not ordinary PBXs, by kind."""

    extensions: frozenset[str] = frozenset()
    call_centres: frozenset[str] = frozenset()
    resellers: frozenset[str] = frozenset()

    def of(self, kind: SubjectKind, name: str) -> LineKind:
        if kind is SubjectKind.NUMBER:
            return LineKind.NUMBER
        if kind is SubjectKind.TRUNK:
            return LineKind.TRUNK
        if name in self.resellers or name == UNNAMED:
            return LineKind.RESELLER
        if name in self.call_centres:
            return LineKind.CALL_CENTRE
        return LineKind.EXTENSION if name in self.extensions else LineKind.PBX


class _Table:
    """Subjects of one kind by name, in two generations."""

    def __init__(self, most: int) -> None:
        self.young: dict[str, Subject] = {}
        self.old: dict[str, Subject] = {}
        self._most = max(1, most // 2)

    def again(self, name: str) -> Subject | None:
        subject = self.old.pop(name, None)
        if subject is not None:
            self.add(name, subject)
        return subject

    def add(self, name: str, subject: Subject) -> None:
        if len(self.young) >= self._most:
            self.old, self.young = self.young, {}
        self.young[name] = subject

    def __iter__(self) -> Iterator[Subject]:
        # Copies, because another thread may iterate.
        yield from list(self.young.values())
        yield from list(self.old.values())


class Brake:
    """The brake's state. Use it in one thread, except for `state`, `holds` and `stops_to_share`."""

    def __init__(
        self,
        key: bytes,
        node: str,
        kinds: LineKinds,
        shares: ShareLimits,
        highest: BrakeStep = BrakeStep.STOP,
        most_lines: int = MOST_LINES,
        most_numbers: int = MOST_NUMBERS,
    ) -> None:
        """Set the brake's key, which determines the tokens and bitmap positions, and the highest step to take."""
        self._key, self._node, self._kinds, self._share_limits, self._highest = key, node, kinds, shares, highest
        self._positions = Positions(key[16:] + key[:16])
        self._tables = {kind: _Table(most_lines) for kind in SubjectKind}
        self._tables[SubjectKind.NUMBER] = _Table(most_numbers)
        self._tables[SubjectKind.TRUNK] = _Table(min(MOST_TRUNKS, most_lines))
        self._most_lines = most_lines
        self._numbers, self._endpoints, self._customers, self._trunks = (
            self._tables[kind]
            for kind in (SubjectKind.NUMBER, SubjectKind.ENDPOINT, SubjectKind.CUSTOMER, SubjectKind.TRUNK)
        )
        self._raised: dict[str, Subject] = {}
        """Token → subject with a step that has called since this process began."""
        self._awaited: dict[str, Hold] = {}
        """Token → step of a subject that has not called since this process received the step."""
        self._released: dict[str, float] = {}
        """Token → time of its last release."""
        self._kept: dict[str, dict[str, Any]] = {}
        """Token → stored values of a subject that has not called since startup."""
        self._braked: frozenset[str] = frozenset()
        """Names of the subjects that are slowed or stopped."""
        self.changes = 0
        """Counter that increases when a step or release changes."""
        self._surge_until_s = self._look_for_surge_s = 0.0
        self.steps = dict.fromkeys((BrakeStep.MARK, BrakeStep.SLOW, BrakeStep.STOP), 0)
        """Number of subjects that have reached each step since this process began."""

    # -- each call ------------------------------------------------------------------------------------------------

    def find(self, call: ForwardedCall, now_s: float, customer: str | None = None) -> Found:
        """A call's subjects, narrowest first.

        `customer` is the line's customer according to the table of lines.
        """
        number, endpoint, whose, trunks = names_of(call, customer)
        found = []
        if number:
            found.append(self._numbers.young.get(number) or self._found(SubjectKind.NUMBER, number, now_s))
        if endpoint:
            found.append(self._endpoints.young.get(endpoint) or self._found(SubjectKind.ENDPOINT, endpoint, now_s))
        if whose:
            found.append(self._customers.young.get(whose) or self._found(SubjectKind.CUSTOMER, whose, now_s))
        for trunk in trunks:
            found.append(self._trunks.young.get(trunk) or self._found(SubjectKind.TRUNK, trunk, now_s))
        return tuple(found)

    def _found(self, kind: SubjectKind, name: str, now_s: float) -> Subject:
        table = self._tables[kind]
        return table.again(name) or self._new(table, kind, name, now_s)

    def _new(self, table: _Table, kind: SubjectKind, name: str, now_s: float) -> Subject:
        subject = Subject(kind, name, self._kinds.of(kind, name), self._positions, now_s)
        if self._awaited or self._kept or self._raised:
            token = self._token(subject)
            if raised := self._raised.get(token):  # it was forgotten meanwhile
                table.add(name, raised)
                return raised
            if kept := self._kept.pop(token, None):
                subject = self._restored(subject, kept, now_s)
            if hold := self._awaited.pop(token, None):
                self._attach(subject, hold, now_s)
        table.add(name, subject)
        return subject

    def refusal(self, call: ForwardedCall, now_s: float, customer: str | None = None) -> Reason | None:
        """Reason why the brake currently refuses the call, or None. The call is not counted.

        `customer` is the line's customer according to the table of lines.
        """
        if not (self._braked or self._awaited) or call.direction is not _OUTGOING:
            return None
        if not self._awaited:
            number, endpoint, whose, trunks = names_of(call, customer)
            braked = self._braked
            if not (number in braked or endpoint in braked or whose in braked or not braked.isdisjoint(trunks)):
                return None
        slowed = None
        for subject in self.find(call, now_s, customer):
            if subject.step is _STOP:
                return Reason.BRAKE_STOP
            if subject.step is _SLOW and now_s < subject.pass_at_s <= now_s + 60:
                slowed = Reason.BRAKE_SLOW
        return slowed

    def count(
        self, call: ForwardedCall, reason: Reason, passed: bool, now_s: float, customer: str | None = None
    ) -> tuple[Found, Sequence[Hold]]:
        """Count a decided call, unless it is an emergency call.

        Returns the call's subjects, narrowest first, and the holds of those that reached a higher step.
        """
        if not passed and reason is not Reason.BRAKE_SLOW:
            return (), _NONE
        found = self.find(call, now_s, customer)
        presented, called = call.forwarding_number.e164, call.called.e164 or call.dialled
        risen: list[Hold] | None = None
        for place, subject in enumerate(found):
            kind = subject.kind
            if not passed and (kind is _TRUNK or kind is _NUMBER):
                continue
            if subject.step is _SLOW and passed:
                subject.pass_at_s = now_s + subject.pace_s
            if subject.count(
                "" if kind is _NUMBER else presented, "" if kind is _NUMBER or kind is _TRUNK else called, now_s
            ) and subject.raise_step(self._highest_by(call), now_s, call.id, self.is_surge(now_s)):
                risen = [*(risen or ()), self._risen(subject, now_s)]
                if subject.step is _STOP:
                    for wider in found[place + 1 :]:
                        wider.clear_minute_counts(now_s)
                    break
        return found, risen or _NONE

    def _highest_by(self, call: ForwardedCall) -> BrakeStep:
        return self._highest if call.direction is _OUTGOING else min(self._highest, BrakeStep.MARK)

    def count_late(
        self, call: ForwardedCall, passed: bool, at_s: float, now_s: float, customer: str | None = None
    ) -> Sequence[Hold]:
        """Count a call that was decided without the service. Returns the new holds.

        Does not count the call for subjects released after it.
        """
        if not passed:
            return _NONE
        presented, called, risen = call.forwarding_number.e164, call.called.e164 or call.dialled, []
        for subject in self.find(call, at_s, customer):
            if self._released and at_s <= self._released.get(self._token(subject), 0.0):
                continue
            subject.count_late(presented, called, at_s, now_s)
            if subject.raise_step(self._highest_by(call), now_s, call.id, self.is_surge(now_s)):
                risen.append(self._risen(subject, now_s))
        return risen

    def ended(
        self, found: Found, call_id: str, talked_s: float | None, rang_s: float | None, cancelled: bool, now_s: float
    ) -> Sequence[Hold]:
        """Count the end of a call. Returns the new holds.

        The call was connected for `talked_s` seconds, or rang for `rang_s` seconds without an answer. Both are None for
        a failed call, which says nothing about the line.
        """
        if talked_s is None and rang_s is None:
            return _NONE
        risen, limits = [], self._share_limits
        for subject in found:
            shares = subject.shares = subject.shares or Shares.none()
            shares.rang.now += 1
            if talked_s is None:
                shares.unanswered.now += 1
                shares.pings.now += cancelled and (rang_s or 0) < limits.ping_s
            else:
                shares.connected.now += 1
                shares.short.now += talked_s < limits.short_s
            if subject.raise_step_by_share(limits, self._highest, now_s, call_id):
                risen.append(self._risen(subject, now_s))
        return risen

    def _risen(self, subject: Subject, now_s: float) -> Hold:
        self.steps[subject.step] += 1
        self._raised[self._token(subject)] = subject
        self._changed()
        # During a surge `calm` counts. Counting all lines at each rise would take long if many rise.
        if subject.kind is SubjectKind.ENDPOINT and subject.is_marked_by_volume and not self.is_surge(now_s):
            self._look_for_surge(now_s)
        return self._hold(subject)

    # -- surge ----------------------------------------------------------------------------------------------------

    def is_surge(self, now_s: float) -> bool:
        """True during a surge, when so many lines call more than usual that the cause cannot be in the lines."""
        return now_s < self._surge_until_s

    def _look_for_surge(self, now_s: float) -> None:
        """Begin or continue a surge if enough known lines are marked.

        A surge ends the slowing of lines whose counts are below the raised limits.
        """
        marked = sum(
            each.kind is SubjectKind.ENDPOINT and each.is_marked_by_volume and each.is_large(now_s)
            for each in self._raised.values()
        )
        if marked < SURGE_LINES:
            return
        large = sum(each.is_large(now_s) for each in self._endpoints)
        if marked * SURGE_ONE_IN < large:
            return
        self._surge_until_s = now_s + SURGE_S
        if [each for each in self._raised.values() if each.end_volume_slowing()]:
            self._changed()

    def _changed(self) -> None:
        self.changes += 1
        self._braked = frozenset(each.name for each in self._raised.values() if each.step >= _SLOW)

    def _token(self, subject: Subject) -> str:
        if not subject.token:
            subject.token = token_of(self._key, subject.kind, subject.name)
        return subject.token

    def _hold(self, subject: Subject) -> Hold:
        return Hold(
            self._token(subject),
            subject.kind,
            subject.line,
            label_of(subject.kind, subject.name),
            subject.step,
            subject.signal,
            subject.since_s,
            subject.node or self._node,
            subject.call_id,
        )

    def _attach(self, subject: Subject, hold: Hold, now_s: float) -> None:
        subject.set_step(hold.step, hold.signal, hold.since_s, hold.node, hold.call_id, now_s)
        self._raised[hold.token] = subject
        self._changed()

    # -- steps ----------------------------------------------------------------------------------------------------

    def lower_steps(self, now_s: float) -> None:
        """End marks and slowings that are no longer required. Call this every few seconds."""
        surge = self.is_surge(now_s)
        if surge and now_s >= self._look_for_surge_s:
            self._look_for_surge_s = now_s + LOOK_FOR_SURGE_S  # it looks at all lines
            self._look_for_surge(now_s)
        for token, subject in list(self._raised.items()):
            if subject.lower_step(now_s, surge):
                del self._raised[token]
                self._changed()
        for token, hold in list(self._awaited.items()):
            if hold.step is not _STOP and now_s - hold.since_s >= CALM_S:
                del self._awaited[token]
                self._changed()

    def release(self, token: str, now_s: float) -> bool:
        """Release a subject on all nodes on behalf of an operator. Returns True if it had a step on this node."""
        subject, hold = self._raised.pop(token, None), self._awaited.pop(token, None)
        since_s = max(subject.since_s if subject else 0.0, hold.since_s if hold else 0.0)
        if subject:
            subject.release(now_s)
        self._note_release(token, max(now_s, since_s))
        return bool(subject or hold)

    def _note_release(self, token: str, at_s: float) -> None:
        self._released.pop(token, None)
        self._released[token] = at_s
        while len(self._released) > MOST_STOPS:
            del self._released[next(iter(self._released))]
        self._changed()

    def take_over_stops(self, holds: Iterable[Hold], released: Mapping[str, float], now_s: float) -> None:
        """Apply other nodes' stops and releases."""
        for token, at_s in released.items():
            if at_s > self._released.get(token, 0.0):
                subject, hold = self._raised.get(token), self._awaited.get(token)
                if subject and subject.since_s <= at_s:
                    subject.release(now_s)
                    del self._raised[token]
                if hold and hold.since_s <= at_s:
                    del self._awaited[token]
                self._note_release(token, at_s)
        if self._highest is not _STOP:
            return
        new = {
            hold.token: hold
            for hold in holds
            if hold.step is _STOP
            and not is_released(hold.token, hold.since_s, self._released)
            and ((awaited := self._awaited.get(hold.token)) is None or awaited.step is not _STOP)
            and ((subject := self._raised.get(hold.token)) is None or subject.step is not _STOP)
        }
        if not new:
            return
        for table in self._tables.values():
            for subject in table:
                if hold := new.pop(self._token(subject), None):
                    self._attach(subject, hold, now_s)
        for token, hold in new.items():
            if len(self._awaited) < MOST_STOPS:
                self._awaited[token] = hold
                self._changed()

    def holds(self) -> list[Hold]:
        """All subjects that are marked, slowed or stopped."""
        raised = [self._hold(subject) for subject in list(self._raised.values()) if subject.step]
        return raised + list(self._awaited.values())

    def subjects(self) -> dict[BrakeStep, int]:
        """Number of subjects at each step."""
        counts = dict.fromkeys((BrakeStep.MARK, BrakeStep.SLOW, BrakeStep.STOP), 0)
        for hold in self.holds():
            counts[hold.step] += 1
        return counts

    def stops_to_share(self) -> dict[str, Any]:
        """JSON object with the stops and releases for other nodes, without call ids."""
        stops = sorted((hold for hold in self.holds() if hold.step is _STOP), key=lambda hold: -hold.since_s)
        released = sorted(self._released.copy().items(), key=lambda each: -each[1])
        return {
            "stops": [replace(hold, call_id="").to_json() for hold in stops[:MOST_TOLD]],
            "released": dict(released[:MOST_TOLD]),
        }

    # -- over a restart -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """JSON object with the brake's state, for storage on disk.

        Omits telephone numbers and names that contain one.
        """
        raised = [subject for subject in list(self._raised.values()) if subject.step not in (BrakeStep.NOTHING, _STOP)]
        return {
            "holds": [hold.to_json() for hold in self.holds()],
            "released": self._released.copy(),
            "windows": {subject.token: subject.windows() for subject in raised},
        }

    def lines(self) -> dict[str, Any]:
        """Usual counts and relevant windows of each line by token, as stored on disk."""
        found = dict(list(self._kept.items()))
        for table in self._tables.values():
            for subject in table:
                kept: dict[str, Any] = {}
                if subject.days:
                    kept["days"] = [0 if day == NO_COUNTS else day for day in subject.days]
                if subject.is_heavy:
                    kept["windows"] = subject.windows()
                if kept:
                    found[self._token(subject)] = kept
        return found

    def restore(
        self,
        holds: Iterable[Hold],
        released: Mapping[str, float],
        windows: Mapping[str, dict[str, Any]],
        lines: Mapping[str, dict[str, Any]],
    ) -> None:
        """Restore an earlier process's state. Must be called before the first call is counted."""
        self._released = dict(list(released.items())[-MOST_STOPS:])
        allowed = [hold for hold in holds if BrakeStep.NOTHING < hold.step <= self._highest]
        self._awaited = {hold.token: hold for hold in allowed[:MOST_STOPS]}
        self._kept = dict(list(lines.items())[: self._most_lines])
        for token in (
            self._kept.keys() & self._released.keys()
        ):  # the calls before the release must not stop the line again
            self._kept[token] = {field: value for field, value in self._kept[token].items() if field != "windows"}
        for token, each in list(windows.items())[:MOST_STOPS]:
            self._kept[token] = self._kept.get(token, {}) | {"windows": each}

    def _restored(self, subject: Subject, kept: dict[str, Any], now_s: float) -> Subject:
        try:
            days = [_counts(day) for day in kept.get("days", ())]
            restored = Subject(subject.kind, subject.name, subject.line, self._positions, now_s, days)
            restored.token = subject.token
            if "windows" in kept:
                restored.restore(kept["windows"], now_s)
        except (LookupError, TypeError, ValueError, AttributeError):
            return subject
        return restored


def _counts(day: Any) -> Counts:
    if day == 0:
        return NO_COUNTS
    counts = tuple(map(int, day))
    if len(counts) != len(Signal):
        raise ValueError
    return counts
