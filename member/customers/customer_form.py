"""Types for customers' application forms.

Forms are checked in two steps: these types check single values, and the rules check completeness. Almost every field
may be missing, because forms are filled in step by step. `FormRules` lists the fields that each kind of customer needs.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from idtone.core.errors import NumberError
from idtone.core.numbers import Number, NumberKind, ascii_form, parse_japanese
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model
from idtone.registry.model import Day, Id, Moment, Sha256, Text

from .corporate_number import is_corporate_number

ROOT: Final = "application"


class CustomerKind(StrEnum):
    PERSON = "person"
    COMPANY = "company"
    FOREIGN_PERSON = "foreign-person"
    """A person who does not reside in Japan."""
    FOREIGN_COMPANY = "foreign-company"
    """A company whose head office is outside Japan."""

    @property
    def party(self) -> Party:
        return Party.NATURAL if self in (CustomerKind.PERSON, CustomerKind.FOREIGN_PERSON) else Party.LEGAL


class Party(StrEnum):
    """Kind of person verified: natural or legal."""

    NATURAL = "natural"
    LEGAL = "legal"


class Subject(StrEnum):
    """The person whose identity is verified."""

    CUSTOMER = "customer"
    AGENT = "agent"
    """The person in charge of the transaction (取引担当者)."""

    def party(self, kind: CustomerKind) -> Party:
        return kind.party if self is Subject.CUSTOMER else Party.NATURAL


def _corporate_number(value: str) -> str:
    plain = ascii_form(value)
    if not is_corporate_number(plain):
        raise ValueError(
            Message("is not a corporate number (法人番号): its check digit is wrong, or it has not 13 digits"),
            Message("Compare it with the certificate of registered matters, or with the public list of numbers"),
        )
    return plain


def _japanese_number(value: str) -> str:
    try:
        return parse_japanese(value).e164
    except NumberError as error:
        raise ValueError(error.problem, error.remedy or Message("Correct the number")) from error


CorporateNumber = Annotated[str, AfterValidator(_corporate_number)]
AssignedNumber = Annotated[str, AfterValidator(_japanese_number)]
Ends = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{1,4}$")]


class FormName(Model):
    """A name. `ja` is its spelling in the document that was seen, and `kana` is its reading."""

    ja: Text | None = None
    kana: Text | None = None
    en: Text | None = None


class NamedPerson(Model):
    name: FormName = FormName()
    address: Text | None = None
    birth_date: Day | None = None
    nationality: Text | None = None


class Customer(NamedPerson):
    """The customer. `business` applies to a company and `occupation` to a person."""

    corporate_number: CorporateNumber | None = None
    registration: Text | None = None
    """A foreign company's registration number and the name of the register."""
    occupation: Text | None = None
    business: Text | None = None


class Representative(NamedPerson):
    title: Text | None = None


class Authority(Model):
    """Proof that the agent may act for the customer."""

    document: Text | None = None
    checked: Day | None = None


class Agent(NamedPerson):
    relation: Text | None = None
    authority: Authority = Authority()


class BeneficialOwner(NamedPerson):
    basis: Text | None = None
    """Why this person counts as an owner, for example their share of the votes."""


class IdentityDocument(Model):
    """An identity document that was seen. The form stores only the last four characters of its number.

    `copy_sha256` is the digest of a copy kept elsewhere.
    """

    kind: Id | None = None
    number_ends: Ends | None = None
    copy_sha256: Sha256 | None = None
    issued: Day | None = None
    expires: Day | None = None


class Verification(Model):
    """Verification of a person's identity.

    `at` is when the document was seen or received. `posted` is the day the non-forwardable letter was sent. `reference`
    identifies the verification service's transaction or the electronic signature.
    """

    of: Subject = Subject.CUSTOMER
    method: Id | None = None
    document: IdentityDocument = IdentityDocument()
    second_document: IdentityDocument | None = None
    at: Moment | None = None
    posted: Day | None = None
    reference: Text | None = None
    by: Text | None = None


class SiteCheck(Model):
    how: Id | None = None
    day: Day | None = None
    by: Text | None = None


class Site(Model):
    """A place where the service is used (利用場所)."""

    address: Text | None = None
    use: Text | None = None
    checked: SiteCheck = SiteCheck()


AskedKind = Literal["fixed", "050", "mobile", "0120"]
UNASKED: Final = frozenset({NumberKind.OTHER.value})
"""Kinds of numbers that the form has no field for, such as 0570 and 020.

They can be assigned, but not requested in the form.
"""


class RequestedNumbers(Model):
    """The requested and assigned numbers."""

    count: Annotated[int, Field(ge=1, le=100_000)] | None = None
    kinds: tuple[AskedKind, ...] = ()
    """Kinds of numbers requested. Separate acts regulate 050 and mobile numbers."""
    area: Text | None = None
    """Numbering area (番号区画), or its area code."""
    transfer_told: Day | None = None
    """Day when the operator explained that passing the line on to others requires the operator's consent."""
    assigned: tuple[AssignedNumber, ...] = Field(default=(), repr=False)


class Application(Model):
    """One customer's form. `purposes` contains ids from the rules or free text."""

    id: Id
    kind: CustomerKind
    date: Day | None = None
    customer: Customer = Customer()
    representative: Representative | None = None
    agent: Agent | None = None
    beneficial_owners: tuple[BeneficialOwner, ...] = ()
    no_beneficial_owner: Text | None = None
    """Why no owner has to be named, for example because the customer is a listed company."""
    purposes: tuple[Text, ...] = ()
    numbers: RequestedNumbers = RequestedNumbers()
    sites: tuple[Site, ...] = ()
    verifications: tuple[Verification, ...] = ()

    def number_kinds(self) -> set[str]:
        """Kinds of all requested and assigned numbers."""
        return {*self.numbers.kinds, *(number.kind.value for number in self.assigned())}

    def assigned(self) -> list[Number]:
        return [parse_japanese(number) for number in self.numbers.assigned]


class CustomerForm(Model):
    application: Application
