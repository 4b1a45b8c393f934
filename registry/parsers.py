"""Parsers of the files that the association signs."""

from __future__ import annotations

from idtone.core.documents import parse

from .model import NeverOriginatesDocument, RegistryDocument, SuspensionsDocument
from .validation_rules import never_originates_faults, signed_faults, suspension_faults


def parse_registry(text: str, name: str) -> RegistryDocument:
    """The registry in a text. Raises DocumentError with every fault; `name` is the file name in the faults."""
    return parse(text, name, RegistryDocument, signed_faults)


def parse_suspensions(text: str, name: str) -> SuspensionsDocument:
    """The same as `parse_registry`, for suspensions."""
    return parse(text, name, SuspensionsDocument, suspension_faults)


def parse_never_originates(text: str, name: str) -> NeverOriginatesDocument:
    """The same as `parse_registry`, for numbers that never originate."""
    return parse(text, name, NeverOriginatesDocument, never_originates_faults)
