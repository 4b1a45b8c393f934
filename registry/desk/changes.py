"""What the desk can do to the two files: each verb takes the text and gives the changed text. Pure.

What cannot be is a UsageError, with what to do instead; whether the whole still is a registry is told by reading it
again (`registry_after`, `suspensions_after`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from idtone.calls import LicenceStatus
from idtone.documents import Location
from idtone.errors import UsageError
from idtone.numbers import Number, parse_japanese

from ..model import LicenceEntry, Member, RegistryDocument, SuspensionsDocument
from ..notation import Span, read_single, read_span
from . import editing
from .applications import Application
from .editing import Tree

_NUMBERED: Final = re.compile(r"L-(\d{1,9})")


def stamped(text: str, version: int, issued: datetime) -> str:
    """A registry as a new edition."""
    text = editing.replaced(text, ("registry", "version"), version)
    return editing.replaced(text, ("registry", "issued"), issued)


def prolonged(text: str, until: datetime) -> str:
    """The registry itself counts until then."""
    return editing.replaced(text, ("registry", "expires"), until)


def granted(text: str, document: RegistryDocument, application: Application, start: datetime, until: datetime) -> str:
    """The licences and numbers that an application asks for; a new member where it is one."""
    tones = {tone.id for tone in document.tones}
    for asked in application.licences:
        if asked.tone not in tones:
            raise UsageError(f"the registry has no tone {asked.tone!r}; add it to `tones` first")
    ids = _free_ids(document)
    licences: list[Tree] = [
        {
            "id": next(ids), "tone": asked.tone, "status": LicenceStatus.ACTIVE.value,
            "valid": {"from": start, "until": until}, "directions": sorted(asked.directions),
        }
        for asked in application.licences
    ]  # fmt: skip
    at = next((m for m, member in enumerate(document.members) if member.id == application.member.id), None)
    name: Tree = {"ja": application.member.name.ja, "en": application.member.name.en}
    pledge: Tree = {"signed": application.pledge.signed}
    numbers: list[Tree] = list(application.numbers)
    if at is None:
        member: Tree = {
            "id": application.member.id, "name": name, "pledge": pledge, "licences": licences, "numbers": numbers
        }  # fmt: skip
        return editing.appended(text, ("members",), [member])
    known = document.members[at]
    if known.name != application.member.name:
        raise UsageError(
            f"member {known.id} has another name in the registry; correct the id, or the name in one of the two"
        )
    here: Location = ("members", at)
    if known.pledge is None:
        text = editing.added(text, here, "pledge", pledge)
    text = _more(text, here, "licences", licences)
    return _more(text, here, "numbers", numbers)


def renewed(text: str, document: RegistryDocument, licence: str, until: datetime) -> str:
    """A licence for longer. One that was revoked is granted anew instead."""
    location, entry = _licence(document, licence)
    if entry.status is LicenceStatus.REVOKED:
        raise UsageError(f"licence {licence} was revoked; grant another one")
    if until <= entry.valid.until:
        raise UsageError(f"licence {licence} counts until {entry.valid.until.isoformat()} already; name a later day")
    return editing.replaced(text, (*location, "valid", "until"), until)


_FROM: Final = {
    LicenceStatus.SUSPENDED: (LicenceStatus.ACTIVE,),
    LicenceStatus.ACTIVE: (LicenceStatus.SUSPENDED,),
    LicenceStatus.REVOKED: (LicenceStatus.ACTIVE, LicenceStatus.SUSPENDED),
}
"""Status → the ones that it can follow. Nothing follows a revocation."""


def with_status(text: str, document: RegistryDocument, licence: str, status: LicenceStatus) -> str:
    """A licence that is suspended, active again, or revoked."""
    location, entry = _licence(document, licence)
    if entry.status not in _FROM[status]:
        raise UsageError(f"licence {licence} is {entry.status}, and cannot become {status}")
    return editing.replaced(text, (*location, "status"), status.value)


def assigned(text: str, document: RegistryDocument, member: str, entries: Sequence[str]) -> str:
    """More numbers for a member, in the three ways of the registry."""
    at, _ = _member(document, member)
    for entry in entries:
        read_span(entry)
    return _more(text, ("members", at), "numbers", list(entries))


def released(text: str, document: RegistryDocument, member: str, entries: Iterable[str]) -> str:
    """Without some numbers of a member; what is left of a range that they lay in stays, as one or two ranges."""
    at, held = _member(document, member)
    location: Location = ("members", at, "numbers")
    left: list[tuple[int | None, Span]] = [(n, read_span(entry)) for n, entry in enumerate(held.numbers)]
    for gone in map(read_span, entries):
        if not _covers((span for _, span in left), gone):
            raise UsageError(f"member {member} does not hold all of {parse_japanese(f'+{gone.first}')} …; look it up")
        left = [piece for old in left for piece in _without(old, gone)]
    kept = {n for n, _ in left if n is not None}
    for n in reversed(range(len(held.numbers))):
        if n not in kept:
            text = editing.removed(text, (*location, n))
    more: list[Tree] = [_written(span) for n, span in left if n is None]
    return editing.appended(text, location, more) if more else text


def suspended(
    text: str, document: SuspensionsDocument, number: Number, since: datetime, reference: str, issued: datetime
) -> str:
    """A number that the police had stopped (番号停止)."""
    if _suspension(document, number) is not None:
        raise UsageError(f"{number} is suspended already; `idtone registry history` says since when")
    item: Tree = {"number": _national(number), "since": since, "reference": reference}
    text = _more(text, (), "suspensions", [item])
    return editing.replaced(text, ("issued",), issued)


def lifted(text: str, document: SuspensionsDocument, number: Number, issued: datetime) -> str:
    """A number that is stopped no more."""
    at = _suspension(document, number)
    if at is None:
        raise UsageError(f"{number} is not suspended; look at suspensions.yaml")
    return editing.replaced(editing.removed(text, ("suspensions", at)), ("issued",), issued)


# -- looking up -------------------------------------------------------------------------------------------------------


def _licence(document: RegistryDocument, licence: str) -> tuple[Location, LicenceEntry]:
    for m, member in enumerate(document.members):
        for n, entry in enumerate(member.licences):
            if entry.id == licence:
                return ("members", m, "licences", n), entry
    raise UsageError(f"the registry has no licence {licence!r}; `idtone registry show` lists them")


def _member(document: RegistryDocument, member: str) -> tuple[int, Member]:
    for m, entry in enumerate(document.members):
        if entry.id == member:
            return m, entry
    raise UsageError(f"the registry has no member {member!r}; `idtone registry show` lists them")


def _suspension(document: SuspensionsDocument, number: Number) -> int | None:
    wanted = int(number.e164)
    return next((n for n, entry in enumerate(document.suspensions) if read_single(entry.number) == wanted), None)


def _free_ids(document: RegistryDocument) -> Iterator[str]:
    """L-0008 after L-0007. One that was used once is not used again as long as it stands in the registry."""
    used = [_NUMBERED.fullmatch(licence.id) for member in document.members for licence in member.licences]
    highest = max((int(found[1]) for found in used if found), default=0)
    while True:
        highest += 1
        yield f"L-{highest:04}"


def _more(text: str, location: Location, key: str, items: Sequence[Tree]) -> str:
    if not items:
        return text
    if editing.has(text, (*location, key)):
        return editing.appended(text, (*location, key), items)
    return editing.added(text, location, key, items)


# -- numbers ----------------------------------------------------------------------------------------------------------


def _covers(spans: Iterable[Span], wanted: Span) -> bool:
    reached = wanted.first
    for span in sorted(spans, key=lambda span: span.first):
        if span.first <= reached <= span.last:
            reached = span.last + 1
    return reached > wanted.last


def _without(piece: tuple[int | None, Span], gone: Span) -> list[tuple[int | None, Span]]:
    """What is left of an entry: itself, or what lies on both sides as entries that are new (None)."""
    _, span = piece
    if gone.last < span.first or span.last < gone.first:
        return [piece]
    sides = ((span.first, gone.first - 1), (gone.last + 1, span.last))
    return [(None, Span(first, last)) for first, last in sides if first <= last]


def _written(span: Span) -> str:
    first, last = (_national(parse_japanese(f"+{end}")) for end in (span.first, span.last))
    return first if len(span) == 1 else f"{first}-{last}"


def _national(number: Number) -> str:
    return f"0{number.e164[3:]}"
