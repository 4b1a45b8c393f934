"""Call detail records in CSV, as written by Asterisk (cdr_custom, cdr_csv) or a carrier."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from idtone.core.errors import UsageError
from idtone.core.translation import Message

_LINE_LIMIT: Final = 1_000_000
"""Maximum number of characters in a line. No record is longer."""
_LAST_S: Final = 253_402_300_799


class CdrRow(NamedTuple):
    """A row of call detail records, with its line number, SIP Call-ID and the call's start.

    If a row spans several lines, the line number is that of its last line. The SIP Call-ID may be empty.
    """

    line: int
    sip_call_id: str
    start: datetime


@dataclass(frozen=True)
class CdrFile:
    """A CSV file of call detail records.

    Columns are given by their names in the first line or by their numbers, starting at 1. If both columns are given by
    number, the first line is a record. `zone` is the time zone for times without an offset, and None means the
    machine's zone. `time_format` (strptime) is for times that are neither ISO 8601 nor seconds since 1970.
    """

    path: Path
    sip_call_id: str = "1"
    start: str = "2"
    zone: tzinfo | None = None
    time_format: str | None = None
    encoding: str = "utf-8-sig"

    def rows(self) -> Iterator[CdrRow]:
        """Read the rows, including rows without a SIP Call-ID.

        Raises UsageError, which names the line but never quotes it.
        """
        try:
            with self.path.open(encoding=self.encoding, errors="replace", newline="") as file:
                yield from self._rows(file)
        except OSError as error:
            raise UsageError(
                "{path}: cannot be read: {reason}; name a CSV file", path=self.path, reason=error.strerror
            ) from error
        except LookupError as error:
            raise UsageError("--encoding {name!r} is not known", name=self.encoding) from error

    def _rows(self, file: TextIO) -> Iterator[CdrRow]:
        reader = csv.reader(self._lines(file), strict=True)
        try:
            places = self._places(reader)
            for fields in reader:
                if fields:
                    yield self._row(fields, reader.line_num, *places)
        except csv.Error as error:
            raise self._unfit(reader.line_num, Message("is not CSV: {reason}", reason=error)) from error

    def _lines(self, file: TextIO) -> Iterator[str]:
        number = 0
        while line := file.readline(_LINE_LIMIT + 1):
            number += 1
            if len(line) > _LINE_LIMIT:
                raise self._unfit(number, Message("is longer than any record"))
            yield line

    def _places(self, reader: Iterator[list[str]]) -> tuple[int, int]:
        if self.sip_call_id.isdecimal() and self.start.isdecimal():
            names: list[str] = []
        else:
            names = [name.strip() for name in next(reader, [])]
        return self._place(self.sip_call_id, names, "--call-id"), self._place(self.start, names, "--start")

    def _place(self, column: str, names: list[str], option: str) -> int:
        if column in names:
            return names.index(column)
        if column.isdecimal() and int(column) > 0:
            return int(column) - 1
        raise UsageError(
            "{path}: the first line has no column {column!r}; correct {option}",
            path=self.path,
            column=column,
            option=option,
        )

    def _row(self, fields: list[str], line: int, at: int, start: int) -> CdrRow:
        if max(at, start) >= len(fields):
            raise self._unfit(line, Message("has {count} fields; correct --call-id and --start", count=len(fields)))
        moment = self._moment(fields[start].strip())
        if moment is None:
            raise self._unfit(
                line,
                Message(
                    "has no time in column {column}; name the column with --start, or how "
                    "times are written with --time-format",
                    column=self.start,
                ),
            )
        return CdrRow(line, fields[at].strip(), moment)

    def _moment(self, text: str) -> datetime | None:
        try:
            if self.time_format is not None:
                found = datetime.strptime(text, self.time_format)  # noqa: DTZ007 - it gets its zone below
            elif text.replace(".", "", 1).isdecimal() and len(text.partition(".")[0]) in (9, 10):
                return datetime.fromtimestamp(min(float(text), _LAST_S), UTC)
            else:
                found = datetime.fromisoformat(text.replace("/", "-"))
            return (found if found.tzinfo else found.replace(tzinfo=self.zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def _unfit(self, line: int, why: str) -> UsageError:
        return UsageError("{path}:{line}: {why}", path=self.path, line=line, why=why)
