"""Files that a page offers for download."""

from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import web

from idtone.core.terminal.spreadsheet_csv import csv_text

PDF, ZIP, TEXT, CSV = "application/pdf", "application/zip", "text/plain", "text/csv"
_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""Byte order mark, which lets spreadsheets recognize UTF-8."""


def download(name: str, octets: bytes, kind: str) -> web.Response:
    """A download response. `name` may contain only letters, digits, `-`, `_` and `.`."""
    headers = {"Content-Type": kind, "Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=octets, headers=headers)


def download_csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> web.Response:
    """The rows as a CSV download, with a byte order mark and the columns that `--csv` prints."""
    return download(name, (_BOM + csv_text(columns, rows)).encode(), f"{CSV}; charset=utf-8")
