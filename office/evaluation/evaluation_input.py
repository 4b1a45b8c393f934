"""What the office hands in about members for an evaluation, a YAML file: stops, forms, reports, contacts, assessors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field

from idtone.core.documents import Location, Model, ValidationFault, parse
from idtone.core.translation import Message
from idtone.member.evaluation.measures import Share
from idtone.member.evaluation.period import Period
from idtone.registry.model import Day, Days, Id, Moment, Text

Count = Annotated[int, Field(ge=0, le=10_000_000)]


class Stop(Model):
    """A number that the member was asked to stop, and when it was stopped. The number itself is not here."""

    reference: Text
    asked: Moment
    stopped: Moment


class Forms(Model):
    asked: Count
    complete: Count


class Reports(Model):
    asked: Count
    in_time: Count


class Reachability(Model):
    tried: Count
    reached: Count


class AssessorPoints(Model):
    """What an external assessor (外部評価者) gave. The name stays with the office: it is not published."""

    assessor: Text
    day: Day
    points: Annotated[Decimal, Field(ge=0, le=10, decimal_places=1)]


class Assessment(Model):
    """The assessment of one member in the period."""

    member: Id
    stops: tuple[Stop, ...] = ()
    forms: Forms | None = None
    reports: Reports | None = None
    reachability: Reachability | None = None
    assessors: tuple[AssessorPoints, ...] = ()

    def stops_hours(self, known: Iterable[str] = ()) -> list[Fraction]:
        """The hours of the stops whose references are not known from elsewhere."""
        others = set(known)
        return [
            Fraction((each.stopped - each.asked).total_seconds()) / 3600
            for each in self.stops
            if each.reference not in others
        ]

    def share(self, name: str) -> Share:
        """The share of `forms`, `reports` or `reachability`."""
        found: Any = getattr(self, name)
        if found is None:
            return Share(0, 0)
        asked, good = found.model_dump().values()
        return Share(good, asked)


class AssessmentsDocument(Model):
    """The whole file."""

    period: Days
    members: tuple[Assessment, ...] = ()

    @property
    def span(self) -> Period:
        return Period(self.period.start, self.period.until)


def parse_assessments(text: str, name: str, members: Iterable[str], period: Period) -> Mapping[str, Assessment]:
    """The assessments by member; `name` is the file's name. Raises DocumentError with every fault; the text must be of
    this period, and of these members.
    """
    known = set(members)

    def faults(document: AssessmentsDocument) -> Iterator[ValidationFault]:
        if document.span != period:
            yield ValidationFault(
                ("period",),
                Message("is not {period}", period=str(period)),
                Message("Name the file of the period that you evaluate"),
            )
        yield from _faults(document, known)

    return {each.member: each for each in parse(text, name, AssessmentsDocument, faults).members}


def _faults(document: AssessmentsDocument, known: set[str]) -> Iterator[ValidationFault]:
    seen: set[str] = set()
    for m, each in enumerate(document.members):
        here: Location = ("members", m)
        if each.member not in known or each.member in seen:
            yield ValidationFault(
                (*here, "member"), Message("is no member of the registry, or is there twice"), Message("Correct the id")
            )
        seen.add(each.member)
        for n, stop in enumerate(each.stops):
            if stop.stopped < stop.asked:
                yield ValidationFault(
                    (*here, "stops", n, "stopped"), Message("is before `asked`"), Message("Correct one of the two")
                )
            if not document.span.begins <= stop.asked < document.span.ends:
                yield _outside((*here, "stops", n, "asked"))
        for n, points in enumerate(each.assessors):
            if points.day < document.span.start:
                yield _outside((*here, "assessors", n, "day"))
        for name in ("forms", "reports", "reachability"):
            share = each.share(name)
            if share.part > share.of:
                yield ValidationFault(
                    (*here, name), Message("has more good ones than there were"), Message("Correct one of the two")
                )


def _outside(location: Location) -> ValidationFault:
    return ValidationFault(
        location, Message("is not in the period"), Message("Evaluate it in the period to which it belongs")
    )
