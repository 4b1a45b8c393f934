"""Lets a member check whether a customer is refused.

The association evaluates blinded keys and does not learn who the customer is.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from idtone.core.errors import TrustError

from . import ristretto255 as group
from .customer_identity import CustomerIdentity
from .identity_keys import KEYS_LIMIT, IdentityKey
from .oprf import VOPRF, Blinded
from .refusal_list import TOKEN_BYTES, RefusalList, RefusedToken

KIND: Final = "refusal-check"
"""Kind of document that the member sends."""


@dataclass(frozen=True, slots=True)
class Match:
    """A refusal that matches the customer.

    `fields` names the matching fields, for example `name+born`. Groups of fields are separated by commas.
    """

    reference: str
    since: date
    until: date
    fields: str


class RefusalCheck:
    """A check of one customer. `content` is sent to the desk, and `matches` evaluates the desk's answer."""

    def __init__(self, identity: CustomerIdentity, refusals: RefusalList) -> None:
        """Raises TrustError if the customer has no key."""
        self._refusals = refusals
        self._keys: Sequence[tuple[IdentityKey, Blinded]] = [
            (key, VOPRF.blind(key.octets)) for key in refusals.table.keys_of(identity)
        ]
        filling = (group.random_element() for _ in range(KEYS_LIMIT - len(self._keys)))
        self._sent = [*(blinded.element for _, blinded in self._keys), *filling]

    def content(self) -> dict[str, Any]:
        """Content to send to the desk: always `KEYS_LIMIT` elements, which reveal nothing about the customer."""
        return {"epoch": self._refusals.epoch, "blinded": [base64.b64encode(each).decode() for each in self._sent]}

    def matches(self, answer: Mapping[str, Any], on: date) -> list[Match]:
        """Matching refusals in force on a day, those that end last first.

        Raises TrustError unless the elements were evaluated with the list's key.
        """
        evaluated, proof = elements_of(answer.get("evaluated")), octets_of(answer.get("proof"))
        VOPRF.verify(self._refusals.public, self._sent, evaluated, proof)
        equal: dict[tuple[str, date, date], list[str]] = {}
        for fields, refused in self._found(evaluated, on):
            equal.setdefault((refused.reference, refused.since, refused.until), []).append(fields)
        found = [Match(*refusal, ", ".join(dict.fromkeys(fields))) for refusal, fields in equal.items()]
        return sorted(found, key=lambda match: match.until, reverse=True)

    def _found(self, evaluated: Sequence[bytes], on: date) -> Iterator[tuple[str, RefusedToken]]:
        for (key, blinded), element in zip(self._keys, evaluated, strict=False):
            token = VOPRF.finalize(blinded, element)[:TOKEN_BYTES]
            for refused in self._refusals.find(token, on):
                yield key.fields, refused


def elements_of(value: object) -> list[bytes]:
    """Group elements in a document or answer. Raises TrustError unless there are exactly `KEYS_LIMIT`."""
    if not isinstance(value, list) or len(value) != KEYS_LIMIT:
        raise TrustError("a check has exactly {count} elements", count=KEYS_LIMIT)
    return [group.checked_element(octets_of(each)) for each in value]


def octets_of(value: object) -> bytes:
    """Decode base64 text into bytes. Raises TrustError."""
    try:
        return base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except (ValueError, binascii.Error) as error:
        raise TrustError("this is not base64") from error
