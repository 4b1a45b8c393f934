"""What must hold across the values of a registry. Pure; every breach is named, not the first alone."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from itertools import chain

from idtone.documents import Complaint, Location, field_name
from idtone.errors import NumberError
from idtone.numbers import parse_japanese

from .model import RegistryFile
from .spans import Span, read_span


def complaints(file: RegistryFile) -> list[Complaint]:
    """Everything that is wrong with the registry as a whole."""
    return list(chain(_dates(file), _identifiers(file), _tones(file), _numbers(file), _suspensions(file)))


def _dates(file: RegistryFile) -> Iterator[Complaint]:
    head = file.registry
    if head.expires <= head.issued:
        yield Complaint(("registry", "expires"), "is not after issued", "Correct one of the two dates")
    for m, member in enumerate(file.members):
        for n, licence in enumerate(member.licences):
            if licence.valid.until <= licence.valid.from_:
                yield Complaint(
                    ("members", m, "licences", n, "valid", "until"), "is not after from", "Correct one of the two dates"
                )


def _identifiers(file: RegistryFile) -> Iterator[Complaint]:
    yield from _twice((("tones", n, "id"), tone.id) for n, tone in enumerate(file.tones))
    yield from _twice((("members", m, "id"), member.id) for m, member in enumerate(file.members))
    yield from _twice(
        (("members", m, "licences", n, "id"), licence.id)
        for m, member in enumerate(file.members)
        for n, licence in enumerate(member.licences)
    )


def _twice(named: Iterable[tuple[Location, str]]) -> Iterator[Complaint]:
    first: dict[str, Location] = {}
    for location, identifier in named:
        earlier = first.setdefault(identifier, location)
        if earlier != location:
            yield Complaint(
                location, f"{identifier!r} stands at {field_name(earlier)} already", "Give it one of its own"
            )


def _tones(file: RegistryFile) -> Iterator[Complaint]:
    known = [tone.id for tone in file.tones]
    for m, member in enumerate(file.members):
        for n, licence in enumerate(member.licences):
            if licence.tone not in known:
                near = difflib.get_close_matches(licence.tone, known, 1)
                remedy = f"Did you mean {near[0]!r}" if near else "Add it under tones, or name one that stands there"
                yield Complaint(("members", m, "licences", n, "tone"), f"{licence.tone!r} is not under tones", remedy)


def _numbers(file: RegistryFile) -> Iterator[Complaint]:
    spans: list[tuple[Span, Location, str]] = []
    for m, member in enumerate(file.members):
        for n, text in enumerate(member.numbers):
            location: Location = ("members", m, "numbers", n)
            try:
                spans.append((read_span(text), location, member.id))
            except NumberError as error:
                problem, _, remedy = str(error).partition(". ")
                yield Complaint(location, problem, remedy)
    yield from _overlaps(spans)


def _overlaps(spans: list[tuple[Span, Location, str]]) -> Iterator[Complaint]:
    """Sorted by their beginning, an overlap is one with the span that reaches farthest so far."""
    spans.sort(key=lambda entry: entry[0])
    for index in range(1, len(spans)):
        farthest = spans[index - 1]
        span, location, owner = spans[index]
        if span.first <= farthest[0].last:
            whose = "the same member's" if owner == farthest[2] else f"member {farthest[2]!r}'s"
            yield Complaint(
                location,
                f"overlaps {whose} {field_name(farthest[1])}",
                "A number belongs to one entry of one member; take it out of one of the two",
            )
        if farthest[0].last > span.last:
            spans[index] = farthest


def _suspensions(file: RegistryFile) -> Iterator[Complaint]:
    first: dict[str, Location] = {}
    for n, suspension in enumerate(file.suspensions):
        location: Location = ("suspensions", n, "number")
        try:
            number = parse_japanese(suspension.number).e164
        except NumberError as error:
            problem, _, remedy = str(error).partition(". ")
            yield Complaint(location, problem, remedy)
            continue
        earlier = first.setdefault(number, location)
        if earlier != location:
            yield Complaint(location, f"is suspended at {field_name(earlier)} already", "Keep the earlier of the two")
