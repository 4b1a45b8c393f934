"""The table of customer lines as a YAML file, which says which line may present which numbers."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from idtone.core.errors import NumberError
from idtone.core.number_spans import NumberSpan
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model

from ..model import Day, Id, Text, day_begins
from ..number_notation import read_span

_NAME_LIMIT: Final = 79
"""Maximum length of an endpoint name or account code in characters, as in Asterisk."""
_NUMBER_LIKE: Final = re.compile(r"[0-9._-]{9,}")
_NUMBER: Final = re.compile(r"[0-9]{5,}(?=[0-9]{4})")
_ASTERISK_PATTERN: Final = re.compile(r"_([+0-9]+)(X+)")


def name_of_line(value: str) -> str:
    """Validate an endpoint name or account code. Raises ValueError."""
    if not value.strip() or value != value.strip() or len(value) > _NAME_LIMIT or not value.isprintable():
        raise ValueError(
            Message("is not the name of an endpoint or an account code"),
            Message("Write it as Asterisk has it: 6001 for PJSIP/6001-0000002a"),
        )
    return value


def masked_name(name: str) -> str:
    """A line's name with most of its digits hidden, because it may be a telephone number."""
    return _NUMBER.sub("…", name)


def customer_id(value: str) -> str:
    """Validate a customer id. Raises ValueError for an id that looks like a telephone number.

    Evidence contains customer ids in clear text.
    """
    if _NUMBER_LIKE.fullmatch(value):
        raise ValueError(
            Message("may be a telephone number, and evidence keeps it in clear"),
            Message("Write an id of your own: c-0042"),
        )
    return value


def span_of(text: str) -> NumberSpan:
    """Parse numbers in a registry notation, or as an Asterisk pattern like `_0312345XXX`. Raises NumberError."""
    pattern = _ASTERISK_PATTERN.fullmatch(text)
    return read_span(f"{pattern[1]}*" if pattern else text)


LineName = Annotated[str, AfterValidator(name_of_line)]
CustomerId = Annotated[Id, AfterValidator(customer_id)]


class NumbersCheck(Model):
    """Proof that the customer may present the numbers: who checked it, the day and the document."""

    by: Text
    day: Day
    document: Text | None = None


class LineEntry(Model):
    """Numbers and the lines that may present them from the day `from` until the day `until` (exclusive, in Japan).

    Without endpoints or account codes, all of the customer's lines may present the numbers.
    """

    customer: CustomerId | None = None
    endpoints: tuple[LineName, ...] = ()
    accounts: tuple[LineName, ...] = ()
    numbers: tuple[str, ...] = ()
    checked: NumbersCheck | None = None
    start: Day | None = Field(default=None, alias="from")
    until: Day | None = None


class LinesDocument(Model):
    lines: tuple[LineEntry, ...]


ALWAYS: Final = (-(2**62), 2**62)
"""The period of an entry without dates."""
Period = tuple[int, int]
"""A period from one time to another (exclusive), in Unix seconds."""


def period_of(start: date | None, until: date | None) -> Period:
    return (
        int(day_begins(start).timestamp()) if start else ALWAYS[0],
        int(day_begins(until).timestamp()) if until else ALWAYS[1],
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry from a file or database, with its numbers as spans."""

    customer: str | None
    endpoints: tuple[str, ...]
    accounts: tuple[str, ...]
    spans: tuple[NumberSpan, ...]
    period: Period
    is_checked: bool

    @property
    def names_lines(self) -> bool:
        return bool(self.endpoints or self.accounts)


def entry_of(read: LineEntry) -> Entry:
    """Convert an entry from a file. Raises NumberError for an unreadable number."""
    return Entry(
        read.customer,
        read.endpoints,
        read.accounts,
        tuple(map(span_of, read.numbers)),
        period_of(read.start, read.until),
        read.checked is not None,
    )


def number_fault(text: str) -> NumberError | None:
    """Error for an entry of `numbers`, or None if the entry is valid."""
    try:
        span_of(text)
    except NumberError as error:
        return error
    return None


def entries_of(document: LinesDocument) -> list[Entry]:
    return [entry_of(read) for read in document.lines]
