"""Validation rules for registry values that depend on each other. Each rule yields located faults.

The faults contain no telephone numbers, because the location in the file identifies them.
"""

import difflib
from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import Final

from idtone.core.errors import NumberError
from idtone.core.number_spans import NumberSpan
from idtone.core.translation import Message, template
from idtone.core.yaml_documents import Location, ValidationFault, field_name

from .member_numbers import MemberNumbers, number_fault
from .model import (
    Certification,
    ChainEntry,
    Member,
    NeverOriginatesDocument,
    Pledge,
    RegistryDocument,
    SuspensionKind,
    SuspensionsDocument,
)
from .named_logs import named_logs_faults
from .never_originating import span_of
from .number_notation import read_span
from .stopping_conditions import condition_faults
from .suspended_numbers import scope_of

_Placed = Iterable[tuple[Location, Hashable]]


def registry_faults(document: RegistryDocument, held: MemberNumbers | None = None) -> Iterator[ValidationFault]:
    """All faults in registry values that depend on each other.

    If the document was read without its members' numbers, `held` contains them.
    """
    for rule in (_dates, _tones, _ids):
        yield from rule(document)
    held = held or MemberNumbers.of(document)
    yield from _numbers(document, held)
    yield from _portings(document, held)
    yield from _chains(document, held)
    yield from condition_faults(document)
    yield from _evaluations(document, held)
    yield from _suspensions(document)
    yield from _suspended_members(document, held)
    yield from _never_originates(document)
    yield from named_logs_faults(document)


def _dates(document: RegistryDocument) -> Iterator[ValidationFault]:
    header = document.registry
    if header.expires <= header.issued:
        yield ValidationFault(
            ("registry", "expires"), Message("is not after `issued`"), Message("Correct one of the two dates")
        )
    yield from member_faults(document.members)


def member_faults(members: Iterable[Member]) -> Iterator[ValidationFault]:
    """Faults within each member."""
    for m, member in enumerate(members):
        yield from pledge_faults(("members", m, "pledge"), member.pledge)
        yield from certification_faults(("members", m, "certification"), member.certification)
        for n, licence in enumerate(member.licences):
            if licence.valid.until <= licence.valid.start:
                yield ValidationFault(
                    ("members", m, "licences", n, "valid", "until"),
                    Message("is not after `from`"),
                    Message("Correct one of the two dates"),
                )


def pledge_faults(location: Location, pledge: Pledge | None) -> Iterator[ValidationFault]:
    """Faults in a pledge at `location`."""
    if pledge and pledge.until and pledge.until <= pledge.signed:
        yield ValidationFault(
            (*location, "until"), Message("is not after `signed`"), Message("Correct one of the two dates")
        )


_NO_PROOF: Final = ("登記", "履歴事項", "現在事項", "register")
"""Words for an extract from the commercial register, which proves that a company exists but not its certification."""


def certification_faults(location: Location, certification: Certification | None) -> Iterator[ValidationFault]:
    """Faults in a certification at `location`."""
    if certification is None:
        return
    if (certification.mark is None) != (certification.mark_until is None):
        missing = "mark" if certification.mark is None else "mark_until"
        yield ValidationFault(
            (*location, missing), Message("is missing"), Message("Write `mark` and `mark_until`, or neither of them")
        )
    if any(words in certification.document.casefold() for words in _NO_PROOF):
        yield ValidationFault(
            (*location, "document"),
            Message("is an extract of the commercial register, which proves no certification"),
            Message("Name the notice of the certification (認定通知書), with its date or number"),
        )


def _tones(document: RegistryDocument) -> Iterator[ValidationFault]:
    known = [tone.id for tone in document.tones]
    for m, member in enumerate(document.members):
        for n, licence in enumerate(member.licences):
            if licence.tone in known:
                continue
            near = difflib.get_close_matches(licence.tone, known, 1)
            if near:
                hint = Message("Did you mean {name!r}", name=near[0])
            else:
                hint = Message("Known here: {names}", names=", ".join(known) or "none")
            yield ValidationFault(
                ("members", m, "licences", n, "tone"),
                Message("names the tone {tone!r}, which is not in `tones`", tone=licence.tone),
                hint,
            )


