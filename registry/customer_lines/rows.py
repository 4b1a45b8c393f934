"""Converts database rows into entries. Each fault names the row and column."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from idtone.core.errors import DocumentError, Fault, NumberError
from idtone.core.number_spans import NumberSpan
from idtone.core.translation import Message

from ..model import Day
from .consistency import entry_faults
from .lines_document import CustomerId, Entry, LineName, Period, period_of, span_of

COLUMNS: Final = ("endpoint", "account", "customer", "number", "valid_from", "valid_until", "checked_by", "checked_day")
"""Columns that a query may return, in any order. `number` and at least one of those before it are required."""
_FAULT_LIMIT: Final = 200
_ADAPTERS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "endpoint": TypeAdapter(LineName),
    "account": TypeAdapter(LineName),
    "customer": TypeAdapter(CustomerId),
    "valid_from": TypeAdapter(Day),
    "valid_until": TypeAdapter(Day),
}
_FIELDS: Final = {"endpoints": "endpoint", "accounts": "account", "numbers": "number", "until": "valid_until"}
"""Field of an entry → the column with its value."""


def entries_of(columns: Sequence[str], rows: Iterable[Sequence[Any]], name: str) -> list[Entry]:
    """Convert rows into entries. Raises DocumentError with `name` as the file.

    Rows that differ only in their number form one entry.
    """
    reader = _Rows(_positions(columns, name), name)
    for at, row in enumerate(rows, 1):
        reader.read(at, row)
        if len(reader.faults) >= _FAULT_LIMIT:
            break
    if reader.faults:
        raise DocumentError(reader.faults)
    return reader.entries()


def _positions(columns: Sequence[str], name: str) -> Mapping[str, int]:
    found = {column.lower(): at for at, column in enumerate(columns)}
    unknown = [column for column in found if column not in COLUMNS]
    if unknown:
        problem, remedy = Message("is not a known column"), Message("Known here: {names}", names=", ".join(COLUMNS))
        raise DocumentError([Fault(name, 0, 0, column, problem, remedy) for column in unknown])
    if "number" not in found or not found.keys() & set(COLUMNS[:3]):
        raise DocumentError(
            [
                Fault(
                    name,
                    0,
                    0,
                    "lines.query",
                    Message("does not return the columns that are needed"),
                    Message("Return number, and endpoint, account or customer"),
                )
            ]
        )
    return found


_Key = tuple[str | None, str | None, str | None, Period, bool]
"""Values shared by the rows of an entry: endpoint, account, customer, period and whether the entry was checked."""


class _Rows:
    def __init__(self, positions: Mapping[str, int], name: str) -> None:
        self.faults: list[Fault] = []
        self._positions, self._name = positions, name
        self._spans: dict[_Key, list[NumberSpan]] = {}
        self._rows: dict[_Key, list[int]] = {}
        """The row of each span, or the first row for an entry without numbers."""
        self._good: dict[tuple[str, str], Any] = {}

    def read(self, at: int, row: Sequence[Any]) -> None:
        before = len(self.faults)
        values = {column: _plain(row[place]) for column, place in self._positions.items()}
        endpoint, account, customer, start, until = (
            self._checked(at, column, values.get(column)) for column in _ADAPTERS
        )
        span = self._span(at, values["number"])
        if len(self.faults) > before:
            return
        checked = bool(values.get("checked_by") and values.get("checked_day"))
        key = (endpoint, account, customer, period_of(start, until), checked)
        spans = self._spans.setdefault(key, [])
        rows = self._rows.setdefault(key, [])
        if span is not None:
            if not spans:
                rows.clear()
            spans.append(span)
            rows.append(at)
        elif not rows:
            rows.append(at)

    def entries(self) -> list[Entry]:
        made = [
            Entry(
                customer, (endpoint,) if endpoint else (), (account,) if account else (), tuple(spans), period, checked
            )
            for (endpoint, account, customer, period, checked), spans in self._spans.items()
        ]
        rows = list(self._rows.values())
        faults = [
            Fault(self._name, rows[fault.entry][position], 1, _FIELDS.get(fault.field, fault.field), *fault[3:])
            for fault in entry_faults(made)
            for position in ((fault.position or 0) if fault.field == "numbers" else 0,)
        ]
        if faults:
            raise DocumentError(faults[:_FAULT_LIMIT])
        return made

    def _checked(self, at: int, column: str, value: str | None) -> Any:
        if value is None:
            return None
        known = (column, value)
        if known not in self._good:
            try:
                self._good[known] = _ADAPTERS[column].validate_python(value)
            except ValidationError as error:
                problem, remedy = _words(error)
                self.faults.append(Fault(self._name, at, 1, column, problem, remedy))
                return None
        return self._good[known]

    def _span(self, at: int, value: str | None) -> NumberSpan | None:
        if value is None:
            return None
        try:
            return span_of(value)
        except NumberError as error:
            self.faults.append(Fault(self._name, at, 1, "number", error.problem, error.remedy))
            return None


def _plain(value: Any) -> str | None:
    """Value as text; None for NULL and for an empty text."""
    if value is None:
        return None
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value).strip() or None


def _words(error: ValidationError) -> tuple[str, str]:
    detail = error.errors(include_url=False, include_input=False)[0]
    found = detail.get("ctx", {}).get("error")
    if isinstance(found, ValueError) and len(found.args) == 2:
        return found.args[0], found.args[1]
    return Message("is not a date"), Message("Write it like 2026-01-10")
