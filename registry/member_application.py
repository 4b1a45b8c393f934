"""A member's application to the association (申込書), as a YAML file."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from idtone.core.calls import Direction
from idtone.core.errors import NumberError
from idtone.core.translation import Message, capitalised
from idtone.core.yaml_documents import Location, Model, ValidationFault, parse

from .model import Day, Id, Name, Pledge, Text
from .number_notation import read_span
from .validation_rules import pledge_faults


class IdentityCheck(Model):
    """A document that was examined to verify the applicant's identity (本人確認)."""

    document: Text
    checked: Day
    by: Text


class Applicant(Model):
    """The applicant. `id` is the member's id in the registry and may be new or existing."""

    id: Id
    name: Name


class RequestedLicence(Model):
    tone: Id
    directions: Annotated[tuple[Direction, ...], Field(min_length=1)]


class MemberApplication(Model):
    id: Id
    received: Day
    member: Applicant
    identity: Annotated[tuple[IdentityCheck, ...], Field(min_length=1)]
    pledge: Pledge
    licences: tuple[RequestedLicence, ...] = ()
    numbers: Annotated[tuple[str, ...], Field(repr=False)] = ()


class ApplicationDocument(Model):
    """Content of an application file."""

    application: MemberApplication


def parse_application(text: str, name: str) -> MemberApplication:
    """Parse an application. Raises DocumentError with every fault, in the file `name`."""
    return parse(text, name, ApplicationDocument, _faults).application


def _faults(document: ApplicationDocument) -> Iterator[ValidationFault]:
    application = document.application
    here: Location = ("application",)
    for n, entry in enumerate(application.numbers):
        try:
            read_span(entry)
        except NumberError as error:
            remedy = capitalised(error.remedy) if error.remedy else Message("Write a complete Japanese number")
            yield ValidationFault((*here, "numbers", n), error.problem, remedy)
    if not application.licences and not application.numbers:
        yield ValidationFault(here, Message("asks for nothing"), Message("Add `licences`, `numbers` or both"))
    yield from pledge_faults((*here, "pledge"), application.pledge)
    if application.pledge.signed > application.received:
        yield ValidationFault(
            (*here, "pledge", "signed"),
            Message("is after `received`"),
            Message("An application is complete when the pledge is signed"),
        )
