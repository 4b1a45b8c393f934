"""Requirements for forms, as data (`customer_rules.yaml`).

The rules are idtone's own, and operators may replace them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, get_args

from pydantic import AfterValidator, BaseModel, Field

from idtone.core.translation import Message
from idtone.core.yaml_documents import Location, Model, ValidationFault, load, parse
from idtone.registry.model import Day, Id, Text

from .customer_form import Application, AskedKind, CustomerKind, Party, Subject

LEAST_YEARS: Final = 7
"""Minimum retention after a contract ends, in years, per 犯罪による収益の移転防止に関する法律."""
SHIPPED: Final = "customer_rules.yaml"


class Term(Model):
    """Text in Japanese and English."""

    ja: Text
    en: Text

    def __str__(self) -> str:
        return f"{self.ja} / {self.en}"


def _field(value: str) -> str:
    if value not in FIELDS:
        raise ValueError(Message("is not a field of the form"), Message("Write it like customer.birth_date"))
    return value


FieldPath = Annotated[str, AfterValidator(_field)]


class Demand(Model):
    """A legal requirement. `act` is the key of the act that imposes it."""

    act: Id
    demand: Term


class Requirement(Demand):
    """A field that these kinds of customers must fill in.

    A field in a group is required only if the group is filled in.
    """

    field: FieldPath
    instead: FieldPath | None = None
    """Another field that may be filled in instead."""
    kinds: tuple[CustomerKind, ...] = tuple(CustomerKind)
    numbers: tuple[AskedKind, ...] = ()
    """Kinds of numbers that require the field. If empty, it is always required."""

    @property
    def fields(self) -> list[str]:
        return [self.field, *([self.instead] if self.instead else [])]


class Verified(Demand):
    """A person whose identity must be verified. Agents must be verified only if the form names one."""

    of: Subject
    kinds: tuple[CustomerKind, ...] = tuple(CustomerKind)


class DocumentKind(Model):
    """A kind of identity document.

    If `keeps_number` is True, the form must contain the end of the document's number or the digest of a copy.
    Otherwise, it must not contain the end of the number. If `expires` is True, the document has an expiration date.
    `months` is the document's maximum age when seen.
    """

    id: Id
    name: Term
    keeps_number: bool = True
    expires: bool = False
    months: Annotated[int, Field(ge=1, le=120)] | None = None


class Method(Demand):
    """A verification method, allowed from `since` through `until`. `needs` lists required verification fields."""

    id: Id
    name: Term
    party: Party
    documents: tuple[Id, ...]
    needs: tuple[Annotated[str, Field(pattern=r"^(posted|reference|second_document)$")], ...] = ()
    since: Day | None = None
    until: Day | None = None

    def is_allowed(self, day: date) -> bool:
        return (self.since or date.min) <= day <= (self.until or date.max)


class NumberMethod(Model):
    """A verification method that an act also allows for these kinds of numbers, from `since` through `until`.

    Starting with the earliest `since` in an act's rows for a kind of number, the act allows only the methods in those
    rows for that kind. A method must be allowed for every kind of number in a form.
    """

    act: Id
    method: Id
    numbers: Annotated[tuple[AskedKind, ...], Field(min_length=1)]
    since: Day | None = None
    until: Day | None = None

    def is_allowed(self, day: date) -> bool:
        return (self.since or date.min) <= day <= (self.until or date.max)


class SiteCheckKind(Demand):
    id: Id
    name: Term


class Purpose(Model):
    id: Id
    name: Term


class FormRules(Model):
    version: Id
    keep_years: Annotated[int, Field(ge=LEAST_YEARS, le=100)] = LEAST_YEARS
    acts: dict[str, Term]
    requirements: tuple[Requirement, ...]
    verified: tuple[Verified, ...]
    documents: tuple[DocumentKind, ...]
    methods: tuple[Method, ...]
    number_methods: tuple[NumberMethod, ...] = ()
    site_checks: tuple[SiteCheckKind, ...]
    purposes: tuple[Purpose, ...]

    def required(self, kind: CustomerKind, numbers: Collection[str] = ()) -> list[Requirement]:
        """Required fields for a kind of customer. `numbers` contains the kinds of numbers in the form."""
        return [
            row
            for row in self.requirements
            if kind in row.kinds and (not row.numbers or any(each in numbers for each in row.numbers))
        ]

    def document(self, id_: str | None) -> DocumentKind | None:
        return next((each for each in self.documents if each.id == id_), None)

    def method(self, id_: str | None) -> Method | None:
        return next((each for each in self.methods if each.id == id_), None)

    def methods_for(self, party: Party, day: date, numbers: Collection[str] = ()) -> list[Method]:
        """Methods allowed on this day in Japan, including by the acts on these kinds of numbers."""
        return [
            each
            for each in self.methods
            if each.party is party and each.is_allowed(day) and not self.forbidden_by(each.id, day, numbers)
        ]

    def forbidden_by(self, method: str, day: date, numbers: Collection[str]) -> list[str]:
        """Acts that forbid the method on this day for at least one of these kinds of numbers."""
        rows = [(row.act, kind, row) for row in self.number_methods for kind in row.numbers if kind in numbers]
        in_force = {(act, kind) for act, kind, row in rows if (row.since or date.min) <= day}
        allowed = {(act, kind) for act, kind, row in rows if row.method == method and row.is_allowed(day)}
        return sorted({act for act, _ in in_force - allowed})

    def site_check(self, id_: str | None) -> SiteCheckKind | None:
        return next((each for each in self.site_checks if each.id == id_), None)


class RulesFile(Model):
    customer_rules: FormRules


def field_names(model: type[BaseModel] = Application, above: str = "") -> Iterator[str]:
    """Yield the paths of all form fields in form order, each group before its fields."""
    for name, field in model.model_fields.items():
        yield f"{above}{name}"
        inner = _model_in(field.annotation)
        if inner:
            yield from field_names(inner, f"{above}{name}.")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


FIELDS: Final = tuple(field_names())


def load_rules(path: Path | None) -> FormRules:
    """Load the rules from a file, or idtone's own rules if `path` is None. Raises DocumentError."""
    if path is not None:
        return load(path, RulesFile, _contradictions).customer_rules
    text = (resources.files("idtone.config") / SHIPPED).read_text("utf-8")
    return parse(text, SHIPPED, RulesFile, _contradictions).customer_rules