def _ids(document: RegistryDocument) -> Iterator[ValidationFault]:
    tones: _Placed = ((("tones", t, "id"), tone.id) for t, tone in enumerate(document.tones))
    members: _Placed = ((("members", m, "id"), member.id) for m, member in enumerate(document.members))
    licences: _Placed = (
        (("members", m, "licences", n, "id"), licence.id)
        for m, member in enumerate(document.members)
        for n, licence in enumerate(member.licences)
    )
    for kind in (tones, members, licences):
        for location, first in _twice(kind):
            yield ValidationFault(
                location,
                Message("is the same id as {field}", field=field_name(first)),
                Message("Give each entry its own id"),
            )


def _evaluations(document: RegistryDocument, held: MemberNumbers) -> Iterator[ValidationFault]:
    members, seen = held.positions, set[str]()
    for n, entry in enumerate(document.evaluations):
        if entry.member not in members or entry.member in seen:
            yield ValidationFault(
                ("evaluations", n, "member"),
                Message("is no member of the registry, or is evaluated twice"),
                Message("Evaluate again, or remove the entry"),
            )
        seen.add(entry.member)
        for name, start, until in (
            ("period", entry.period.start, entry.period.until),
            ("valid", entry.valid.start, entry.valid.until),
        ):
            if until <= start:
                yield ValidationFault(
                    ("evaluations", n, name, "until"),
                    Message("is not after `from`"),
                    Message("Correct one of the two dates"),
                )


def suspension_faults(document: SuspensionsDocument) -> Iterator[ValidationFault]:
    """All faults in a list of suspensions."""
    yield from _suspensions(document)


def never_originates_faults(document: NeverOriginatesDocument) -> Iterator[ValidationFault]:
    """All faults in a list of numbers that never originate calls."""
    yield from _never_originates(document)


def signed_faults(document: RegistryDocument, held: MemberNumbers | None = None) -> Iterator[ValidationFault]:
    """All faults in a registry that is going to be signed.

    Suspensions and numbers that never originate calls must be in separate files. If the document was read without its
    members' numbers, `held` contains them.
    """
    if document.never_originates is not None:
        yield ValidationFault(
            ("never_originates",),
            Message("belong in never-originates.yaml, which is signed separately"),
            Message("Move them there"),
        )
    if document.suspensions:
        yield ValidationFault(
            ("suspensions",),
            Message("belong in suspensions.yaml, which is signed separately"),
            Message("Move them there"),
        )
    yield from registry_faults(document, held)


def _suspensions(document: RegistryDocument | SuspensionsDocument) -> Iterator[ValidationFault]:
    read: list[tuple[Location, Hashable]] = []
    for s, entry in enumerate(document.suspensions):
        here: Location = ("suspensions", s)
        named = [name for name in _SAME if getattr(entry, name) is not None]
        if len(named) != 1:
            yield ValidationFault(
                here,
                Message("names {count} of `number`, `numbers` and `member`", count=len(named)),
                Message("Write exactly one of the three"),
            )
            continue
        if entry.until is not None and entry.until <= entry.since:
            yield ValidationFault(
                (*here, "until"), Message("is not after `since`"), Message("Correct one of the two dates")
            )
        if entry.kind is SuspensionKind.NO_NEW_NUMBERS and entry.member is None:
            yield ValidationFault(
                (*here, "kind"),
                Message("is about a member, but the entry names numbers"),
                Message("Name the member, or remove `kind`"),
            )
        location: Location = (*here, named[0])
        try:
            read.append((location, (entry.kind, scope_of(entry))))
        except NumberError as error:
            yield number_fault(location, error)
    for place, first in _twice(read):
        problem = _SAME[str(place[-1])]
        yield ValidationFault(place, Message(problem, field=field_name(first)), Message("Keep one of the two"))


_SAME: Final = {
    "number": template("is the same number as {field}"),
    "numbers": template("is the same range as {field}"),
    "member": template("is the same member as {field}"),
}
"""Key of an entry → the fault if two entries have the same value for this key."""


