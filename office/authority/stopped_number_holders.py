"""Finds the members that hold the numbers an officer is about to suspend.

A mistyped number usually belongs to another member or to none, so the officer sees the holders first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import parse_japanese
from idtone.core.translation import Message, joined
from idtone.registry.index import RegistryIndex
from idtone.registry.model import RegistryDocument
from idtone.registry.number_notation import counted, read_span
from idtone.registry.parsers import parse_registry
from idtone.registry.trust import tuf_roles

from .change_registry import registry_of
from .workspace import Workspace


@dataclass(frozen=True, slots=True)
class NumberHolder:
    """A member and how many of the given numbers it holds."""

    member: str
    name: str
    numbers: int


def holders_of(workspace: Workspace, scope: NumberSpan | str, now: datetime) -> list[NumberHolder] | None:
    """Find the members that hold some of the numbers, including resellers of a wholesale chain.

    Returns None if no registry can be read, because that must not delay a suspension.
    """
    return _holders(_registry(workspace), scope, now)


def _holders(registry: RegistryDocument | None, scope: NumberSpan | str, now: datetime) -> list[NumberHolder] | None:
    if registry is None:
        return None
    if isinstance(scope, str):
        held = {
            scope: sum(
                len(read_span(each)) for member in registry.members if member.id == scope for each in member.numbers
            )
        }
    elif len(scope) == 1:
        holding = RegistryIndex(registry).holding(parse_japanese(f"+{scope.first}"), now)
        held = dict.fromkeys(holding.members if holding else (), 1)
    else:
        held = {}
        for member in registry.members:
            parts = (_common(read_span(each), scope) for each in member.numbers)
            if count := sum(parts):
                held[member.id] = count
    named = {member.id: member.name.ja for member in registry.members}
    return [NumberHolder(member, named[member], count) for member, count in held.items() if member in named]


def describe_holders(holders: Sequence[NumberHolder] | None) -> Message:
    """Describe the holders of the numbers in one line for the officers."""
    return holder_names(holders) if holders == [] else Message("holder: {holders}", holders=holder_names(holders))


def holder_names(holders: Sequence[NumberHolder] | None) -> Message:
    """Names of the holders for display next to a label."""
    if holders is None:
        return Message("not known, because no registry can be read")
    if not holders:
        return Message("NO MEMBER HOLDS THIS: compare it with the request again")
    said = (
        Message("{member} {name} ({count})", member=each.member, name=each.name, count=counted(each.numbers))
        for each in holders
    )
    return joined(", ", said)


def check_held(holders: list[NumberHolder] | None) -> None:
    """Check that a member holds the numbers. Raises UsageError if not, because a suspension would then have no effect.

    None (holders unknown) passes.
    """
    if holders == []:
        raise UsageError(
            "no member holds this number: compare it with the request again; if it is right, say --no-holder (on "
            "the page, tick the box), and tell the police that the stop has no effect"
        )


def _common(span: NumberSpan, scope: NumberSpan) -> int:
    return max(0, min(span.last, scope.last) - max(span.first, scope.first) + 1)


def _registry(workspace: Workspace) -> RegistryDocument | None:
    try:
        return registry_of(workspace)
    except IdtoneError:
        pass
    try:
        octets = workspace.repository.file_octets(tuf_roles.REGISTRY)
        return None if octets is None else parse_registry(octets.decode("utf-8-sig"), tuf_roles.REGISTRY_FILE)
    except (IdtoneError, UnicodeDecodeError):
        return None
