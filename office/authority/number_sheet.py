"""Numbers in a table that a spreadsheet has saved as CSV: Excel writes cp932, or UTF-8 with a byte order mark. Pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Final

from idtone.core.errors import UsageError
from idtone.core.numbers import ascii_form, holds_number
from idtone.core.terminal.asking import entries_of
from idtone.core.translation import Message

LIMIT: Final = 4_000_000
"""Bytes of a file."""
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_ENTRY: Final = re.compile(r"[+0-9(][0-9()+. *~〜～からまで迄-]*")
_DIGITS: Final = re.compile(r"[0-9]")
_LOST_ZERO: Final = re.compile(r"[1-9][0-9]{8,9}")
_AS_FLOAT: Final = re.compile(r"[0-9.]+[Ee]\+[0-9]+")


def sheet_entries(octets: bytes, name: str) -> list[str]:
    """Entries of numbers, one or two columns a row: a number or range, or its first and its last number.

    A first row without digits is the heading, and columns after the second may hold other things, but no number. Raises
    UsageError, which names the row and shows no number.
    """
    lines = [line for row, cells in _rows(octets, name) if (line := _line(row, cells, name))]
    if not lines:
        raise UsageError(Message("{name}: no number is in it", name=name))
    return entries_of(lines)


def _rows(octets: bytes, name: str) -> Iterator[tuple[int, list[str]]]:
    text = _text(octets, name)
    first = text.partition("\n")[0]
    delimiter = "\t" if "\t" in first else ";" if ";" in first and "," not in first else ","
    try:
        for row, cells in enumerate(csv.reader(text.splitlines(), delimiter=delimiter, strict=True), 1):
            yield row, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise UsageError(Message("{name}: is not a table that a spreadsheet saved as CSV", name=name)) from error


def _text(octets: bytes, name: str) -> str:
    if len(octets) > LIMIT:
        raise UsageError(Message("the file is larger than {limit:,} MB", limit=LIMIT // 1_000_000))
    for encoding in ("utf-16",) if octets.startswith(_UTF_16) else ("utf-8-sig", "cp932"):
        try:
            return octets.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UsageError(Message("{name}: is neither UTF-8 nor cp932; save it as CSV in the spreadsheet", name=name))


def _line(row: int, cells: list[str], name: str) -> str:
    """As a person would type it; empty for an empty row and for the heading."""
    given = [cell for cell in cells[:2] if cell]
    if row == 1 and not any(_DIGITS.search(ascii_form(cell)) for cell in given):
        return ""
    for cell in map(ascii_form, given):
        if _AS_FLOAT.fullmatch(cell) or _LOST_ZERO.fullmatch(cell):
            raise UsageError(
                Message(
                    "{name}, row {row}: the spreadsheet has dropped the zero at the head of the number; give the "
                    "column the format Text, type the number again, and save it",
                    name=name, row=row,
                )
            )  # fmt: skip
        if not _ENTRY.fullmatch(cell):
            raise UsageError(Message("{name}, row {row}: the first two columns hold numbers alone", name=name, row=row))
    if any(holds_number(cell) for cell in cells[2:]):
        raise UsageError(
            Message("{name}, row {row}: a number stands in the third column or later; move it", name=name, row=row)
        )
    if cells and not cells[0] and len(given):
        raise UsageError(Message("{name}, row {row}: the first column is empty", name=name, row=row))
    return "〜".join(given)