def _never_originates(document: RegistryDocument | NeverOriginatesDocument) -> Iterator[ValidationFault]:
    read: list[tuple[Location, Hashable]] = []
    for n, entry in enumerate(document.never_originates or ()):
        here: Location = ("never_originates", n)
        if (entry.number is None) == (entry.numbers is None):
            yield ValidationFault(
                here, Message("does not name one of `number` and `numbers`"), Message("Write exactly one of the two")
            )
            continue
        if entry.until is not None and entry.until <= entry.since:
            yield ValidationFault(
                (*here, "until"), Message("is not after `since`"), Message("Correct one of the two dates")
            )
        location: Location = (*here, "number" if entry.numbers is None else "numbers")
        try:
            read.append((location, span_of(entry)))
        except NumberError as error:
            yield number_fault(location, error)
    for place, first in _twice(read):
        yield ValidationFault(
            place, Message(_SAME[str(place[-1])], field=field_name(first)), Message("Keep one of the two")
        )


def _suspended_members(document: RegistryDocument, held: MemberNumbers) -> Iterator[ValidationFault]:
    known = held.positions
    for s, entry in enumerate(document.suspensions):
        if entry.member is not None and entry.member not in known:
            yield ValidationFault(
                ("suspensions", s, "member"),
                Message("names the member {member!r}, which is not in `members`", member=entry.member),
                Message("Correct the id, or add the member"),
            )


def _twice(placed: _Placed) -> Iterator[tuple[Location, Location]]:
    """Location of each repeated value, with the location of its first occurrence."""
    seen: dict[Hashable, Location] = {}
    for location, value in placed:
        first = seen.setdefault(value, location)
        if first != location:
            yield location, first


def _numbers(document: RegistryDocument, held: MemberNumbers) -> Iterator[ValidationFault]:
    """Faults for numbers that are unreadable or entered twice.

    A number belongs to one member. A member's entry may lie inside a wider one, but two equal or partly overlapping
    entries are a mistake.

    The entries are sorted by first number, and each is compared with the earlier entry that has the largest last
    number: O(n log n). A group of wrongly overlapping entries gets one fault rather than one for each pair.
    """
    yield from held.unreadable
    firsts, lasts, members, entries = held.firsts, held.lasts, held.members, held.entries
    order = held.ascending()
    furthest = before = next(order, 0)
    for at in order:
        equal = firsts[before] == firsts[at] and lasts[before] == lasts[at]
        rival = before if equal else furthest
        inside = firsts[rival] == firsts[at] or lasts[at] <= lasts[rival]
        one_member = members[rival] == members[at]
        if firsts[at] <= lasts[rival] and not (one_member and inside and not equal):
            earlier, later = sorted((at, rival))  # positions are in reading order
            place: Location = ("members", members[later], "numbers", entries[later])
            other: Location = ("members", members[earlier], "numbers", entries[earlier])
            if equal:
                problem = template("is the same as {field} of member {member}")
            else:
                problem = template("overlaps {field} of member {member}")
            yield ValidationFault(
                place,
                Message(problem, field=field_name(other), member=held.ids[members[earlier]]),
                Message("Remove one of the two")
                if one_member
                else Message("Keep each number only with the one member who holds it"),
            )
        before = at
        if lasts[at] > lasts[furthest]:
            furthest = at


def _chains(document: RegistryDocument, held: MemberNumbers) -> Iterator[ValidationFault]:
    """Faults in the members, links and numbers of wholesale chains.

    A number belongs to one chain. All numbers of a chain belong to its first member.
    """
    known = held.positions
    spans: list[tuple[NumberSpan, Location]] = []
    for c, chain in enumerate(document.chains):
        here: Location = ("chains", c)
        yield from _links((*here, "links"), chain, known)
        try:
            span = read_span(chain.numbers)
        except NumberError as error:
            yield number_fault((*here, "numbers"), error)
            continue
        spans.append((span, (*here, "numbers")))
        if chain.links[0].wholesaler in known and not held.is_held_by(chain.links[0].wholesaler, span):
            yield ValidationFault(
                (*here, "numbers"),
                Message(
                    "has numbers that {member}, with which its chain begins, does not hold",
                    member=chain.links[0].wholesaler,
                ),
                Message("Begin the chain with the member that holds the numbers, or correct them"),
            )
    yield from _overlapping(spans, Message("Enter each number in one chain only"))


