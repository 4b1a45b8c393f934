"""Checks that the day keys open the ledger's sealed numbers, and that acts name the destroyed keys."""

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from idtone.core.errors import LedgerError
from idtone.core.translation import Message

from ..keys.day_keys import DayKeys


class SealedNumbers(NamedTuple):
    """A day's first sealed numbers, which serve as a sample for checking the day key.

    `text` is the step's details or its whole text.
    """

    call_id: str
    text: str


def day_key_faults(days: DayKeys, sealed: Mapping[str, SealedNumbers], forgotten: str | None) -> Iterator[Message]:
    """Yield faults for the keys of the days in `sealed`.

    `forgotten` is the day before which, according to the ledger, all keys were destroyed. It is empty if the ledger
    names no day, and None if destroyed keys are not to be checked.
    """
    destroyed = days.destroyed()
    for day, sample in sorted(sealed.items()):
        if day in destroyed:
            if forgotten is not None and day >= forgotten:
                yield Message("the key of {day} is destroyed, and no act `forgotten` in the ledger says so", day=day)
        elif not days.knows(day):
            yield Message("the key of {day} is missing: the numbers of that day cannot be opened", day=day)
        elif not _opens(days, day, sample):
            yield Message(
                "the key of {day} does not open what was sealed on that day (call {call_id}): it was changed, or "
                "ledger.key_file is another one; restore both from one backup",
                day=day,
                call_id=sample.call_id,
            )


def _opens(days: DayKeys, day: str, sample: SealedNumbers) -> bool:
    try:
        key = days.get(day)
        found = json.loads(sample.text)
        if key:
            key.open(sample.call_id, found.get("details", found))
    except (LedgerError, ValueError, AttributeError):
        return False
    return key is not None
