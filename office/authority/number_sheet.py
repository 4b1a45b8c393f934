"""Reads phone numbers from a spreadsheet saved as CSV in UTF-8, UTF-16 or cp932."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Final

from idtone.core.errors import NumberError, UsageError
from idtone.core.numbers import ascii_form, holds_number
from idtone.core.terminal.prompts import entries_of
from idtone.registry.number_notation import counted, read_single, read_span

LIMIT: Final = 4_000_000
"""Maximum size of a file in bytes."""
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_ENTRY: Final = re.compile(r"[+0-9(][0-9()+. *~〜～からまで迄-]*")
_DIGITS: Final = re.compile(r"[0-9]")
_LAST: Final = re.compile(r"末尾|最終|最後|終了|終わり|終り|終番|まで|迄|\blast\b|\bend\b|\bto\b", re.IGNORECASE)
"""Heading words that mark the column with the last number of each range."""
_LOST_ZERO: Final = re.compile(r"[1-9][0-9]{8,9}")
_AS_FLOAT: Final = re.compile(r"[0-9.]+[Ee]\+[0-9]+")


def sheet_entries(octets: bytes, name: str) -> list[str]:
    """Read the numbers and ranges in the first two columns of a spreadsheet saved as CSV.

    A row has one number or range, or a first and a last number. A first row without digits is the heading. The last
    number may be abbreviated only if its heading marks it as the last one, because a column of counts looks the same.
    Other columns may contain other data but no numbers. Raises UsageError, which names the row but shows no number.
    """
    rows = [(row, cells) for row, cells in _rows(octets, name) if any(cells)]
    heading: list[str] | None = None
    if rows and not any(_DIGITS.search(ascii_form(cell)) for cell in rows[0][1][:2]):
        heading = rows.pop(0)[1]
    if not rows:
        raise UsageError("{name}: no number is in it", name=name)
    return entries_of([_line(row, cells, heading, name) for row, cells in rows])


def check_count(entries: list[str], expected: str, name: str) -> None:
    """Check that the entries contain the expected number of numbers.

    Otherwise raises UsageError with the actual count.
    """
    try:
        count = sum(len(read_span(entry)) for entry in entries)
    except NumberError as error:
        raise UsageError("{name}: {error}", name=name, error=error) from error
    if ascii_form(expected).replace(",", "") != str(count):
        raise UsageError(
            "{name}: {entries} rows with {count}; nothing is changed yet. If that is right, write {number} as the "
            "count, and send the file again",
            name=name,
            entries=len(entries),
            count=counted(count),
            number=count,
        )


def _rows(octets: bytes, name: str) -> Iterator[tuple[int, list[str]]]:
    text = _text(octets, name)
    first = text.partition("\n")[0]
    delimiter = "\t" if "\t" in first else ";" if ";" in first and "," not in first else ","
    try:
        for row, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 1):
            yield row, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise UsageError("{name}: is not a table that a spreadsheet saved as CSV", name=name) from error


def _text(octets: bytes, name: str) -> str:
    if len(octets) > LIMIT:
        raise UsageError("the file is larger than {limit:,} MB", limit=LIMIT // 1_000_000)
    for encoding in ("utf-16",) if octets.startswith(_UTF_16) else ("utf-8-sig", "cp932"):
        try:
            return octets.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UsageError("{name}: is neither UTF-8 nor cp932; save it as CSV in the spreadsheet", name=name)


def _line(row: int, cells: list[str], heading: list[str] | None, name: str) -> str:
    given = [cell for cell in cells[:2] if cell]
    for cell in map(ascii_form, given):
        if _AS_FLOAT.fullmatch(cell) or _LOST_ZERO.fullmatch(cell):
            raise UsageError(
                "{name}, row {row}: the spreadsheet has dropped the zero at the head of the number; give the "
                "column the format Text, type the number again, and save it",
                name=name,
                row=row,
            )
        if not _ENTRY.fullmatch(cell):
            raise UsageError(
                "{name}, row {row}: each of the first two columns holds one number a cell", name=name, row=row
            )
    if any(holds_number(cell) for cell in cells[2:]):
        raise UsageError("{name}, row {row}: a number stands in the third column or later; move it", name=name, row=row)
    if not cells[0]:
        raise UsageError("{name}, row {row}: the first column is empty", name=name, row=row)
    if len(given) > 1 and not _is_range(given, heading):
        raise UsageError(
            "{name}, row {row}: the second column is not the last number of a range; write the whole number there, "
            "below the heading “Last number” if there are headings, or remove the column",
            name=name,
            row=row,
        )
    return "〜".join(given)


def _is_range(ends: list[str], heading: list[str] | None) -> bool:
    if heading is not None:
        return len(heading) > 1 and _LAST.search(heading[1]) is not None
    try:
        return read_single(ends[0]) < read_single(ends[1])
    except NumberError:
        return False
