"""Evaluation criteria in a versioned YAML file, which the association publishes with the results."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from idtone.core.errors import ProofError
from idtone.core.signed_notes import Algorithm, VerifierKey
from idtone.core.translation import Message
from idtone.core.yaml_documents import Location, Model, ValidationFault, parse, read_text, validate
from idtone.registry.model import Id, Name

from .measures import FORMULAS, Measure


def _witness(value: str) -> str:
    try:
        key = VerifierKey.parse(value)
    except ProofError as error:
        raise ValueError(str(error), Message("Copy the key that the witness prints")) from error
    if key.algorithm is not Algorithm.COSIGNATURE:
        raise ValueError(Message("is the key of a log"), Message("Copy the key that the witness prints"))
    return str(key)


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or not value.isprintable() or " " in value:
        raise ValueError(Message("is not an address"), Message("Write it like https://association.example/operators/"))
    return value


WitnessKey = Annotated[str, AfterValidator(_witness)]
Address = Annotated[str, AfterValidator(_address)]
Bound = Annotated[Decimal, Field(ge=0, le=100_000)]
Points = Annotated[int, Field(ge=0, le=1000)]


class Terms(Model):
    """Terms of the whole evaluation. `list` is the address of the public list, which badges show."""

    version: Annotated[int, Field(ge=1, le=9999)]
    title: Name
    list: Address
    valid_days: Annotated[int, Field(ge=1, le=3653)]
    enough_calls: Annotated[int, Field(ge=1)]
    counted_percent: Annotated[int, Field(ge=1, le=100)]
    witnesses: tuple[WitnessKey, ...] = ()
    witnesses_needed: Annotated[int, Field(ge=1)] = 1
    doubtful_factor: Annotated[int, Field(ge=2)] = 4


class Step(Model):
    """A row in a points table: gives `points` for values of at least `at_least` or at most `at_most`."""

    at_least: Bound | None = None
    at_most: Bound | None = None
    points: Points

    @property
    def bound(self) -> Decimal:
        found = self.at_least if self.at_most is None else self.at_most
        assert found is not None
        return found

    def accepts(self, value: Decimal) -> bool:
        return value >= self.at_least if self.at_least is not None else value <= self.bound


class Criterion(Model):
    """A criterion in an evaluation.

    `points` contains the rows of its table, best row first. Values that meet no row get 0 points. `minimum` contains
    the points that each grade requires in this criterion. `without` says what happens if the measure has no value.
    """

    id: Id
    title: Name
    measure: Measure
    points: Annotated[tuple[Step, ...], Field(min_length=1)]
    weight: Annotated[int, Field(ge=1, le=100)]
    minimum: dict[Id, Points] = Field(default_factory=dict)
    without: Literal["skip", "zero"] = "skip"

    @property
    def most(self) -> int:
        return self.points[0].points


class Grade(Model):
    """A grade and the minimum percentage of points for it."""

    id: Id
    title: Name
    percent: Annotated[int, Field(ge=0, le=100)]


class CriteriaDocument(Model):
    """Contents of the file. `grades` starts with the best grade."""

    evaluation: Terms
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1)]
    grades: Annotated[tuple[Grade, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Criteria:
    """Criteria with the bytes of their file, which is itself published."""

    document: CriteriaDocument
    octets: bytes

    @property
    def terms(self) -> Terms:
        return self.document.evaluation

    @property
    def is_sample(self) -> bool:
        """True if the public list's address is still the sample's placeholder, a reserved domain name."""
        host = f".{urlsplit(self.terms.list).hostname}".rstrip(".")
        return host.endswith((".example", ".example.com", ".example.net", ".example.org"))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.octets).hexdigest()

    @property
    def witnesses(self) -> list[VerifierKey]:
        return [VerifierKey.parse(text) for text in self.terms.witnesses]

    def grade(self, grade_id: str) -> Grade:
        return next(grade for grade in self.document.grades if grade.id == grade_id)


def read_criteria(path: Path) -> Criteria:
    """Read criteria from a file. Raises DocumentError with all faults."""
    return parse_criteria(read_text(path, size_limit=1024 * 1024), str(path))


def criteria_document(tree: Mapping[str, object], name: str) -> CriteriaDocument:
    """Create criteria from values structured like the file, for example from a web form.

    Raises DocumentError with all faults.
    """
    return validate(tree, "", name, CriteriaDocument, _faults)


def parse_criteria(text: str, name: str) -> Criteria:
    """Parse criteria. Raises DocumentError with all faults, which refer to the file as `name`."""
    return Criteria(parse(text, name, CriteriaDocument, _faults), text.encode())


def _faults(document: CriteriaDocument) -> Iterator[ValidationFault]:
    terms = document.evaluation
    if terms.witnesses and terms.witnesses_needed > len(set(terms.witnesses)):
        yield ValidationFault(
            ("evaluation", "witnesses_needed"),
            Message("is more than `witnesses` has"),
            Message("Add the keys of witnesses, or need fewer"),
        )
    criteria, grade_ids = ([each.id for each in document.criteria], [each.id for each in document.grades])
    for kind, ids in (("criteria", criteria), ("grades", grade_ids)):
        for n, found in enumerate(ids):
            if found in ids[:n]:
                yield ValidationFault((kind, n, "id"), Message("is there twice"), Message("Give each entry its own id"))
    for n, (better, grade) in enumerate(zip(document.grades, document.grades[1:], strict=False), 1):
        if grade.percent >= better.percent:
            yield ValidationFault(
                ("grades", n, "percent"),
                Message("is not below the grade before it"),
                Message("Write the best grade first"),
            )
    for n, criterion in enumerate(document.criteria):
        yield from _table(("criteria", n), criterion)
        yield from _minimum(("criteria", n, "minimum"), criterion, set(grade_ids))


def _table(here: Location, criterion: Criterion) -> Iterator[ValidationFault]:
    wanted = "at_least" if FORMULAS[criterion.measure].more_is_better else "at_most"
    other = {"at_least": "at_most", "at_most": "at_least"}[wanted]
    for n, row in enumerate(criterion.points):
        if getattr(row, wanted) is None or getattr(row, other) is not None:
            yield ValidationFault(
                (*here, "points", n),
                Message("does not have `{wanted}` alone", wanted=wanted),
                Message(
                    "Write `{wanted}`: of {measure}, that is the better side",
                    wanted=wanted,
                    measure=criterion.measure.value,
                ),
            )
            return
    for n, (better, row) in enumerate(zip(criterion.points, criterion.points[1:], strict=False), 1):
        easier = row.bound < better.bound if wanted == "at_least" else row.bound > better.bound
        if not easier or row.points >= better.points:
            yield ValidationFault(
                (*here, "points", n),
                Message("is not easier than the row before it, for fewer points"),
                Message("Write the best row first"),
            )
    if criterion.most == 0:
        yield ValidationFault((*here, "points", 0, "points"), Message("gives no points"), Message("Write 1 or more"))


def _minimum(here: Location, criterion: Criterion, grades: set[str]) -> Iterator[ValidationFault]:
    for grade, points in criterion.minimum.items():
        if grade not in grades:
            yield ValidationFault(
                (*here, grade),
                Message("is not one of `grades`"),
                Message("Known here: {names}", names=", ".join(sorted(grades))),
            )
        elif points > criterion.most:
            yield ValidationFault(
                (*here, grade),
                Message("is more than the {most} points that can be had", most=criterion.most),
                Message("Write a smaller value"),
            )


def titles(name: Name) -> Mapping[str, str]:
    return {"ja": name.ja, "en": name.en}
