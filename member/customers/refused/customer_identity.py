"""A customer's identity, from a file like `config/refused_customer.yaml` or from typed answers."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from idtone.core.errors import TrustError
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model, ValidationFault, read_tree, validate
from idtone.registry.model import Day, Text

from ..customer_form import ROOT as FORM
from ..customer_form import Application, CorporateNumber, CustomerForm, NamedPerson, Party


class IdentityKind(StrEnum):
    PERSON = "person"
    COMPANY = "company"


class RepresentativeIdentity(Model):
    """The person who acts for a company."""

    name: Text
    kana: Text | None = None
    latin: Text | None = None
    born: Day | None = None
    address: Text | None = None


class CustomerIdentity(Model):
    """Identity of a person or a company. No log or error message shows any part of it."""

    kind: IdentityKind
    name: Text
    kana: Text | None = None
    latin: Text | None = None
    born: Day | None = None
    address: Text | None = None
    corporate_number: CorporateNumber | None = None
    representative: RepresentativeIdentity | None = None


class CustomerDocument(Model):
    """Contents of an identity file."""

    customer: CustomerIdentity


def parse_customer(text: str, name: str) -> CustomerIdentity:
    """Parse an identity file or application form into an identity. Raises DocumentError with all faults."""
    tree = read_tree(text, name)
    if isinstance(tree, dict) and FORM in tree:
        return identity_in_form(validate(tree, text, name, CustomerForm).application)
    return validate(tree, text, name, CustomerDocument, _faults).customer


def identity_in_form(form: Application) -> CustomerIdentity:
    """The identity of an application form's customer, including a company's representative.

    Raises TrustError if the form does not name the customer.
    """
    customer, representative = _fields(form.customer), form.representative
    if customer["name"] is None:
        raise TrustError("the form has no name of the customer; fill it in")
    if form.kind.party is Party.NATURAL:
        return CustomerIdentity(kind=IdentityKind.PERSON, **customer)
    acting = _fields(representative) if representative else {"name": None}
    return CustomerIdentity(
        kind=IdentityKind.COMPANY,
        corporate_number=form.customer.corporate_number,
        representative=RepresentativeIdentity(**acting) if acting["name"] else None,
        **customer | {"born": None},
    )


def _fields(person: NamedPerson) -> dict[str, Any]:
    name = person.name
    return {
        "name": name.ja or name.en or name.kana,
        "kana": name.kana,
        "latin": name.en,
        "born": person.birth_date,
        "address": person.address,
    }


def _faults(document: CustomerDocument) -> Iterator[ValidationFault]:
    one = document.customer
    foreign: tuple[str, ...]
    if one.kind is IdentityKind.PERSON:
        needed = one.born or one.address, Message("a person is recognised by name and birth date, or by the address")
        foreign = ("corporate_number", "representative")
    else:
        needed = (
            one.corporate_number or one.address,
            Message("a company is recognised by its number, or by the address"),
        )
        foreign = ("born",)
    if not needed[0]:
        yield ValidationFault(("customer",), needed[1], Message("Add one of them"))
    for field in foreign:
        if getattr(one, field) is not None:
            yield ValidationFault(
                ("customer", field), Message("does not belong to a {kind}", kind=one.kind), Message("Remove it")
            )
