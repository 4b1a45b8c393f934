"""Checks a form against the rules and lists faults by field."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any, Final

from idtone.core.japan_time import JAPAN
from idtone.core.translation import Message
from idtone.core.yaml_documents import Location, ValidationFault

from .customer_form import ROOT, UNASKED, Application, CustomerForm, IdentityDocument, Subject, Verification
from .form_rules import Demand, DocumentKind, FormRules, Method

_MONTH: Final = timedelta(days=31)


def faults(form: CustomerForm, rules: FormRules, today: date) -> Iterator[ValidationFault]:
    """Yield the form's faults under these rules. `today` is the date in Japan."""
    application = form.application
    for row in rules.required(application.kind, application.number_kinds()):
        for location in missing_locations(application, row.field):
            if row.instead is None or missing_locations(application, row.instead):
                yield _demanded(location, row, rules)
    yield from _unverified(application, rules)
    for number, verification in enumerate(application.verifications):
        yield from _verification((ROOT, "verifications", number), verification, application, rules, today)
    yield from _sites(application, rules, today)
    yield from _days(application, today)
    yield from _numbers(application)


def missing_locations(application: Application, path: str) -> list[Location]:
    """Locations where the field is empty. Those in missing groups are not included."""
    return [location for location, value in _values(application, path.split("."), (ROOT,)) if value in (None, ())]


def _values(value: Any, steps: list[str], location: Location) -> Iterator[tuple[Location, Any]]:
    if isinstance(value, tuple) and steps:
        for number, item in enumerate(value):
            yield from _values(item, steps, (*location, number))
    elif not steps:
        yield location, value
    elif value is not None:
        yield from _values(getattr(value, steps[0]), steps[1:], (*location, steps[0]))


def _demanded(location: Location, row: Demand, rules: FormRules) -> ValidationFault:
    return ValidationFault(
        location, Message("is missing"), Message("Add it: {demand} ({act})", demand=row.demand, act=rules.acts[row.act])
    )


def _unverified(application: Application, rules: FormRules) -> Iterator[ValidationFault]:
    done = {each.of for each in application.verifications}
    for row in rules.verified:
        is_there = row.of is Subject.CUSTOMER or application.agent is not None
        if application.kind in row.kinds and is_there and row.of not in done:
            yield ValidationFault(
                (ROOT, "verifications"),
                Message("has no verification of the {subject}", subject=row.of),
                Message("Add it: {demand} ({act})", demand=row.demand, act=rules.acts[row.act]),
            )


def _verification(
    place: Location, verification: Verification, application: Application, rules: FormRules, today: date
) -> Iterator[ValidationFault]:
    if verification.of is Subject.AGENT and application.agent is None:
        yield ValidationFault((*place, "of"), Message("names no one of this form"), Message("Add agent, or correct it"))
    day = verification.at.astimezone(JAPAN).date() if verification.at else None
    for field, when in (("at", day), ("posted", verification.posted)):
        if when and when > today:
            yield _in_future((*place, field))
    if verification.method is None:
        return  # reported as a missing field
    method, kinds = rules.method(verification.method), application.number_kinds()
    party = verification.of.party(application.kind)
    fitting = [each.id for each in rules.methods_for(party, day or today, kinds)]
    if method is None or method.party is not party:
        yield ValidationFault(
            (*place, "method"),
            Message("is not a method for a {party} person", party=party),
            Message("Write one of these: {names}", names=", ".join(fitting)),
        )
        return
    if not method.is_allowed(day or today):
        yield ValidationFault(
            (*place, "method"),
            Message(
                "was not allowed on {day} (since {since}, until {until})",
                day=day or today,
                since=method.since or "-",
                until=method.until or "-",
            ),
            Message("Verify again by another method"),
        )
    elif acts := rules.forbidden_by(method.id, day or today, kinds):
        yield ValidationFault(
            (*place, "method"),
            Message(
                "is not in the table of methods for these kinds of numbers on {day}: {acts}",
                day=day or today,
                acts=", ".join(str(rules.acts[each]) for each in acts),
            ),
            Message("Verify by one of these: {names}", names=", ".join(fitting)),
        )
    for field in method.needs:
        if getattr(verification, field) is None:
            yield _demanded((*place, field), method, rules)
    for field in ("document", "second_document"):
        document = getattr(verification, field)
        if document is not None:
            yield from _document((*place, field), document, method, rules, day or today)


