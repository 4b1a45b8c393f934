"""Contents of the signed documents for reports.

report          a member's report, with sealed content and a sealed reporter
report-fetch    a member asks for the requests that it must answer, and the desk seals its response for the member
report-answer   a member answers one request
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from idtone.core.errors import TrustError
from idtone.core.yaml_documents import Model
from idtone.registry.model import Id, Moment, Sha256

from .report import Report, ServiceReport
from .sealed_box import Purpose, seal

REPORT, FETCH, ANSWER = "report", "report-fetch", "report-answer"
KEYS_PATH: Final = "/report/keys"
"""URL path of the desk's public keys in JSON: `desk`, and `officer` (null if there is none)."""
_BOX_LIMIT: Final = 128 * 1024
_RECEIPT_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Characters used in receipts: Crockford's base32, which omits letters that look like digits."""
_RECEIPT_LENGTH: Final = 20
_RECEIPT: Final = re.compile(rf"[{_RECEIPT_LETTERS}]{{5}}(-[{_RECEIPT_LETTERS}]{{5}}){{3}}")

Box = Annotated[str, Field(max_length=_BOX_LIMIT)]
AnyContent = TypeVar("AnyContent", bound=Model)


class AnswerResult(StrEnum):
    """Result of a member's search for a reported call."""

    NOT_OURS = "not-ours"
    UPSTREAM = "upstream"
    """The call came from another member."""
    CUSTOMER_HELD = "customer-held"
    """A customer of this member made the call or holds the number."""


class SealedReport(Model):
    """A report as it is sent and stored.

    `receipt` is the SHA-256 of the receipt, to which both sealed boxes are tied.
    """

    receipt: Sha256
    report: Box
    """`ReportedCall` or `ReportedService`, sealed for the desk."""
    reporter: Box | None = None
    """`Reporter`, sealed for the report officer only."""
    disclose: bool = False


class Request(Model):
    """The desk's question to a member. It contains neither the reporter nor the reporter's words.

    `downstream` is the member that named this one, or None if this one holds the number. `reminders` is the number of
    reminders sent so far.
    """

    id: Id
    number: Annotated[str, Field(repr=False)]
    at: Moment
    within_minutes: int
    asked: Moment
    due: Moment
    downstream: Id | None
    reminders: int


class Fetch(Model):
    """A member's question to the desk about its open requests.

    `to` is a fresh X25519 public key (base64), so replaying the document does not reveal the answer. `request` limits
    the question to one request.
    """

    to: str
    request: Id | None = None


class Requests(Model):
    """The desk's answer to `Fetch`, with the most urgent requests and the total number of open ones."""

    requests: tuple[Request, ...]
    waiting: int


class MatchingCalls(Model):
    """Matches for a reported call in the member's ledger: their number and the closest call."""

    calls: Annotated[int, Field(ge=0)]
    call: Annotated[str | None, Field(max_length=255)] = None
    outcome: Annotated[str | None, Field(max_length=64)] = None
    reason: Annotated[str | None, Field(max_length=64)] = None
    delivery: Annotated[str | None, Field(max_length=64)] = None
    """The weakest delivery status among the call's sounds: `confirmed`, `sent` or `not-known`.

    Empty if the call had no sound.
    """


class Answer(Model):
    """The answer to a request.

    `pack` is the SHA-256 of the manifest of an evidence pack that the member keeps for the association.
    """

    request: Id
    result: AnswerResult
    upstream: Id | None = None
    pack: Sha256 | None = None
    found: MatchingCalls

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.upstream is not None) != (self.result is AnswerResult.UPSTREAM):
            raise ValueError("upstream")
        if (self.pack is not None) != (self.result is AnswerResult.CUSTOMER_HELD):
            raise ValueError("pack")
        return self


def read_content(model: type[AnyContent], content: Mapping[str, Any]) -> AnyContent:
    """Read the content of a document.

    Raises TrustError if a field is invalid. The error contains the field's name but not its value.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, each["loc"])) or "content" for each in error.errors()}))
        raise TrustError("the content of the document is not as it must be: {fields}", fields=fields) from error


def time_span(at: datetime, within_minutes: int) -> tuple[datetime, datetime]:
    """The time span in which a reported call began, including its first time but not its second.

    If `at` is a full minute, the call may have begun at any time in that minute.
    """
    within = timedelta(minutes=within_minutes)
    return at - within, at + within + timedelta(minutes=1)


def new_receipt() -> str:
    """A new receipt for later questions by the reporter: twenty letters and digits (100 bits) in four groups."""
    return _receipt(secrets.token_bytes(_RECEIPT_LENGTH))


def receipt_of(report: Report, secret: bytes) -> str:
    """A report's receipt, derived with the sender's secret.

    The same report always gets the same receipt, so sending it again does not create another report.
    """
    content = f"idtone-receipt/1\n{report.model_dump_json()}"
    return _receipt(hmac.digest(secret, content.encode(), "sha256"))


def _receipt(octets: bytes) -> str:
    """The receipt for `octets`, which must contain at least one byte per letter."""
    letters = "".join(_RECEIPT_LETTERS[octet % len(_RECEIPT_LETTERS)] for octet in octets[:_RECEIPT_LENGTH])
    return "-".join(letters[n : n + 5] for n in range(0, _RECEIPT_LENGTH, 5))


def is_receipt(text: str) -> bool:
    """True if the text is a receipt in the format of `new_receipt`."""
    return _RECEIPT.fullmatch(text) is not None


def receipt_digest(receipt: str) -> str:
    """A receipt's digest as stored. Case, whitespace and dashes do not matter."""
    plain = "".join(receipt.upper().split()).replace("-", "")
    return hashlib.sha256(plain.encode()).hexdigest()


def report_id_of(digest: str) -> str:
    """Id of the report whose receipt has this digest."""
    return f"R-{digest[:16]}"


def sealed_report(report: Report | ServiceReport, receipt: str, desk: bytes, officer: bytes | None) -> SealedReport:
    """Seal a report for the desk, and its reporter for the report officer.

    `desk` and `officer` are X25519 public keys. Raises TrustError if there is a reporter but no key for the officer.
    """
    tied, reporter = receipt_digest(receipt), report.reporter
    if reporter and officer is None:
        raise TrustError(
            "the desk has no key of a report officer, so it cannot take your name; report without `reporter`"
        )
    matter = report.model_dump(mode="json", exclude={"reporter"})
    return SealedReport(
        receipt=tied,
        report=seal(matter, desk, Purpose.REPORT, tied),
        reporter=seal(reporter.model_dump(), officer, Purpose.REPORTER, tied) if reporter and officer else None,
        disclose=bool(reporter and reporter.disclose),
    )
