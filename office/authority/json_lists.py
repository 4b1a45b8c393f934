"""Reads and writes the office's own lists. They are JSON files; each field is checked when a file is read."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, TypeAdapter

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import reading, writing

from . import group_shared_files
from .typed_dates import parse_day

Entry = TypeVar("Entry")


def _day(text: str) -> str:
    try:
        return parse_day(text, "").isoformat()
    except UsageError as error:
        raise ValueError(text) from error


Day = Annotated[str, AfterValidator(_day)]
"""A day in Japan."""
DayOrNone = Annotated[str, AfterValidator(lambda text: text and _day(text))]
"""A day in Japan, or empty."""


def read_list(path: Path, kind: TypeAdapter[list[Entry]]) -> list[Entry]:
    """The entries of a file; an empty list if there is no file. Raises TrustError if the file is damaged."""
    with reading(path, TrustError):
        try:
            octets = path.read_bytes()
        except FileNotFoundError:
            return []
    try:
        return kind.validate_json(octets)
    except ValueError as error:
        raise TrustError("{path}: is damaged; restore it from a backup", path=path) from error


def write_list(path: Path, entries: Sequence[Any]) -> None:
    """Replace the content of the file with these entries (dataclasses). Raises TrustError and then changes nothing."""
    octets = json.dumps([asdict(each) for each in entries], ensure_ascii=False, indent=1).encode() + b"\n"
    with writing(path, TrustError):
        group_shared_files.write(path, octets)
