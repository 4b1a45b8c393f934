"""How many calls there were and what was heard on them, by day and licence. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from idtone.calls import Outcome

from .leaves import ACTS
from .records import Record
from .steps import StepKind


@dataclass
class Tally:
    """The calls of one day that were judged by one licence; `licence` is empty where there was none to judge by.

    `connected` are those on which the parties were to hear something and were connected; `heard` those of them on
    which all who were to hear it heard it to its end.
    """

    day: date
    licence: str
    calls: int = 0
    played: int = 0
    noticed: int = 0
    refused: int = 0
    bypassed: int = 0
    connected: int = 0
    heard: int = 0

    @property
    def heard_ratio(self) -> float | None:
        """None where nobody was to hear anything."""
        return self.heard / self.connected if self.connected else None

    def to_json(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"heard_ratio": self.heard_ratio}


COLUMNS = (*(each.name for each in fields(Tally)), "heard_ratio")


def tally(records: Iterable[Record], day_of: Callable[[datetime], date]) -> list[Tally]:
    """By day and licence, in order. `day_of` says which day a moment belongs to."""
    tallies: dict[tuple[date, str], Tally] = {}
    for record in records:
        if record.steps[0].kind in ACTS:
            continue
        key = day_of(record.steps[0].at), record.licence or ""
        counted = tallies.setdefault(key, Tally(*key))
        counted.calls += 1
        counted.played += record.outcome == Outcome.PLAY
        counted.noticed += record.outcome == Outcome.NOTICE
        counted.refused += record.outcome == Outcome.REFUSE
        counted.bypassed += record.outcome == Outcome.BYPASS
        if record.profiles and StepKind.CONNECTED in record.times:
            counted.connected += 1
            counted.heard += record.heard
    return [tallies[key] for key in sorted(tallies)]
