"""Rules for the form of the ledger's leaves and the order of the leaves and their steps.

docs/evidence-format.md, section 2.1, lists the rules. The Merkle tree proves that the leaves were signed. The rules
prove that a ledger could have written them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

from idtone.core.errors import LedgerError
from idtone.core.japan_time import JAPAN
from idtone.core.translation import Message

from .canonical_json import WHOLE_LIMIT, canonical
from .format_rules import SKEW, Rule, RuleError
from .leaves import ACT_ID, ACTS, CLOSING, leaf, step_text
from .steps import CALL_ID_LIMIT, StepKind

AWAITED_LIMIT: Final = 1_000_000
"""Maximum number of steps between two leaves that may belong to calls in progress."""
ANSWERS: Final = frozenset({StepKind.EXPORT_APPROVED.value, StepKind.EXPORT_REFUSED.value, StepKind.EXPORTED.value})
"""Acts that may name a request."""
GIVEN_UP: Final = StepKind.END_GIVEN_UP.value
JUDGED_ACTS: Final = ANSWERS | {StepKind.EXPORT_REQUESTED.value, StepKind.CONTINUED.value, GIVEN_UP}
"""Acts whose details are checked."""
_ON_A_BASIS: Final = frozenset({StepKind.EXPORT_REQUESTED.value, StepKind.EXPORTED.value})
"""Acts that name the legal basis for giving evidence."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SELECTED: Final = -1
"""Value used instead of a count if a request selected the call before its first leaf."""
_TEXT: Final = rb'"[^"\\\x00-\x1f]*+"'
_WHOLE: Final = rb"(?:0|-?(?:[1-9][0-9]{0,14}|[1-8][0-9]{15}))"
_VALUE: Final = re.compile(rb':(?<!"kind":)(?:%b|%b)(?=[,}])' % (_TEXT, _WHOLE))
"""Pattern for texts and integers with only one spelling. Shapes keep step kinds, because rules depend on them."""
_ALIKE_LIMIT: Final = 30
"""Maximum number of shapes for leaves that contain the same number of quotes."""
_ALIKE_OCTETS: Final = 8_000
"""Maximum number of octets in a leaf that gets a shape.

A longer leaf takes longer to compile than to read, and few leaves resemble it.
"""
_SHAPES_OCTETS: Final = 1_000_000
"""Maximum total number of octets in leaves that get shapes. Each octet takes about ten octets of memory."""


_KIND: Final = re.compile("[a-z-]+")
"""Pattern for a step's kind. It keeps any other text from being mistaken for a kind that ends a call."""
AFTER_END: Final = Message("it follows the leaf with which its log has ended")


class ReadLeaf(NamedTuple):
    """The parsed content of a leaf, with the ids, kinds and times of a call's steps.

    `after` is the number of the call's steps in earlier leaves. `act` contains the details if the leaf is one of
    `JUDGED_ACTS`.
    """

    call_id: str
    after: int
    ids: tuple[int, ...]
    kinds: tuple[str, ...]
    times: tuple[int, ...]
    act: Mapping[str, Any] | None = None


def read_leaf(content: bytes) -> ReadLeaf:
    """Parse the content of a leaf.

    Raises RuleError unless `content` is the canonical JSON of a leaf.
    """
    odd = RuleError(Rule.LEAF_FORM, Message("it is not the canonical JSON of a leaf"))
    try:
        members: dict[str, Any] = json.loads(content.decode())
        call_id, steps, after = members["call"], members["steps"], members.get("after", 0)
        texts = [step_text(s["id"], s["node"], s["kind"], s["at"], canonical(s["details"])) for s in steps]
        values = [value for step in steps for value in step["details"].values()]
        are_kinds = all(map(_KIND.fullmatch, (s["kind"] for s in steps)))
        is_whole = all(
            type(number) is int and abs(number) < WHOLE_LIMIT for step in steps for number in (step["id"], step["at"])
        ) and (
            type(after) is int and after >= 0 and 0 < len(call_id) <= CALL_ID_LIMIT and min(s["id"] for s in steps) > 0
        )
        # Writing the parsed content again gives the same octets only if they have the form of a leaf.
        is_same = leaf(call_id, texts, after) == content
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, LedgerError) as error:
        raise odd from error
    if not (steps and is_whole and is_same and are_kinds) or any(
        isinstance(value, dict | list | float) for value in values
    ):
        raise odd
    ids, kinds, times = (tuple(step[name] for step in steps) for name in ("id", "kind", "at"))
    return ReadLeaf(call_id, after, ids, kinds, times, steps[0]["details"] if kinds[0] in JUDGED_ACTS else None)


