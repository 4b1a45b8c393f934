"""A report (申告) in the reporter's words, from a YAML file or the form on the association's website."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from idtone.core.numbers import parse as parse_number
from idtone.core.text_cleaning import clean_text, forbidden_character
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model, ValidationFault, parse
from idtone.registry.model import Moment, Sha256, Text

SIZE_LIMIT: Final = 64 * 1024
"""Maximum size of the file in bytes."""
WORDS_LIMIT: Final = 4000
ATTACHMENTS_LIMIT: Final = 10
_DIGITS: Final = 6
"""Maximum number of digits in a service's name. More digits could be a telephone number."""
WITHIN_LIMIT: Final = 31 * 24 * 60
"""Maximum time before and after a call's reported time, in minutes."""


def _number(value: str) -> str:
    number = parse_number(value)
    if not number.known:
        raise ValueError(
            Message("is not a telephone number"), Message("Write it like 0312345678, or +12025550123 from abroad")
        )
    return number.e164


def _words(value: str) -> str:
    text = "\n".join(line.rstrip() for line in clean_text(value).strip().split("\n"))
    if character := forbidden_character(text.replace("\n", "")):
        raise ValueError(
            Message("is not a readable text: it has the character {character}", character=character),
            Message("Write 1 to {limit} characters", limit=WORDS_LIMIT),
        )
    if not text or len(text) > WORDS_LIMIT:
        raise ValueError(Message("is not a readable text"), Message("Write 1 to {limit} characters", limit=WORDS_LIMIT))
    return text


def _service(value: str) -> str:
    if sum(each.isdecimal() for each in value) > _DIGITS:
        raise ValueError(
            Message("has a telephone number"),
            Message("Write the name alone, and the number where you say what happened"),
        )
    return value


class Attachment(Model):
    """A file that the reporter keeps. The report contains its `sha256`, so later changes are detected."""

    name: Text
    sha256: Sha256


class Reporter(Model):
    """The person who reports.

    If `disclose` is True, the reporter agrees that the association may name them, for example to the police.
    """

    name: Text
    contact: Text
    disclose: bool = False


class ReportedMatter(Model):
    """Events in the reporter's words (`what`), and the files that the reporter keeps."""

    what: Annotated[str, Field(repr=False), AfterValidator(_words)]
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=ATTACHMENTS_LIMIT, repr=False)] = ()


class ReportedCall(ReportedMatter):
    """A reported call at `at`, plus or minus `within_minutes`.

    `number` is the number that called or was displayed, in E.164 format.
    """

    number: Annotated[str, Field(repr=False), AfterValidator(_number)]
    at: Moment
    within_minutes: Annotated[int, Field(ge=0, le=WITHIN_LIMIT)] = 60


class ReportedService(ReportedMatter):
    """A reported operator or service, in the reporter's words, with or without a call.

    The name must not contain a telephone number, because lists show it.
    """

    service: Annotated[Text, Field(repr=False), AfterValidator(_service)]


class Report(ReportedCall):
    """A report about a call. `reporter` is None if the reporter gave no name."""

    reporter: Annotated[Reporter | None, Field(repr=False)] = None


class ServiceReport(ReportedService):
    """A report about an operator or service. `reporter` is None if the reporter gave no name."""

    reporter: Annotated[Reporter | None, Field(repr=False)] = None


class ReportDocument(Model):
    """Contents of the file."""

    report: Report


def parse_report(text: str, name: str, now: datetime) -> Report:
    """Parse a report. Raises DocumentError with all faults, which refer to the file as `name`."""

    def faults(document: ReportDocument) -> Iterator[ValidationFault]:
        if document.report.at > now:
            yield ValidationFault(("report", "at"), Message("is in the future"), Message("Write when the call was"))

    return parse(text, name, ReportDocument, faults).report
