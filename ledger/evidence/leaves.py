"""Leaves of the ledger's Merkle tree, which contain a finished call's steps as canonical JSON (RFC 8785).

A call ends with its first closing step, and the steps up to this one form the call's leaf. Any later step, usually for
a sound cut off by the hangup, becomes a separate leaf, which states how many steps of the call came before.

A leaf contains everything that the ledger stores about a step. Telephone numbers in a leaf are sealed, so they can be
made unreadable by destroying their key, without changing the leaf.
"""

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
        StepKind.EXPORT_RECEIVED,
        StepKind.EXPORT_CONFIRMED,
        StepKind.FORGOTTEN,
        StepKind.NUMBERS_OPENED,
        StepKind.DUTY,
        StepKind.END_GIVEN_UP,
    )
)
"""Acts performed by the ledger's keepers."""
ACTS: Final = KEEPERS_ACTS | {
    StepKind.GAP.value,
    StepKind.CONTINUED.value,
    StepKind.QUARANTINED.value,
    StepKind.LOG_ENDED.value,
    StepKind.CLOCK.value,
}
"""Acts by the keepers and events in the ledger itself. Each is a separate record."""
ACT_ID: Final = "act-"
"""The beginning of an act's id."""
AFTER_ACTS: Final = "act."
"""A text that sorts after all act ids, whatever characters they contain."""
CLOSING: Final = frozenset({StepKind.ENDED.value, StepKind.INTERRUPTED.value}) | ACTS
"""Closing steps. The first of these ends a call. An act is closed by its only step."""

OPENING: Final = frozenset(each.value for each in FIRST)
"""Opening steps, one of which begins each call.

They contain the numbers, and searches find the call by their tokens.
"""

_SIGN: Final = 2**63
_TOKEN: Final = re.compile(r'_token":"([0-9a-f]{16})[0-9a-f]{16}"')
"""Pattern for a token in JSON text. A quote inside a value would be preceded by a backslash."""


class StoredStep(NamedTuple):
    """A row in the ledger's table of steps.

    `at` is in µs since 1970. `details` is canonical JSON.
    """

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
    """Serialize a step for a leaf.

    `number` is the step's position in the ledger, counted from 1. `at` is in µs since 1970.
    """
    return f'{{"at":{at},"details":{details},"id":{number},"kind":{quoted(kind)},"node":{quoted(node)}}}'


def leaf(call_id: str, steps: Sequence[str], after: int) -> bytes:
    """Build a call's leaf from the texts of its steps (`step_text`).

    `after` is the number of the call's steps in earlier leaves.
    """
    before = f'"after":{after},' if after else ""
    return f'{{{before}"call":{quoted(call_id)},"steps":[{",".join(steps)}]}}'.encode()


def may_continue_call(kinds: Sequence[str]) -> bool:
    """True if a leaf with these kinds of steps may continue a call that has an earlier leaf.

    Such a leaf has a single step or does not begin with an opening step.
    """
    return len(kinds) == 1 or kinds[0] not in OPENING


def search_digits(text: str) -> set[str]:
    """An opening step's search keys, which are the first 16 hexadecimal digits of each number token.

    `text` is the step's details or its whole text.
    """
    return set(_TOKEN.findall(text))


def search_keys(kind: str, details: str) -> Iterable[int]:
    """A step's search keys, which are the first 64 bits of each telephone number's token."""
    return map(search_key, _TOKEN.findall(details)) if kind in OPENING else ()


def search_key(token: str) -> int:
    """The first 64 bits of a hexadecimal token, as a signed integer for SQLite."""
    value = int(token[:16], 16)
    return value if value < _SIGN else value - 2 * _SIGN
