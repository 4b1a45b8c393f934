"""A month's public figures: calls with the sound, suspensions, and hours from a report to its suspension.

Members sign their call counts (`idtone-office evaluation figures`). Each member's count is capped, noise is added, and
the sum is rounded. The figure therefore reveals almost nothing about a single member. Small counts are hidden.
"""

import hashlib
import hmac
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

CALLS_BOUND: Final = 50_000
"""Maximum number of calls counted per member in a month."""
ROUNDED_TO: Final = 1_000
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class MonthFacts:
    """The office's facts about a month.

    `sent` is the number of calls with a sound, by member. `documents` are the SHA-256 of the documents that members
    signed. `stops` are the start times of suspensions, each with the time of the first earlier report or None.
    """

    month: str
    sent: Mapping[str, int]
    documents: Sequence[str]
    stops: Sequence[tuple[datetime, datetime | None]]


def public_figures(facts: MonthFacts, least: int, secret: bytes) -> bytes:
    """Compute a month's public figures as JSON.

    A figure is left out if it concerns fewer than `least` members or suspensions; a suspension count of zero is still
    published. The sum of calls is also left out if it is below the scale of the noise. The noise is derived from
    `secret` and is always the same, so publishing again reveals nothing more.
    """
    calls = _noisy(facts, secret)
    waits = [(stopped - reported) / _HOUR for stopped, reported in facts.stops if reported is not None]
    content: dict[str, Any] = {
        "month": facts.month,
        "members": len(facts.sent) if len(facts.sent) >= least else None,
        "calls_with_sound": calls if len(facts.sent) >= least and calls >= CALLS_BOUND else None,
        "calls_bound_each": CALLS_BOUND,
        "noise_scale": CALLS_BOUND,
        "stops": len(facts.stops) if len(facts.stops) == 0 or len(facts.stops) >= least else None,
        "median_hours_report_to_stop": round(statistics.median(waits), 1) if len(waits) >= least else None,
        "least": least,
        "documents_sha256": sorted(facts.documents) if len(facts.sent) >= least else [],
    }
    return json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"


def _noisy(facts: MonthFacts, secret: bytes) -> int:
    bounded = sum(min(sent, CALLS_BOUND) for sent in facts.sent.values())
    seed = hmac.digest(secret, b"idtone public figures\1" + facts.month.encode(), hashlib.sha256)
    noise = CALLS_BOUND * (_exponential(seed[:8]) - _exponential(seed[8:16]))  # Laplace
    return round((bounded + noise) / ROUNDED_TO) * ROUNDED_TO


def _exponential(octets: bytes) -> float:
    return -math.log((int.from_bytes(octets, "big") + 1) / 2**64)
