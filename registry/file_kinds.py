"""The registry's two files by role: how each is parsed, and how two editions of it are compared. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from .differences import registry_differences, suspension_differences
from .parsers import parse_registry, parse_suspensions
from .trust import tuf_roles


@dataclass(frozen=True, slots=True)
class Kind:
    """`head` returns the part of a document with the fields `stamp`, which differ in each edition; `lists` names its
    lists.
    """

    parse: Callable[[str, str], Any]
    differences: Callable[[Any, Any], Iterable[str]]
    head: Callable[[Any], Any]
    stamp: tuple[str, ...]
    lists: tuple[str, ...]


KINDS: Final = {
    tuf_roles.REGISTRY: Kind(
        parse_registry, registry_differences, lambda document: document.registry, ("version", "issued"),
        ("tones", "members", "chains", "evaluations"),
    ),
    tuf_roles.SUSPENSIONS: Kind(
        parse_suspensions, suspension_differences, lambda document: document, ("issued",), ("suspensions",)
    ),
}  # fmt: skip