def check_call(read: ReadLeaf, before: int) -> None:
    """Raise RuleError unless the leaf can follow `before` earlier steps of the same call."""
    if read.after != before:
        raise RuleError(
            Rule.LEAF_AFTER,
            Message(
                "it says that {after} steps of its call come before, and the leaves have {before}",
                after=read.after,
                before=before,
            ),
        )
    is_act = not ACTS.isdisjoint(read.kinds)
    if is_act and (before or len(read.kinds) > 1 or not read.call_id.startswith(ACT_ID)):
        raise RuleError(Rule.LEAF_ACT, Message("an act is one step with an id of its own, and no step of a call"))
    if before and len(read.kinds) > 1:
        raise RuleError(Rule.LEAF_FURTHER, Message("its call was over, and it has several steps"))
    closing = [kind in CLOSING for kind in read.kinds]
    if not before and (not closing[-1] or any(closing[:-1])):
        raise RuleError(Rule.LEAF_END, Message("the call is not over with its last step, or was over before"))


class LeafShapes:
    """A fast check for leaves that resemble a leaf that was already accepted.

    Two leaves resemble each other if they have the same kinds of steps and the same details, and differ only in texts
    or integers. The checked leaf must have been written from rows of the ledger (`leaves.leaf`), because the types of
    ids, `after` and the call are not checked again.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, bool], list[tuple[re.Pattern[bytes], bool]]] = {}
        """(Number of quotes, True if the call has earlier leaves) → the leaves' shapes, each with True for an act."""
        self._octets = 0
        """Total octets of the leaves from which shapes were made."""

    def accept(self, content: bytes, call_id: str, before: int) -> bool:
        """Return True if the leaf is known to be valid, and False if it needs the full check.

        `before` is the number of the call's steps in earlier leaves.
        """
        alike = content.count(b'"'), before > 0
        known = self._known.get(alike, [])
        for shape, is_act in known:
            if shape.fullmatch(content):
                return (not is_act or call_id.startswith(ACT_ID)) and 0 < len(call_id) <= CALL_ID_LIMIT
        try:
            read = read_leaf(content)
            check_call(read, before)
        except RuleError:
            return False
        size = len(content)
        if len(known) < _ALIKE_LIMIT and size <= _ALIKE_OCTETS and self._octets + size <= _SHAPES_OCTETS:
            self._octets += size
            self._known[alike] = [*known, (_shape(content), not ACTS.isdisjoint(read.kinds))]
        return True


def _shape(content: bytes) -> re.Pattern[bytes]:
    """A pattern that matches the leaf even if its texts and integers are replaced.

    Matching takes a third of the time that replacing all values would take.
    """
    parts, end = [], 0
    for value in _VALUE.finditer(content):
        parts += [re.escape(content[end : value.start()]), b":", _TEXT if b'"' in value[0] else _WHOLE]
        end = value.end()
    return re.compile(b"".join([*parts, re.escape(content[end:])]))


class StepCounts(Protocol):
    """The number of each call's steps in the leaves so far, held in a dict or in a store larger than memory."""

    def get(self, call_id: str, default: int, /) -> int: ...
    def __setitem__(self, call_id: str, count: int, /) -> None: ...


class RequestIds(Protocol):
    """Names of earlier acts that later acts can refer to, held in a set or in a store larger than memory.

    The names (`request_name`) are the ids of requests for disclosure and the names of acts that give up the end of a
    log.
    """

    def add(self, call_id: str, /) -> None: ...
    def __contains__(self, call_id: object, /) -> bool: ...


