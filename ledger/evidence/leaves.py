"""What a leaf of the ledger's tree says: the steps of a call that is over, as one canonical text (RFC 8785). Pure.

A call is over with its first closing step, and its steps until then are its leaf. What is told of it later (a sound
that was cut off by the hangup, mostly) cannot change that leaf any more and is a leaf of its own, each step for itself,
that says how many steps of the call came before. A step stands in a leaf with all that the ledger holds of it; numbers
are in there sealed, so that they can be destroyed without touching any leaf.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring as quoted
from typing import Final, NamedTuple

from .steps import FIRST, StepKind

KEEPERS_ACTS: Final = frozenset(
    each.value
    for each in (
        StepKind.EXPORT_REQUESTED,
        StepKind.EXPORT_APPROVED,
        StepKind.EXPORT_REFUSED,
        StepKind.EXPORTED,
        StepKind.FORGOTTEN,
    )
)
"""What the keepers of the ledger do with it."""
ACTS: Final = KEEPERS_ACTS | {StepKind.GAP.value, StepKind.CONTINUED.value}
"""Theirs, and what became of the ledger itself; each is a record of its own."""
ACT_ID: Final = "act-"
"""With what the id of an act begins."""
CLOSING: Final = frozenset({StepKind.ENDED.value, StepKind.INTERRUPTED.value}) | ACTS
"""A call is over with the first of these; acts are over at once."""

OPENING: Final = frozenset(each.value for each in FIRST)
"""With one of these a call begins; they hold the numbers, and by their tokens it is found."""

_SIGN: Final = 2**63
_TOKEN: Final = re.compile(r'_token":"([0-9a-f]{16})[0-9a-f]{16}"')
"""In the text of JSON a quote that belongs to a value has a backslash before it."""


class StoredStep(NamedTuple):
    """A row of the ledger. `at` is in µs since 1970, `details` canonical JSON."""

    id: int
    node: str
    call_id: str
    kind: str
    at: int
    details: str

    @property
    def text(self) -> str:
        return step_text(self.id, self.node, self.kind, self.at, self.details)


def step_text(number: int, node: str, kind: str, at: int, details: str) -> str:
    """A step as it stands in a leaf; `number` is its place in the ledger, from 1."""
    return f'{{"at":{at},"details":{details},"id":{number},"kind":{quoted(kind)},"node":{quoted(node)}}}'


def leaf(call_id: str, steps: Sequence[str], after: int) -> bytes:
    """The leaf of these steps (`step_text`), in their order; `after` is how many the call has before them."""
    before = f'"after":{after},' if after else ""
    return f'{{{before}"call":{quoted(call_id)},"steps":[{",".join(steps)}]}}'.encode()


def must_be_counted(kinds: Sequence[str]) -> bool:
    """Whether steps of these kinds may have others of the call before them: they do not begin where it does, or are
    what was told later.
    """
    return len(kinds) == 1 or kinds[0] not in OPENING


def search_digits(text: str) -> set[str]:
    """The keys by which a step in `OPENING` is found, as 16 hexadecimal digits; of its details, or all its text."""
    return set(_TOKEN.findall(text))


def search_keys(kind: str, details: str) -> Iterable[int]:
    """By what a step is found: of each of its numbers the first 64 bits of the token, as `search_key` has them."""
    return map(search_key, _TOKEN.findall(details)) if kind in OPENING else ()


def search_key(token: str) -> int:
    """The first 64 bits of a token (hexadecimal), as SQLite has whole numbers: signed."""
    value = int(token[:16], 16)
    return value if value < _SIGN else value - 2 * _SIGN
