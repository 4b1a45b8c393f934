"""Types for the registry file, which validate individual values.

`validation_rules` checks values that depend on each other.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from idtone.core.calls import Direction, LicenceStatus
from idtone.core.errors import ProofError
from idtone.core.japan_time import JAPAN
from idtone.core.numbers import holds_number
from idtone.core.text_cleaning import forbidden_character
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TEXT_LIMIT: Final = 200
_WIDE_SPACE: Final = "\N{IDEOGRAPHIC SPACE}"
"""The space between the parts of a Japanese name."""
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_CORPORATE: Final = re.compile(r"[0-9]{13}", re.ASCII)
_WEB: Final = re.compile(r"https://[A-Za-z0-9.-]{1,200}(/[!-~]{0,200})?")
_MAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,200}")
_FIRST_YEAR, _LAST_YEAR = 1900, 2199
_LARGEST: Final = 2**53 - 1
"""The largest integer that all JSON readers agree on (RFC 7493, 2.2) and that a call's evidence can contain."""
CHAIN_LIMIT: Final = 16
"""Maximum number of links in a wholesale chain."""
AnyDate = TypeVar("AnyDate", bound=date)
_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}.*", re.ASCII)


def _id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError(
            Message("is not an id"), Message("Use up to 64 letters, digits, '.', '_' and '-', a letter or digit first")
        )
    return value


def _text(value: str) -> str:
    if character := forbidden_character(value.replace(_WIDE_SPACE, " ")):
        raise ValueError(
            Message("is not a readable text: it has the character {character}", character=character),
            Message("Write one line of 1 to {limit} characters", limit=_TEXT_LIMIT),
        )
    if not value.strip() or len(value) > _TEXT_LIMIT:
        raise ValueError(
            Message("is not a readable text"), Message("Write one line of 1 to {limit} characters", limit=_TEXT_LIMIT)
        )
    return value


def _sha256(value: str) -> str:
    if not _SHA256.fullmatch(value):
        raise ValueError(
            Message("is not a SHA-256"), Message("Write its 64 hexadecimal digits, as sha256sum prints them")
        )
    return value.lower()


def _note_key(value: str) -> str:
    from idtone.core.signed_notes import VerifierKey

    try:
        return str(VerifierKey.parse(value))
    except ProofError as error:
        raise ValueError(str(error), Message("Copy what `idtone-office document key` prints")) from error


def _log_key(value: str) -> str:
    return _key_of(value, "ED25519", Message("Copy what `idtone-evidence log key` prints"))


def _witness_key(value: str) -> str:
    return _key_of(value, "COSIGNATURE", Message("Copy the verifier key that the witness publishes"))


def _key_of(value: str, kind: str, remedy: Message) -> str:
    from idtone.core.signed_notes import Algorithm, VerifierKey

    try:
        key = VerifierKey.parse(value)
    except ProofError as error:
        raise ValueError(str(error), remedy) from error
    if key.algorithm is not Algorithm[kind]:
        raise ValueError(Message("is a key of another kind: a log key cannot be a witness key"), remedy)
    return str(key)


def _corporate_number(value: str) -> str:
    """Validate a corporate number (法人番号) using its check digit. Raises ValueError.

    The first digit is the check digit, as defined by an order of the Ministry of Finance.
    """
    digits = list(map(int, value)) if _CORPORATE.fullmatch(value) else []
    if not digits or digits[0] != 9 - sum(d * (1 + n % 2) for n, d in enumerate(reversed(digits[1:]))) % 9:
        raise ValueError(
            Message("is not a corporate number (法人番号)"),
            Message("Write its 13 digits in quotes, as the tax agency has it"),
        )
    return value


def _matching(pattern: re.Pattern[str], problem: Message, remedy: Message) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(problem, remedy)
        return value

    return AfterValidator(check)


def _without_number(value: str) -> str:
    """Reject telephone numbers, because the public list shows the value to everyone. Raises ValueError."""
    if holds_number(value):
        raise ValueError(
            Message("contains a telephone number"), Message("Remove it: the public list shows this to everyone")
        )
    return value


def _moment(value: Any) -> Any:
    if isinstance(value, str) and not _ISO_DATE.fullmatch(value):  # pydantic reads 20261101 as seconds since 1970
        raise ValueError(Message("is not a date and time"), Message("Write it like 2026-01-10T00:00:00+09:00"))
    return value


def _day(value: Any) -> Any:
    if isinstance(value, str) and not _ISO_DATE.fullmatch(value):
        raise ValueError(Message("is not a date"), Message("Write it like 2026-01-10"))
    return value


def _sensible(value: AnyDate) -> AnyDate:
    """Validate that a date works in every time zone and in date arithmetic. Raises ValueError."""
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError(
            Message("is not a plausible date"),
            Message("Write a year from {first} to {last}", first=_FIRST_YEAR, last=_LAST_YEAR),
        )
    return value