class LeafRules:
    """Checks all rules for a tree's leaves, leaf by leaf in the tree's order.

    `has_all` means that every leaf of the tree is added. Otherwise, only some calls' leaves are added, and steps may be
    missing.
    """

    def __init__(
        self,
        counts: StepCounts,
        has_all: bool,
        requests: RequestIds | None = None,
        order: StepOrder | None = None,
        has_ended: bool = False,
    ) -> None:
        """`counts`, `requests`, `order` and `has_ended` describe the earlier leaves; without earlier leaves they are
        empty.
        """
        self._counts = counts
        self._has_all = has_all
        self._order: StepOrder | PartialStepOrder = order or StepOrder() if has_all else PartialStepOrder()
        self._requests: RequestIds = set() if requests is None else requests
        self.has_ended = has_ended
        """True if the last leaf ends the log."""
        self.are_calls_whole = True
        """True if every leaf so far was readable. Otherwise, it is unknown which steps precede a leaf."""

    @property
    def steps_without_leaf(self) -> int:
        """Number of steps that are in no leaf yet because their calls are in progress; 0 if unknown."""
        return self._order.steps_without_leaf

    def add(self, content: bytes) -> ReadLeaf:
        """Check the next leaf of the tree, and return its parsed content.

        Raises RuleError if the leaf violates a rule.
        """
        read = read_leaf(content)
        if self._has_all and self.has_ended:
            raise RuleError(Rule.LOG_ENDED, AFTER_END)
        self.has_ended = read.kinds[0] == StepKind.LOG_ENDED
        held = self._counts.get(read.call_id, 0)
        before = max(held, 0)
        self._counts[read.call_id] = before + len(read.ids)
        if self.are_calls_whole:
            check_call(read, before)
        self._order.add(read.ids)
        if (request := request_name(read.kinds[0], read.call_id, read.act or {})) is not None:
            self._requests.add(request)
        if self._has_all and self.are_calls_whole and held == _SELECTED:
            raise early_selection_error()
        if read.act is not None:
            self._add_act(read.kinds[0], read.times[0], read.act)
        return read

    def _add_act(self, kind: str, at: int, details: Mapping[str, Any]) -> None:
        selected = selected_calls(kind, details)
        check_times(kind, at, details)
        if not self._has_all:
            return
        for call_id in selected:
            if not self._counts.get(call_id, 0):
                self._counts[call_id] = _SELECTED
        if self.are_calls_whole:
            check_request(kind, details, self._requests)


def request_name(kind: str, call_id: str, details: Mapping[str, Any]) -> str | None:
    """The name by which later acts can refer to this act as their request; None if they cannot."""
    if kind == GIVEN_UP and details.get("request") is None:
        return _given_up(call_id)
    return call_id if kind == StepKind.EXPORT_REQUESTED else None


def _given_up(call_id: str) -> str:
    return f"{GIVEN_UP} {call_id}"


def check_request(kind: str, details: Mapping[str, Any], known: RequestIds | Collection[str]) -> None:
    """Raise RuleError if an act names a request that no earlier leaf contains."""
    request = details.get("request") if kind in ANSWERS or kind == GIVEN_UP else None
    if request is None:
        return
    name = str(request)
    if (_given_up(name) if kind == GIVEN_UP else name) not in known or not name.startswith(ACT_ID):
        raise RuleError(
            Rule.ACT_REQUEST, Message("it names the request {request}, which does not come before it", request=request)
        )


def selected_calls(kind: str, details: Mapping[str, Any]) -> list[str]:
    """Ids of the calls that a request for disclosure selects; empty for any other act.

    Raises RuleError if `selected` is not a list of call ids.
    """
    text = details.get("selected") if kind == StepKind.EXPORT_REQUESTED else None
    if text is None:
        return []
    try:
        found = json.loads(text)
        if isinstance(found, list) and all(isinstance(each, str) and each.encode() for each in found):
            return found
    except (ValueError, TypeError, RecursionError):
        pass
    raise RuleError(Rule.REQUEST_FORM, Message("`selected` is not the list of its calls"))


