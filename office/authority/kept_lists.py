"""Reads the office's own lists, which are files of JSON, and takes nothing in them for granted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, TypeAdapter

from idtone.core.errors import TrustError, UsageError
from idtone.core.translation import Message

from .moments import day

Entry = TypeVar("Entry")


def _day(text: str) -> str:
    try:
        return day(text, "").isoformat()
    except UsageError as error:
        raise ValueError(text) from error


Day = Annotated[str, AfterValidator(_day)]
"""A day in Japan."""
DayOrNone = Annotated[str, AfterValidator(lambda text: text and _day(text))]
"""The same, or empty."""


def read_list(path: Path, kind: TypeAdapter[list[Entry]]) -> list[Entry]:
    """The entries of a file; none without the file. Raises TrustError if it is damaged."""
    try:
        return kind.validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TrustError(Message("{path}: cannot be read: {reason}", path=path, reason=error.strerror)) from error
    except ValueError as error:
        raise TrustError(Message("{path}: is damaged; restore it from a backup", path=path)) from error
