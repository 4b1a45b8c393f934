"""What holds for the leaves of a ledger, one after the other: their form, and the order of their steps. Pure.

docs/evidence-format.md, section 2.1, has the rules. The tree shows that the leaves are what was signed, and these rules
that a ledger could have written them.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping, Sequence
from typing import Any, Final, NamedTuple

from idtone.errors import LedgerError, ProofError
from idtone.translation import Message

from .canonical import canonical
from .leaves import CLOSING, leaf, step_text
from .steps import CALL_ID_LIMIT

AWAITED_LIMIT: Final = 1_000_000
"""Steps between two leaves that may belong to calls in progress."""


class ReadLeaf(NamedTuple):
    """A leaf: its call, how many steps of the call come before, and the ids, kinds and times of its own steps."""

    call_id: str
    after: int
    ids: tuple[int, ...]
    kinds: tuple[str, ...]
    times: tuple[int, ...]


def read_leaf(content: bytes) -> ReadLeaf:
    """Raises ProofError unless this is the canonical JSON of a leaf."""
    try:
        members: dict[str, Any] = json.loads(content.decode())
        call_id, steps, after = members["call"], members["steps"], members.get("after", 0)
        texts = [step_text(s["id"], s["node"], s["kind"], s["at"], canonical(s["details"])) for s in steps]
        values = [value for step in steps for value in step["details"].values()]
        is_whole = all(type(number) is int for step in steps for number in (step["id"], step["at"])) and (
            type(after) is int and after >= 0 and 0 < len(call_id) <= CALL_ID_LIMIT
        )
        # Written again from what was read, it is the same only if it is in the form of a leaf.
        is_same = leaf(call_id, texts, after) == content
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, LedgerError) as error:
        raise ProofError(Message("it is not the canonical JSON of a leaf")) from error
    if not (steps and is_whole and is_same) or any(isinstance(value, dict | list | float) for value in values):
        raise ProofError(Message("it is not the canonical JSON of a leaf"))
    ids, kinds, times = (tuple(step[name] for step in steps) for name in ("id", "kind", "at"))
    return ReadLeaf(call_id, after, ids, kinds, times)


def check_call(read: ReadLeaf, before: int) -> None:
    """Raises ProofError unless the leaf can follow `before` steps of its call, which are in leaves."""
    if read.after != before:
        raise ProofError(
            Message("it says that {after} steps of its call come before, and the leaves have {before}",
                    after=read.after, before=before)
        )  # fmt: skip
    if before and len(read.kinds) > 1:
        raise ProofError(Message("its call was over, and it has several steps"))
    closing = [kind in CLOSING for kind in read.kinds]
    if not before and (not closing[-1] or any(closing[:-1])):
        raise ProofError(Message("the call is not over with its last step, or was over before"))


class LeafRules:
    """All rules for the leaves of a tree, which come in the order of their numbers.

    `has_all`: each leaf of the tree comes. Else they are all leaves of some calls, and other steps may be missing.
    """

    def __init__(self, counts: MutableMapping[str, int], has_all: bool) -> None:
        """`counts`, empty at first, keeps how many steps the leaves of each call had."""
        self._counts = counts
        self._order: StepOrder | SomeStepOrder = StepOrder() if has_all else SomeStepOrder()
        self.are_calls_whole = True
        """Each leaf of each call could be read until now; else what comes before a leaf is not known."""

    @property
    def awaited(self) -> int:
        """Steps that are in no leaf yet, as far as is known: those of calls in progress."""
        return self._order.awaited

    def add(self, content: bytes) -> ReadLeaf:
        """The next leaf. Raises ProofError if it is against the rules."""
        read = read_leaf(content)
        before = self._counts.get(read.call_id, 0)
        self._counts[read.call_id] = before + len(read.ids)
        if self.are_calls_whole:
            check_call(read, before)
        self._order.add(read.ids)
        return read


class SomeStepOrder:
    """As `StepOrder`, where leaves are missing."""

    awaited = 0

    def __init__(self) -> None:
        self._reached = 0
        self._seen: set[int] = set()

    def add(self, ids: Sequence[int]) -> None:
        """Of the next leaf. Raises ProofError if it cannot follow the ones before."""
        _check_last(ids, self._reached)
        self._reached = ids[-1]
        for before, step in zip((0, *ids), ids, strict=False):
            if step <= before or step in self._seen:
                raise _misplaced(step)
            self._seen.add(step)


class StepOrder:
    """The ids of the steps: each is in one leaf, and the leaves are in the order of their last steps."""

    def __init__(self) -> None:
        self._reached = 0
        self._awaited: set[int] = set()

    @property
    def awaited(self) -> int:
        """Steps that are in no leaf yet: those of calls in progress."""
        return len(self._awaited)

    def add(self, ids: Sequence[int]) -> None:
        """Of the next leaf. Raises ProofError if it cannot follow the ones before."""
        _check_last(ids, self._reached)
        if ids[-1] - self._reached + len(self._awaited) > AWAITED_LIMIT:
            raise ProofError(Message("the steps before its last one, {step}, are missing", step=ids[-1]))
        self._awaited.update(range(self._reached + 1, ids[-1] + 1))
        self._reached = ids[-1]
        for before, step in zip((0, *ids), ids, strict=False):
            if step <= before or step not in self._awaited:
                raise _misplaced(step)
            self._awaited.remove(step)


def _check_last(ids: Sequence[int], reached: int) -> None:
    if ids[-1] <= reached:
        raise ProofError(Message("its last step, {step}, is not after those of the leaf before", step=ids[-1]))


def _misplaced(step: int) -> ProofError:
    return ProofError(Message("its step {step} is in another leaf, or not in order", step=step))
