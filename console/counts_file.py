"""Stores a ledger's call counts in a file next to it, so that a restarted console can continue from them."""

import json
import time
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from idtone import __version__
from idtone.ledger.evidence.tally import COUNTED, Tally
from idtone.ledger.keys.private_files import replace_private

from .counts import Counts

SUFFIX: Final = ".counted"


def file_beside(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + SUFFIX)


def write_counts(path: Path, counts: Counts) -> None:
    """Write the counts to the file, readable only by this user. Raises OSError."""
    replace_private(path, json.dumps(_written(counts), ensure_ascii=False).encode())


def read_counts(path: Path) -> Counts | None:
    """Read the counts, or return None if the file is missing, invalid, or from another version or time zone."""
    try:
        found = json.loads(path.read_bytes())
        return _read(found) if found["counted_by"] == _counted_by() else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _counted_by() -> list[object]:
    """Version of the counting rules and the local time zone, which determines where days begin."""
    return [__version__, *time.tzname, time.timezone, time.altzone]


def _written(counts: Counts) -> dict[str, Any]:
    return {
        "counted_by": _counted_by(),
        "origin": counts.origin,
        "place": counts.place,
        "last": counts.last,
        "at": counts.at.isoformat(),
        "tallies": [
            [day.isoformat(), member, licence, *(getattr(tally, name) for name in COUNTED)]
            for (day, member, licence), tally in counts.tallies.items()
        ],
        "reasons": [[day.isoformat(), *words, calls] for (day, *words), calls in counts.reasons.items()],
        "hours": [[hour.isoformat(), outcome, calls] for (hour, outcome), calls in counts.hours.items()],
    }


def _read(found: dict[str, Any]) -> Counts:
    """Convert the parsed file to counts.

    Raises ValueError, LookupError, TypeError or AttributeError if the file is invalid.
    """
    counts = Counts(found["origin"], int(found["place"]), str(found["last"]), datetime.fromisoformat(found["at"]))
    counts.kept = counts.place
    for day, member, licence, *numbers in found["tallies"]:
        key = (date.fromisoformat(day), str(member), str(licence))
        counts.tallies[key] = Tally(*key, *map(int, numbers))
    counts.reasons = Counter(
        {
            (date.fromisoformat(day), str(outcome), str(reason)): int(calls)
            for day, outcome, reason, calls in found["reasons"]
        }
    )
    counts.hours = Counter(
        {(datetime.fromisoformat(hour), str(outcome)): int(calls) for hour, outcome, calls in found["hours"]}
    )
    return counts