Id = Annotated[str, AfterValidator(_id)]
"""An id. Few characters are allowed, because ids appear in tones' file names, in the ledger and in the dialplan."""
Text = Annotated[str, AfterValidator(_text)]
Sha256 = Annotated[str, AfterValidator(_sha256)]
NoteKey = Annotated[str, AfterValidator(_note_key)]
"""A verifier key (C2SP signed-note): NAME+ID+BASE64."""
LogKey = Annotated[str, AfterValidator(_log_key)]
WitnessKey = Annotated[str, AfterValidator(_witness_key)]
CorporateNumber = Annotated[str, AfterValidator(_corporate_number)]
"""A legal person's number (法人番号), with 13 digits."""
_WEB_ADDRESS = _matching(_WEB, Message("is not a web address"), Message("Write it like https://www.example.jp/contact"))
_MAIL_ADDRESS = _matching(_MAIL, Message("is not a mail address"), Message("Write it like info@example.jp"))
WebAddress = Annotated[str, _WEB_ADDRESS, AfterValidator(_without_number)]
MailAddress = Annotated[str, _MAIL_ADDRESS, AfterValidator(_without_number)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment), AfterValidator(_sensible)]
Day = Annotated[date, BeforeValidator(_day), AfterValidator(_sensible)]


def day_begins(day: date) -> datetime:
    """UTC time at which a day begins in Japan."""
    return datetime.combine(day, time(), JAPAN).astimezone(UTC)


class Header(Model):
    """The registry's association, version and validity, from `issued` until `expires` (exclusive)."""

    association: Text
    version: Annotated[int, Field(ge=1, le=_LARGEST)]
    issued: Moment
    expires: Moment


class ToneEntry(Model):
    """A sound that can be licensed. `sha256` is the digest of the master if the sound is a recording."""

    id: Id
    title: Text
    sha256: Sha256 | None = None


class Name(Model):
    ja: Text
    en: Text


class Pledge(Model):
    """A member's pledge (誓約), in force from the day `signed` until the day `until` (exclusive, in Japan).

    `document` is the version of the pledge's text, and `sha256` is its file's digest.
    """

    signed: Day
    document: Text | None = None
    sha256: Sha256 | None = None
    signatory: Text | None = None
    until: Day | None = None

    def in_force(self, now: datetime) -> bool:
        return day_begins(self.signed) <= now and (self.until is None or now < day_begins(self.until))


class Certification(Model):
    """A member's or reseller's certification (認定), optionally with ETOC's mark.

    `document` is the proof, the certification notice (認定通知書). The certification ends when the day `until` begins
    in Japan, and the mark when `mark_until` begins. Both must be rechecked before the day `next_check`. The earliest of
    the three ends counts.
    """

    number: Text
    until: Day
    document: Text
    next_check: Day
    mark: Text | None = None
    mark_until: Day | None = None

    @property
    def ends(self) -> tuple[tuple[str, date], ...]:
        """Names of the fields that contain end dates, each with its date."""
        found = ("until", self.until), ("mark_until", self.mark_until), ("next_check", self.next_check)
        return tuple((name, day) for name, day in found if day is not None)

    @property
    def lapses(self) -> datetime:
        """Time at which the first part of the certification ends."""
        return day_begins(min(day for _, day in self.ends))


class Validity(Model):
    """A validity period from `start` (`from` in the file) until `until` (exclusive)."""

    start: Moment = Field(alias="from")
    until: Moment


class LicenceEntry(Model):
    """A member's right to use one sound (利用許諾)."""

    id: Id
    tone: Id
    status: LicenceStatus
    valid: Validity
    directions: Annotated[tuple[Direction, ...], Field(min_length=1)]


class LogEntry(Model):
    """A key that signs a member's evidence log. Its signatures count from `since` until `until` (exclusive).

    After that time, another key has replaced it or someone else may have it.
    """

    key: LogKey
    since: Moment
    until: Moment | None = None


class WitnessEntry(Model):
    """A witness whose cosignatures count from `since` until `until` (exclusive)."""

    key: WitnessKey
    since: Moment
    until: Moment | None = None


class WitnessPolicy(Model):
    """The accepted witnesses and the number of cosignatures that a log needs. Each name counts once."""

    cosignatures: Annotated[int, Field(ge=1, le=32)]
    witnesses: Annotated[tuple[WitnessEntry, ...], Field(min_length=1)]


class Contact(Model):
    """A member's public contact, without a telephone number."""

    web: WebAddress | None = None
    mail: MailAddress | None = None


class Member(Model):
    """A member carrier. `numbers` uses the three notations of `number_notation`."""

    id: Id
    name: Name
    certification: Certification | None = None
    pledge: Pledge | None = None
    licences: tuple[LicenceEntry, ...] = ()
    numbers: Annotated[tuple[str, ...], Field(repr=False)] = ()
    keys: tuple[NoteKey, ...] = ()
    """The keys that its nodes sign documents with (`idtone-office document key`)."""
    corporate_number: CorporateNumber | None = None
    notification: Annotated[Text, AfterValidator(_without_number)] | None = None
    """Its notification or registration number as a carrier (電気通信事業の届出番号・登録番号)."""
    contact: Contact | None = None
    logs: tuple[LogEntry, ...] = ()
    """The keys of the member's evidence logs (`idtone-evidence log key`)."""


