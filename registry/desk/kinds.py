"""The registry's two files by role: how each is read, and what is told of two editions of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from ..signed import parse_registry, parse_suspensions
from ..trust import layout
from .differences import registry_differences, suspension_differences


@dataclass(frozen=True, slots=True)
class Kind:
    """`head` is where the fields `stamp` stand that tell one edition from another; `lists` is what the file is for."""

    parse: Callable[[str, str], Any]
    differences: Callable[[Any, Any], Iterable[str]]
    head: Callable[[Any], Any]
    stamp: tuple[str, ...]
    lists: tuple[str, ...]


KINDS: Final = {
    layout.REGISTRY: Kind(
        parse_registry, registry_differences, lambda document: document.registry, ("version", "issued"),
        ("tones", "members"),
    ),
    layout.SUSPENSIONS: Kind(
        parse_suspensions, suspension_differences, lambda document: document, ("issued",), ("suspensions",)
    ),
}  # fmt: skip
