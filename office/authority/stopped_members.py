"""Finds members whose numbers are all suspended. They are left out of the public list and receive no grade."""

from collections.abc import Collection, Iterable
from datetime import datetime

from idtone.core.errors import NumberError
from idtone.core.number_spans import NumberSpan
from idtone.registry.model import Member, RegistryDocument, SuspensionEntry, SuspensionsDocument
from idtone.registry.number_notation import read_span
from idtone.registry.suspended_numbers import scope_of, stops


def stopped_members(members: Iterable[Member], suspensions: SuspensionsDocument, at: datetime) -> frozenset[str]:
    """Ids of the members that, at time `at`, are suspended as a whole or have all their numbers suspended."""
    scopes = [_scope(entry) for entry in stops(suspensions.suspensions) if entry.in_force(at)]
    spans = [scope for scope in scopes if isinstance(scope, NumberSpan)]
    return frozenset(member.id for member in members if member.id in scopes or (spans and _is_covered(member, spans)))


def unlisted_members(registry: RegistryDocument, suspensions: SuspensionsDocument | None) -> frozenset[str]:
    """Ids of the members left out of the public list because all their numbers are suspended.

    The later `issued` of the two documents is the relevant time, so every signer builds the same list.
    """
    if suspensions is None:
        return frozenset()
    return stopped_members(registry.members, suspensions, max(registry.registry.issued, suspensions.issued))


def _scope(entry: SuspensionEntry) -> NumberSpan | str | None:
    """Scope of an entry; None for an invalid number, which the file's rules report."""
    try:
        return scope_of(entry)
    except NumberError:
        return None


def _is_covered(member: Member, stopped: Collection[NumberSpan]) -> bool:
    for left in map(read_span, member.numbers):
        pieces = [left]
        for span in stopped:
            pieces = [rest for piece in pieces for rest in piece.without(span)]
        if pieces:
            return False
    return bool(member.numbers)