def _contradictions(file: RulesFile) -> Iterator[ValidationFault]:
    """Yield a fault for each name used without a definition and for each duplicate id."""
    rules, above = file.customer_rules, ("customer_rules",)
    for table in ("requirements", "verified", "methods", "number_methods", "site_checks"):
        for number, row in enumerate(getattr(rules, table)):
            yield from _unknown((*above, table, number, "act"), [row.act], rules.acts)
    for number, row in enumerate(rules.number_methods):
        yield from _unknown((*above, "number_methods", number, "method"), [row.method], [m.id for m in rules.methods])
    kinds = [each.id for each in rules.documents]
    for number, method in enumerate(rules.methods):
        yield from _unknown((*above, "methods", number, "documents"), method.documents, kinds)
    for table in ("documents", "methods", "site_checks", "purposes"):
        seen: set[str] = set()
        for number, row in enumerate(getattr(rules, table)):
            if row.id in seen:
                yield ValidationFault(
                    (*above, table, number, "id"), Message("is there twice"), Message("Keep one of the two")
                )
            seen.add(row.id)


def _unknown(location: Location, named: Iterable[str], known: Iterable[str]) -> Iterator[ValidationFault]:
    for name in set(named) - set(known):
        yield ValidationFault(
            location,
            Message("names {name!r}, which is not in these rules", name=name),
            Message("Known here: {names}", names=", ".join(known)),
        )
