"""Reads and writes the office's own lists as JSON files, checking each field."""

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
"""A day in Japan, in ISO 8601 format."""
DayOrNone = Annotated[str, AfterValidator(lambda text: text and _day(text))]
"""A day in Japan in ISO 8601 format, or an empty string."""


def read_list(path: Path, kind: TypeAdapter[list[Entry]]) -> list[Entry]:
    """Read a file's entries, or return an empty list if it is missing. Raises TrustError if the file is damaged."""
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
    """Write dataclass instances to a JSON file, replacing its old content.

    Raises TrustError without changing anything.
    """
    octets = json.dumps([asdict(each) for each in entries], ensure_ascii=False, indent=1).encode() + b"\n"
    with writing(path, TrustError):
        group_shared_files.write(path, octets)