def _portings(document: RegistryDocument, held: MemberNumbers) -> Iterator[ValidationFault]:
    """Faults in the portings between two members.

    One of the members must have the numbers in its ranges, and a number may be in only one porting.
    """
    known = held.positions
    spans: list[tuple[NumberSpan, Location]] = []
    ported: list[tuple[tuple[str, str], NumberSpan]] = []
    for h, entry in enumerate(document.portings):
        here: Location = ("portings", h)
        members = entry.giver, entry.taker
        unknown = [(key, name) for key, name in zip(("from", "to"), members, strict=True) if name not in known]
        yield from (_unknown_member((*here, key), name, known) for key, name in unknown)
        if entry.giver == entry.taker:
            yield ValidationFault(
                (*here, "to"), Message("is the member that hands them over"), Message("Name the member that gets them")
            )
        try:
            span = read_span(entry.numbers)
        except NumberError as error:
            yield number_fault((*here, "numbers"), error)
            continue
        spans.append((span, (*here, "numbers")))
        if not unknown and not any(held.is_held_by(member, span) for member in members):
            yield ValidationFault(
                (*here, "numbers"),
                Message(
                    "has numbers that are neither all in the ranges of {giver} nor all in those of {taker}",
                    giver=entry.giver,
                    taker=entry.taker,
                ),
                Message("Enter them with the member that holds them now, or correct them"),
            )
        ported.append((members, span))
    yield from _overlapping(spans, Message("Enter each number in one porting only"))
    for members, span in ported:
        held.add_porting(members, span)


def _overlapping(spans: list[tuple[NumberSpan, Location]], remedy: str) -> Iterator[ValidationFault]:
    """Faults for spans that share numbers with another span."""
    spans.sort(key=lambda placed: placed[0].first)
    reached, other = 0, None
    for span, place in spans:
        if other and span.first <= reached:
            later, earlier = sorted((place, other), reverse=True)
            yield ValidationFault(later, Message("overlaps {field}", field=field_name(earlier)), remedy)
        if span.last > reached:
            reached, other = span.last, place


def _links(place: Location, chain: ChainEntry, known: Collection[str]) -> Iterator[ValidationFault]:
    """Faults in a chain's links.

    Each link must begin where the previous link ends, no member may be in the chain twice, and a member above the
    reseller must check it.
    """
    above: list[str] = []
    before: str | None = None
    for n, link in enumerate(chain.links):
        here: Location = (*place, n)
        yield from certification_faults((*here, "certification"), link.certification)
        named: list[tuple[Location, str]] = [(("from",), link.wholesaler), (("to",), link.reseller)]
        named += [(("checked", "by"), link.checked.by)] if link.checked else []
        yield from (_unknown_member((*here, *key), name, known) for key, name in named if name not in known)
        if before is not None and link.wholesaler != before:
            yield ValidationFault(
                (*here, "from"),
                Message(
                    "is {member}, but the link before it ends with {before}", member=link.wholesaler, before=before
                ),
                Message("Write the links in the order in which the numbers were handed on"),
            )
        above.append(link.wholesaler)
        if link.reseller in above:
            yield ValidationFault(
                (*here, "to"),
                Message("is {member}, which is in the chain already", member=link.reseller),
                Message("Remove the links of the circle"),
            )
        if link.checked and link.checked.by in known and link.checked.by not in above:
            yield ValidationFault(
                (*here, "checked", "by"),
                Message("is {member}, which is not above {reseller}", member=link.checked.by, reseller=link.reseller),
                Message("Name the wholesaler, or a member before it in the chain"),
            )
        before = link.reseller


def _unknown_member(place: Location, name: str, known: Collection[str]) -> ValidationFault:
    near = difflib.get_close_matches(name, known, 1)
    return ValidationFault(
        place,
        Message("names the member {member!r}, which is not in `members`", member=name),
        Message("Did you mean {name!r}", name=near[0])
        if near
        else Message("Enter the member first, or correct the id"),
    )