class Days(Model):
    """A period of days from `start` (`from` in the file) until `until` (exclusive)."""

    start: Day = Field(alias="from")
    until: Day


class CriteriaReference(Model):
    version: Annotated[int, Field(ge=1)]
    sha256: Sha256


class EvaluationEntry(Model):
    """A member's evaluation (優良事業者評価). `percent` is its share of the points.

    `criteria`, `result` and `badge` are the digests of files published with the public list.
    """

    member: Id
    grade: Id
    title: Name
    percent: Annotated[str, Field(pattern=r"^[0-9]{1,3}\.[0-9]$")]
    period: Days
    valid: Validity
    criteria: CriteriaReference
    result: Sha256
    badge: Sha256


class ResellerCheck(Model):
    """A reseller check: who did it, the day in Japan and the document."""

    by: Id
    day: Day
    document: Text


class ChainLink(Model):
    """A link of a wholesale chain, in which one member passes numbers to another (卸元 → 卸先).

    In the file, the fields are named `from` and `to`.
    """

    wholesaler: Id = Field(alias="from")
    reseller: Id = Field(alias="to")
    checked: ResellerCheck | None = None
    certification: Certification | None = None
    """The reseller's certification, as seen by the wholesaler."""


class ChainEntry(Model):
    """Wholesale chain of numbers (卸).

    The first link begins with the member that holds the numbers, and the last link ends with the member in charge.
    `numbers` is one entry of `number_notation`.
    """

    numbers: Annotated[str, Field(repr=False)]
    links: Annotated[tuple[ChainLink, ...], Field(min_length=1, max_length=CHAIN_LIMIT)]


class PortingEntry(Model):
    """Numbers that move from one member to another at the time `at` (番号ポータビリティ).

    In the file, the members are named `from` and `to`. `numbers` is one entry of `number_notation`.
    """

    numbers: Annotated[str, Field(repr=False)]
    giver: Id = Field(alias="from")
    taker: Id = Field(alias="to")
    at: Moment


class SuspensionKind(StrEnum):
    STOP = "stop"
    """Calls with the numbers are refused."""
    NO_NEW_NUMBERS = "no-new-numbers"
    """The member gets no more numbers, but those that it holds stay in use."""


class SuspensionEntry(Model):
    """A suspension at the request of the police (番号停止), in force from `since` until `until` (exclusive).

    An entry has exactly one of `number`, `numbers` (an entry of `number_notation`) and `member` (all numbers that the
    member has at any time). `authority` is the body that made the request.
    """

    number: Annotated[str | None, Field(repr=False)] = None
    numbers: Annotated[str | None, Field(repr=False)] = None
    member: Id | None = None
    kind: SuspensionKind = SuspensionKind.STOP
    since: Moment
    until: Moment | None = None
    reference: Text
    authority: Text | None = None

    def in_force(self, now: datetime) -> bool:
        return self.since <= now and (self.until is None or now < self.until)


class SuspensionsDocument(Model):
    """The suspensions file. Its signers differ from the registry's signers and sign more often."""

    issued: Moment
    suspensions: tuple[SuspensionEntry, ...] = ()


class NeverOriginatesEntry(Model):
    """Numbers that never originate calls, such as police stations. A call that presents such a number is spoofed.

    An entry has either `number` or `numbers` (an entry of `number_notation`), the holder, and the document in which the
    holder requested the entry. It is in force from `since` until `until` (exclusive).
    """

    number: Annotated[str | None, Field(repr=False)] = None
    numbers: Annotated[str | None, Field(repr=False)] = None
    holder: Text
    reference: Text
    why: Text | None = None
    since: Moment
    until: Moment | None = None

    def in_force(self, now: datetime) -> bool:
        return self.since <= now and (self.until is None or now < self.until)


class NeverOriginatesDocument(Model):
    """The file of numbers that never originate calls. The file is optional."""

    issued: Moment
    never_originates: tuple[NeverOriginatesEntry, ...] = ()


class StoppingCondition(Model):
    """Condition under which a member ends the use of its numbers (利用停止条件).

    `finding` is a rule of `idtone-office misuse`. Within `within_days`, the condition leads to a question, a report, or
    the end of the use.
    """

    id: Id
    finding: Id | None = None
    leads_to: Literal["ask", "report", "stop"]
    within_days: Annotated[int, Field(ge=0, le=365)]
    text: Name


class RegistryDocument(Model):
    """Content of a registry file."""

    registry: Header
    tones: tuple[ToneEntry, ...]
    members: tuple[Member, ...]
    evaluations: tuple[EvaluationEntry, ...] = ()
    chains: tuple[ChainEntry, ...] = ()
    portings: tuple[PortingEntry, ...] = ()
    suspensions: tuple[SuspensionEntry, ...] = ()
    never_originates: tuple[NeverOriginatesEntry, ...] | None = None
    """The list of numbers that never originate. None means no list, which differs from an empty list."""
    witness_policy: WitnessPolicy | None = None
    stopping_version: Text | None = None
    stopping_conditions: tuple[StoppingCondition, ...] = ()
