"""Reports on a registry: plain values for JSON, and the same as lines of text.

Of each number, only the last four digits are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypedDict

from idtone.decision import judge
from idtone.numbers import parse_japanese

from .compiled import licences
from .index import RegistryIndex
from .model import JAPAN, Member, RegistryDocument, SuspensionEntry
from .number_notation import read_span


class Counts(TypedDict):
    members: int
    licences: int
    numbers: int
    suspensions: int


class LicenceReport(TypedDict):
    """`state` is a reason code of the decision, regardless of direction: `licence-valid`, `licence-expired`, …"""

    id: str
    tone: str
    state: str
    valid_from: str
    valid_until: str
    directions: list[str]


class MemberReport(TypedDict):
    """`entries` counts the entries in `numbers` of the file; `numbers` counts the numbers that they cover."""

    id: str
    name_ja: str
    name_en: str
    pledge_signed: str | None
    entries: int
    numbers: int
    licences: list[LicenceReport]


class SuspensionReport(TypedDict):
    number: str
    since: str
    in_force: bool
    reference: str


class RegistryReport(TypedDict):
    association: str
    version: int
    issued: str
    expires: str
    expired: bool
    trust: str
    good_until: str
    tones: list[str]
    members: list[MemberReport]
    suspensions: list[SuspensionReport]


def _iso(at: datetime) -> str:
    """ISO 8601 in Japan's time, whatever time zone the file uses."""
    return at.astimezone(JAPAN).isoformat()


def counts(document: RegistryDocument) -> Counts:
    return Counts(
        members=len(document.members),
        licences=sum(len(member.licences) for member in document.members),
        numbers=sum(map(_covered, document.members)),
        suspensions=len(document.suspensions),
    )


def registry_report(document: RegistryDocument, now: datetime, index: RegistryIndex) -> RegistryReport:
    header = document.registry
    return RegistryReport(
        association=header.association,
        version=header.version,
        issued=_iso(header.issued),
        expires=_iso(header.expires),
        expired=now >= index.expires,
        trust=index.trust,
        good_until=_iso(index.expires),
        tones=[tone.id for tone in document.tones],
        members=[member_report(member, now) for member in document.members],
        suspensions=suspension_reports(document.suspensions, now),
    )


def suspension_reports(entries: Iterable[SuspensionEntry], now: datetime) -> list[SuspensionReport]:
    return [
        SuspensionReport(
            number=str(parse_japanese(entry.number)),
            since=_iso(entry.since),
            in_force=now >= entry.since,
            reference=entry.reference,
        )
        for entry in entries
    ]


def member_report(member: Member, now: datetime) -> MemberReport:
    return MemberReport(
        id=member.id,
        name_ja=member.name.ja,
        name_en=member.name.en,
        pledge_signed=member.pledge.signed.isoformat() if member.pledge else None,
        entries=len(member.numbers),
        numbers=_covered(member),
        licences=[
            LicenceReport(
                id=licence.id,
                tone=licence.tone,
                state=judge(licence, min(licence.directions), now).value,
                valid_from=_iso(licence.valid_from),
                valid_until=_iso(licence.valid_until),
                directions=sorted(licence.directions),
            )
            for licence in licences(member)
        ],
    )


def registry_lines(report: RegistryReport) -> Iterator[str]:
    expired = " (has expired)" if report["expired"] else ""
    yield f"{report['association']}, version {report['version']}"
    yield f"  issued  {report['issued']}"
    yield f"  expires {report['expires']}{expired}"
    yield f"  trust   {report['trust']}, good until {report['good_until']}"
    yield f"  tones   {', '.join(report['tones']) or 'none'}"
    for member in report["members"]:
        yield ""
        yield from member_lines(member)
    if report["suspensions"]:
        yield ""
        yield from suspension_lines(report["suspensions"])


def suspension_lines(reports: Sequence[SuspensionReport]) -> Iterator[str]:
    yield "suspended numbers" if reports else "no number is suspended"
    for suspension in reports:
        to_come = "" if suspension["in_force"] else " (to come)"
        yield f"  {suspension['number']}  since {suspension['since']}{to_come}  reference {suspension['reference']}"


def member_lines(report: MemberReport) -> Iterator[str]:
    yield f"{report['id']}  {report['name_ja']} / {report['name_en']}"
    yield f"  pledge  {'signed ' + report['pledge_signed'] if report['pledge_signed'] else 'not recorded'}"
    yield f"  numbers {report['numbers']:,}; entries {report['entries']:,}"
    for licence in report["licences"]:
        directions = ", ".join(licence["directions"])
        yield f"  licence {licence['id']}: {licence['state']}, tone {licence['tone']}, {directions}"
        yield f"          from {licence['valid_from']} until {licence['valid_until']}"
    if not report["licences"]:
        yield "  no licence"


def _covered(member: Member) -> int:
    """How many numbers the member holds. A number in two entries counts once."""
    total, reached = 0, 0
    for span in sorted(map(read_span, member.numbers), key=lambda span: span.first):
        total += max(0, span.last - max(span.first, reached + 1) + 1)
        reached = max(reached, span.last)
    return total