def _document(
    place: Location, document: IdentityDocument, method: Method, rules: FormRules, day: date
) -> Iterator[ValidationFault]:
    """Yield the faults of an identity document seen on `day`."""
    if document.kind is None:
        return  # reported as a missing field
    kind = rules.document(document.kind)
    if kind is None or kind.id not in method.documents:
        yield ValidationFault(
            (*place, "kind"),
            Message("is not a document for the method {method}", method=method.id),
            Message("Write one of these: {names}", names=", ".join(method.documents)),
        )
        return
    yield from _number(place, document, kind)
    if kind.expires and document.expires is None:
        yield ValidationFault((*place, "expires"), Message("is missing"), Message("Write its last day of validity"))
    if document.expires and document.expires < day:
        yield ValidationFault(
            (*place, "expires"),
            Message("was over when the document was seen ({day})", day=day),
            Message("Verify again by a valid document"),
        )
    if kind.months and document.issued is None:
        yield ValidationFault((*place, "issued"), Message("is missing"), Message("Write the day of its issue"))
    if document.issued and document.issued > day:
        yield ValidationFault(
            (*place, "issued"),
            Message("is later than the day on which the document was seen"),
            Message("Correct one of the two"),
        )
    elif kind.months and document.issued and document.issued + kind.months * _MONTH < day:
        yield ValidationFault(
            (*place, "issued"),
            Message("is more than {months} months before it was seen", months=kind.months),
            Message("Verify again by a newer document"),
        )


def _number(place: Location, document: IdentityDocument, kind: DocumentKind) -> Iterator[ValidationFault]:
    if not kind.keeps_number and document.number_ends is not None:
        yield ValidationFault(
            (*place, "number_ends"), Message("must not be kept of this document"), Message("Remove it")
        )
    if kind.keeps_number and document.number_ends is None and document.copy_sha256 is None:
        yield ValidationFault(
            (*place, "number_ends"),
            Message("is missing"),
            Message("Write the last four characters of its number, or copy_sha256, the digest of a copy"),
        )


def _sites(application: Application, rules: FormRules, today: date) -> Iterator[ValidationFault]:
    for number, site in enumerate(application.sites):
        place = (ROOT, "sites", number, "checked")
        if site.checked.how is not None and rules.site_check(site.checked.how) is None:
            known = ", ".join(each.id for each in rules.site_checks)
            yield ValidationFault(
                (*place, "how"),
                Message("is not a way of checking a site"),
                Message("Write one of these: {names}", names=known),
            )
        if site.checked.day and site.checked.day > today:
            yield _in_future((*place, "day"))


def _days(application: Application, today: date) -> Iterator[ValidationFault]:
    persons: Iterable[tuple[Location, Any]] = (
        ((ROOT, "customer"), application.customer),
        ((ROOT, "representative"), application.representative),
        ((ROOT, "agent"), application.agent),
        *(((ROOT, "beneficial_owners", number), each) for number, each in enumerate(application.beneficial_owners)),
    )
    for place, person in persons:
        if person is not None and person.birth_date and person.birth_date > today:
            yield _in_future((*place, "birth_date"))
    if application.numbers.transfer_told and application.numbers.transfer_told > today:
        yield _in_future((ROOT, "numbers", "transfer_told"))
    if application.date and application.date > today:
        yield _in_future((ROOT, "date"))


def _in_future(place: Location) -> ValidationFault:
    return ValidationFault(place, Message("is in the future"), Message("Correct the date"))


def _numbers(application: Application) -> Iterator[ValidationFault]:
    numbers, place = application.numbers, (ROOT, "numbers", "assigned")
    if numbers.kinds and (others := application.number_kinds() - set(numbers.kinds) - UNASKED):
        yield ValidationFault(
            (ROOT, "numbers", "kinds"),
            Message("lacks the kind of a number that was assigned: {kinds}", kinds=", ".join(sorted(others))),
            Message("Add it: another kind of number may need more of the customer"),
        )
    if len(set(numbers.assigned)) < len(numbers.assigned):
        yield ValidationFault(place, Message("has a number twice"), Message("Keep one of the two"))
    if numbers.count is not None and len(numbers.assigned) > numbers.count:
        yield ValidationFault(
            place,
            Message("has more numbers than were asked for ({count})", count=numbers.count),
            Message("Correct one of the two"),
        )