def early_selection_error() -> RuleError:
    """Create the error for a request that selects a call before that call's first leaf."""
    return RuleError(Rule.ACT_CALLS, Message("its call was selected by a request before it was over"))


def check_times(kind: str, at: int, details: Mapping[str, Any]) -> None:
    """Raise RuleError if an act's legal basis was not valid at the time of the act.

    `at` is in µs since 1970, below 2^53.
    """
    if kind not in _ON_A_BASIS:
        return
    received, until = details.get("received"), details.get("valid_until")
    moment = _EPOCH + timedelta(microseconds=at)
    try:
        is_late = until is not None and _day(until) < (moment - SKEW).astimezone(JAPAN).date()
    except (ValueError, TypeError, OverflowError):
        is_late = True
    if is_late:
        raise RuleError(Rule.WARRANT, Message("its warrant was valid until {day}, and it is later", day=until))
    try:
        is_early = received is not None and strict_time(received) > moment + SKEW
    except (ValueError, TypeError, OverflowError):
        is_early = True
    if is_early:
        raise RuleError(Rule.EXPORT_TIME, Message("its demand was received at {at}, which is later", at=received))


def _day(text: str) -> date:
    found = date.fromisoformat(text)
    if found.isoformat() != text:
        raise ValueError(text)
    return found


def strict_time(text: str) -> datetime:
    """Parse a time in the only form that docs/evidence-format.md, section 1, allows.

    Raises ValueError or TypeError for any other form.
    """
    found = datetime.fromisoformat(text)
    offset = found.utcoffset()
    if offset is None or offset % timedelta(minutes=1) or found.isoformat() != text:
        raise ValueError(text)
    return found


class PartialStepOrder:
    """Checks the order of steps in an incomplete series of leaves."""

    steps_without_leaf = 0

    def __init__(self) -> None:
        self._reached = 0
        self._seen: set[int] = set()

    def add(self, ids: Sequence[int]) -> None:
        """Add the step ids of the next leaf.

        Raises RuleError if the leaf cannot follow the earlier leaves.
        """
        _check_last(ids, self._reached)
        self._reached = ids[-1]
        for before, step in zip((0, *ids), ids, strict=False):
            if step <= before or step in self._seen:
                raise _misplaced(step)
            self._seen.add(step)


class StepOrder:
    """Checks the order of steps in a complete series of leaves.

    Each step is in one leaf, and the leaves are sorted by their last steps. `reached` is the last step of the earlier
    leaves, and `missing` contains the earlier steps that are in no leaf.
    """

    def __init__(self, reached: int = 0, missing: Iterable[int] = ()) -> None:
        """`reached` is the last step of the earlier leaves, and `missing` are earlier steps that are in no leaf."""
        self.reached = reached
        self._awaited = set(missing)

    @property
    def steps_without_leaf(self) -> int:
        """Number of steps that are in no leaf yet because their calls are in progress."""
        return len(self._awaited)

    @property
    def missing(self) -> list[int]:
        """Ids of the steps that are in no leaf yet, ascending."""
        return sorted(self._awaited)

    def add(self, ids: Sequence[int]) -> None:
        """Add the step ids of the next leaf.

        Raises RuleError if the leaf cannot follow the earlier leaves.
        """
        _check_last(ids, self.reached)
        if ids[-1] - self.reached + len(self._awaited) > AWAITED_LIMIT:
            missing = Message("the steps before its last one, {step}, are missing", step=ids[-1])
            raise RuleError(Rule.LEAF_STEPS_MISSING, missing)
        self._awaited.update(range(self.reached + 1, ids[-1] + 1))
        self.reached = ids[-1]
        for before, step in zip((0, *ids), ids, strict=False):
            if step <= before or step not in self._awaited:
                raise _misplaced(step)
            self._awaited.remove(step)


def _check_last(ids: Sequence[int], reached: int) -> None:
    if ids[-1] <= reached:
        early = Message("its last step, {step}, is not after those of the leaf before", step=ids[-1])
        raise RuleError(Rule.LEAF_ORDER, early)


def _misplaced(step: int) -> RuleError:
    return RuleError(Rule.LEAF_STEPS, Message("its step {step} is in another leaf, or not in order", step=step))
