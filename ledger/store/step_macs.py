"""The table of MACs, which prove that the service wrote each step in its current position."""

import hmac
from typing import Final

from ..evidence.leaves import StoredStep
from ..keys.step_key import MAC_BYTES, StepKey
from .database import Connection

NO_MAC: Final = bytes(MAC_BYTES)
"""Value used instead of a missing MAC."""
INSERT_MACS: Final = "INSERT INTO macs (last, macs) VALUES (?, ?)"
_GROUP: Final = "SELECT last, macs FROM macs WHERE last >= ? ORDER BY last LIMIT 1"


class StepMacs:
    """Reads steps' MACs within one transaction.

    `key` is used to check the MACs. Without it, no step can be confirmed. The MACs of the last group are cached.
    """

    def __init__(self, connection: Connection, key: StepKey | None) -> None:
        """`key` is used to check the MACs. Without it, no step can be confirmed."""
        self._connection = connection
        self._key = key
        self._first = self._last = 0
        self._macs = b""

    def of(self, number: int) -> bytes:
        """A step's MAC; empty if it has none."""
        if not self._first <= number <= self._last and not self._read(number):
            return b""
        begin = (number - self._first) * MAC_BYTES
        return self._macs[begin : begin + MAC_BYTES]

    def confirms(self, step: StoredStep, leaf: int | None) -> bool:
        """True if the service wrote the step with this content and in this position."""
        held = self.of(step.id)
        if self._key is None or not held:
            return False
        return hmac.compare_digest(held, self._key.mac(self.of(step.id - 1), step, leaf))

    def _read(self, number: int) -> bool:
        if number < 1:
            return False
        row = self._connection.execute(_GROUP, (number,)).fetchone()
        if row is None:
            return False
        last, macs = row
        macs = bytes(macs) if isinstance(macs, bytes | memoryview) else b""
        first = last - len(macs) // MAC_BYTES + 1
        if not isinstance(last, int) or len(macs) % MAC_BYTES or not first <= number:
            return False
        self._first, self._last, self._macs = first, last, macs
        return True
