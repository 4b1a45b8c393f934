"""What must hold between the values of a registry. Pure; each rule yields its complaints with their places.

No complaint carries a telephone number: the place in the file says which one is meant.
"""

from __future__ import annotations

import difflib
from array import array
from collections.abc import Hashable, Iterable, Iterator

from idtone.documents import Complaint, Location, field_name
from idtone.errors import NumberError

from .model import RegistryDocument
from .notation import read_single, read_span


def complaints(document: RegistryDocument) -> Iterator[Complaint]:
    """Every fault between the values of `document`."""
    for rule in (_dates, _tones, _ids, _numbers, _suspensions):
        yield from rule(document)


def _dates(document: RegistryDocument) -> Iterator[Complaint]:
    header = document.registry
    if header.expires <= header.issued:
        yield Complaint(("registry", "expires"), "is not after `issued`", "Correct one of the two dates")
    for m, member in enumerate(document.members):
        for n, licence in enumerate(member.licences):
            if licence.valid.until <= licence.valid.start:
                yield Complaint(
                    ("members", m, "licences", n, "valid", "until"),
                    "is not after `from`",
                    "Correct one of the two dates",
                )


def _tones(document: RegistryDocument) -> Iterator[Complaint]:
    known = [tone.id for tone in document.tones]
    for m, member in enumerate(document.members):
        for n, licence in enumerate(member.licences):
            if licence.tone in known:
                continue
            near = difflib.get_close_matches(licence.tone, known, 1)
            hint = f"Did you mean {near[0]!r}" if near else f"Known here: {', '.join(known) or 'none'}"
            yield Complaint(
                ("members", m, "licences", n, "tone"), f"names the tone {licence.tone!r}, which is not in `tones`", hint
            )


def _ids(document: RegistryDocument) -> Iterator[Complaint]:
    tones = ((("tones", t, "id"), tone.id) for t, tone in enumerate(document.tones))
    members = ((("members", m, "id"), member.id) for m, member in enumerate(document.members))
    licences = (
        (("members", m, "licences", n, "id"), licence.id)
        for m, member in enumerate(document.members)
        for n, licence in enumerate(member.licences)
    )
    for kind in (tones, members, licences):
        for location, first in _twice(kind):
            yield Complaint(location, f"is the same id as {field_name(first)}", "Give each its own id")


def _suspensions(document: RegistryDocument) -> Iterator[Complaint]:
    read: list[tuple[Location, int]] = []
    for s, suspension in enumerate(document.suspensions):
        location = ("suspensions", s, "number")
        try:
            read.append((location, read_single(suspension.number)))
        except NumberError as error:
            yield _number_complaint(location, error)
    for location, first in _twice(read):
        yield Complaint(location, f"is the same number as {field_name(first)}", "Keep one of the two")


def _twice(placed: Iterable[tuple[Location, Hashable]]) -> Iterator[tuple[Location, Location]]:
    """The places of values that stood before, each with the place where the value stood first."""
    seen: dict[Hashable, Location] = {}
    for location, value in placed:
        first = seen.setdefault(value, location)
        if first != location:
            yield location, first


def _numbers(document: RegistryDocument) -> Iterator[Complaint]:
    """Numbers that cannot be read, and numbers that stand twice.

    Entries go through in the order of their first numbers, beside the one that has reached furthest
    so far: O(n log n). Arrays, since a million tuples would take 100 MB.
    """
    firsts, lasts, members, entries = array("q"), array("q"), array("l"), array("l")
    for m, member in enumerate(document.members):
        for e, text in enumerate(member.numbers):
            try:
                span = read_span(text)
            except NumberError as error:
                yield _number_complaint(("members", m, "numbers", e), error)
                continue
            firsts.append(span.first)
            lasts.append(span.last)
            members.append(m)
            entries.append(e)
    order = sorted(range(len(firsts)), key=firsts.__getitem__)
    furthest = order[0] if order else 0
    for at in order[1:]:
        if firsts[at] <= lasts[furthest]:
            earlier, later = sorted((at, furthest))  # places in reading order
            first: Location = ("members", members[earlier], "numbers", entries[earlier])
            second: Location = ("members", members[later], "numbers", entries[later])
            holder = document.members[members[earlier]].id
            remedy = (
                "Remove one of the two"
                if members[earlier] == members[later]
                else "Leave the numbers with the member who holds them; a number may stand in one member's ranges only"
            )
            yield Complaint(second, f"overlaps {field_name(first)} of member {holder}", remedy)
        if lasts[at] > lasts[furthest]:
            furthest = at


def _number_complaint(location: Location, error: NumberError) -> Complaint:
    problem, _, remedy = str(error).partition("; ")
    return Complaint(location, problem, remedy[:1].upper() + remedy[1:] or "Write a complete Japanese number")
