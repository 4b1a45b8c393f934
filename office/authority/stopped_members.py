"""Finds members whose numbers are all suspended. The public list leaves these members out, and they get no
grade. Pure.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from idtone.core.errors import NumberError
from idtone.core.number_spans import NumberSpan
from idtone.registry.model import Member, RegistryDocument, SuspensionEntry, SuspensionsDocument
from idtone.registry.number_notation import read_span
from idtone.registry.suspended_numbers import scope_of, stops


def stopped_members(members: Iterable[Member], suspensions: SuspensionsDocument, at: datetime) -> frozenset[str]:
    """The ids of the members that are suspended as a whole, or in each of their numbers, at the time `at`."""
    scopes = [_scope(entry) for entry in stops(suspensions.suspensions) if entry.in_force(at)]
    spans = [scope for scope in scopes if isinstance(scope, NumberSpan)]
    return frozenset(member.id for member in members if member.id in scopes or (spans and _is_covered(member, spans)))


def unlisted_members(registry: RegistryDocument, suspensions: SuspensionsDocument | None) -> frozenset[str]:
    """The ids of the members that the public list leaves out. They were stopped at the time when the later of the two
    documents was issued. This time is the same for every signer, and so is the list.
    """
    if suspensions is None:
        return frozenset()
    return stopped_members(registry.members, suspensions, max(registry.registry.issued, suspensions.issued))


def _scope(entry: SuspensionEntry) -> NumberSpan | str | None:
    """The scope of an entry; None for an invalid number. The rules of the file report such a number."""
    try:
        return scope_of(entry)
    except NumberError:
        return None


def _is_covered(member: Member, stopped: Collection[NumberSpan]) -> bool:
    """True if the member has numbers and all of them are in `stopped`."""
    for left in map(read_span, member.numbers):
        pieces = [left]
        for span in stopped:
            pieces = [rest for piece in pieces for rest in piece.without(span)]
        if pieces:
            return False
    return bool(member.numbers)
