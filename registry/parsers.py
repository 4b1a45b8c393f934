"""Parsers of the files that the association signs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from pydantic import ValidationError

from idtone.core.documents import parse, read_compact_tree, read_text
from idtone.core.errors import DocumentError

from .held_numbers import HeldNumbers
from .model import NeverOriginatesDocument, RegistryDocument, SuspensionsDocument
from .validation_rules import never_originates_faults, signed_faults, suspension_faults


def parse_registry(text: str, name: str) -> RegistryDocument:
    """The registry in a text. Raises DocumentError with every fault; `name` is the file name in the faults."""
    return parse(text, name, RegistryDocument, signed_faults)


def read_large_registry(path: Path, name: str) -> tuple[RegistryDocument, HeldNumbers]:
    """The registry in a large file, without its members' numbers, and these beside it, in a tenth of the memory.

    Raises DocumentError with every fault.
    """
    held, members = HeldNumbers(), count()

    def compact(keys: Sequence[str]) -> list[str] | None:
        return _Numbers(held, next(members)) if keys == ["members", "numbers"] else None

    try:
        tree = read_compact_tree(path, name, compact)
        held.place([at for at, member in enumerate(tree["members"]) if isinstance(member.get("numbers"), _Numbers)])
        if not held.unreadable:
            document = RegistryDocument.model_validate(tree)
            del tree  # with many members it is as large as the document
            held.name(member.id for member in document.members)
            if not any(signed_faults(document, held)):
                return document, held
    except (DocumentError, ValidationError, LookupError, TypeError, AttributeError):
        pass  # it has faults, or a form that is rare; the other reader says which
    document = parse_registry(read_text(path), name)
    return document.model_copy(
        update={"members": tuple(member.model_copy(update={"numbers": ()}) for member in document.members)}
    ), HeldNumbers.of(document)


class _Numbers(list[str]):
    """The numbers of one member, which go to `held` instead of this list."""

    def __init__(self, held: HeldNumbers, member: int) -> None:
        super().__init__()
        self._held, self._member, self._entries = held, member, count()

    def append(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError("a number is a text")
        self._held.add(self._member, next(self._entries), text)


def parse_suspensions(text: str, name: str) -> SuspensionsDocument:
    """The same as `parse_registry`, for suspensions."""
    return parse(text, name, SuspensionsDocument, suspension_faults)


def parse_never_originates(text: str, name: str) -> NeverOriginatesDocument:
    """The same as `parse_registry`, for numbers that never originate."""
    return parse(text, name, NeverOriginatesDocument, never_originates_faults)
