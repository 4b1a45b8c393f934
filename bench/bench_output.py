"""Helpers for all benches: command-line options, results as a table or as JSON, and progress."""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

PROGRESS: Final = Console(stderr=True, highlight=False, markup=False)
_WIDTH: Final = 150
"""Width of tables in columns. They have many figures, so it also holds without a terminal."""

Found = Mapping[str, Any]
"""Name → a figure, or several figures by name."""


def options(description: str | None, **numbers: float) -> argparse.ArgumentParser:
    """Create a parser with --json and one numeric option for each of `numbers`.

    The value in `numbers` is the option's default.
    """
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    for name, number in numbers.items():
        parser.add_argument(f"--{name}", type=type(number), default=number, help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    return parser


def report(title: str, found: Found, as_json: bool) -> None:
    """Print results as JSON, or as a table with a line for each name."""
    if as_json:
        print(json.dumps(found, indent=2))
        return
    shown = Table("what", "", title=title, box=None)
    for name, value in found.items():
        figures = value if isinstance(value, Mapping) else {"": value}
        shown.add_row(
            name.replace("_", " "), ", ".join(f"{key} {_text(each)}".strip() for key, each in figures.items())
        )
    Console().print(shown)


def print_table(title: str, rows: Sequence[Found], width: int = _WIDTH) -> None:
    """Print a table with a row for each result and a column for each figure."""
    shown = Table(title=title)
    for name, value in rows[0].items():
        shown.add_column(name.replace("_", " "), justify="left" if isinstance(value, str) else "right")
    for row in rows:
        shown.add_row(*map(_text, row.values()))
    Console(width=max(width, Console().width)).print(shown)


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
