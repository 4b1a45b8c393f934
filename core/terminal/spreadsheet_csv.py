"""CSV (RFC 4180) that is safe to open in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV text with a header line, in the format that `Rows` prints."""
    return csv_lines([columns, *rows])


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """CSV text of rows. Text that a spreadsheet would read as a formula is prefixed with an apostrophe."""
    made = io.StringIO()
    csv.writer(made).writerows(map(_no_formulas, rows))
    return made.getvalue()


def _no_formulas(row: Sequence[object]) -> tuple[str, ...]:
    texts = map(field_text, row)
    return tuple(f"'{text}" if text[:1] in _FORMULA and not _FIGURES.fullmatch(text) else text for text in texts)


_FORMULA: Final = frozenset("=+-@\t\r")
_FIGURES: Final = re.compile(r"[+-]?[0-9.]+|-|")


def field_text(value: object) -> str:
    """Text of a value in a CSV field."""
    if value is None:
        return ""
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
