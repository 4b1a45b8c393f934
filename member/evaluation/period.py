"""Evaluation periods in whole days, in Japan Standard Time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Self

from idtone.core.errors import UsageError
from idtone.core.japan_time import JAPAN


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """The days from `start` up to, but not including, `until`."""

    start: date
    until: date

    def __str__(self) -> str:
        return f"{self.start.isoformat()}/{self.until.isoformat()}"

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.start, time(), JAPAN)

    @property
    def ends(self) -> datetime:
        return datetime.combine(self.until, time(), JAPAN)

    @property
    def days(self) -> int:
        return (self.until - self.start).days

    @property
    def months(self) -> list[str]:
        """All months that have a day in the period, formatted like `2026-11`."""
        return list(dict.fromkeys(f"{day:%Y-%m}" for day in self._firsts()))

    def _firsts(self) -> Iterator[date]:
        day = self.start
        while day < self.until:
            yield day
            day = date(day.year + day.month // 12, day.month % 12 + 1, 1)

    def contains(self, other: Period) -> bool:
        return self.start <= other.start and other.until <= self.until

    def overlaps(self, other: Period) -> bool:
        return self.start < other.until and other.start < self.until

    @classmethod
    def parse(cls, since: str, until: str, name: Callable[[str], str] = lambda field: f"--{field}") -> Self:
        """The period from `since` through `until`. Raises UsageError.

        `name` returns the names of the two fields, for the error.
        """
        first, last = name("since"), name("until")
        found = cls(_day(since, first), _day(until, last) + timedelta(days=1))
        if not found.start < found.until:
            raise UsageError("{until} is before {first}; they are the last and the first day", until=last, first=first)
        return found


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            "{option} {text!r} is not a day; write it like 2026-01-10", option=option, text=text
        ) from error
