"""Reports on a registry, as JSON values and as lines of text.

Only the last four digits of a number are shown.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, TypedDict

from idtone.core.calls import link_is_checked
from idtone.core.japan_time import JAPAN, end_words, last_day
from idtone.core.licence_standing import judge
from idtone.core.numbers import Number, parse_japanese
from idtone.core.translation import Message, joined, template

from .compiled_registry import licences, wholesale_chain
from .index import RegistryIndex
from .model import Certification, ChainEntry, Member, PortingEntry, RegistryDocument, SuspensionEntry, SuspensionKind
from .number_notation import masked, read_span


class Counts(TypedDict):
    members: int
    licences: int
    numbers: int
    chains: int
    portings: int
    suspensions: int


class CertificationReport(TypedDict):
    """A certification in a report. `counts` is True if all its end dates are in the future."""

    number: str
    until: str
    document: str
    next_check: str
    mark: str | None
    mark_until: str | None
    counts: bool


class LicenceReport(TypedDict):
    """A licence in a report.

    `state` is a decision reason code such as `licence-valid` or `licence-expired`, regardless of the direction.
    """

    id: str
    tone: str
    state: str
    valid_from: str
    valid_until: str
    directions: list[str]


class MemberReport(TypedDict):
    """A member in a report.

    `entries` counts the entries in the file, and `numbers` counts the numbers that they cover.
    """

    id: str
    name_ja: str
    name_en: str
    certification: CertificationReport | None
    pledge_signed: str | None
    pledge_until: str | None
    pledge_document: str | None
    pledge_sha256: str | None
    pledge_signatory: str | None
    pledge_in_force: bool
    entries: int
    numbers: int
    licences: list[LicenceReport]


class LinkReport(TypedDict):
    """A link of a wholesale chain in a report. `counts` is True if the reseller check is currently valid."""

    wholesaler: str
    reseller: str
    checked_by: str | None
    checked_on: str | None
    document: str | None
    counts: bool
    certification: CertificationReport | None


class ChainReport(TypedDict):
    """A wholesale chain in a report. `member` is in charge of the numbers."""

    numbers: str
    holder: str
    member: str
    links: list[LinkReport]


class PortingReport(TypedDict):
    """A porting in a report. `giver` holds the numbers until the time `at`, and `taker` from then on.

    `done` is True if `at` is in the past.
    """

    numbers: str
    giver: str
    taker: str
    at: str
    done: bool


class NumberReport(TypedDict):
    """A number in a report.

    `member` is in charge of the number, through the `links` of its wholesale chain. `numbers` are the numbers of that
    chain, or None without a chain. `porting` is a past or future porting.
    """

    number: str
    numbers: str | None
    holder: str | None
    member: str | None
    links: list[LinkReport]
    porting: PortingReport | None


class SuspensionReport(TypedDict):
    """A suspension in a report. Exactly one of `number`, `numbers` and `member` has a value."""

    kind: str
    number: str | None
    numbers: str | None
    member: str | None
    since: str
    until: str | None
    in_force: bool
    reference: str
    authority: str | None


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
    chains: list[ChainReport]
    portings: list[PortingReport]
    suspensions: list[SuspensionReport]


def _iso(at: datetime) -> str:
    """Time in ISO 8601 with Japan's UTC offset."""
    return at.astimezone(JAPAN).isoformat()


def counts(document: RegistryDocument) -> Counts:
    return Counts(
        members=len(document.members),
        licences=sum(len(member.licences) for member in document.members),
        numbers=sum(map(number_count, document.members)),
        chains=len(document.chains),
        portings=len(document.portings),
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
        chains=[chain_report(chain, now) for chain in document.chains],
        portings=[porting_report(entry, now) for entry in document.portings],
        suspensions=suspension_reports(document.suspensions, now),
    )


def chain_report(chain: ChainEntry, now: datetime, lasts: timedelta | None = None) -> ChainReport:
    """Report on a wholesale chain. A reseller check is valid for `lasts` (`policy.chain_check`)."""
    return ChainReport(
        numbers=masked(read_span(chain.numbers)),
        holder=chain.links[0].wholesaler,
        member=chain.links[-1].reseller,
        links=[
            LinkReport(
                wholesaler=link.wholesaler,
                reseller=link.reseller,
                checked_by=link.checked.by if link.checked else None,
                checked_on=link.checked.day.isoformat() if link.checked else None,
                document=link.checked.document if link.checked else None,
                counts=link_is_checked(at, now, lasts),
                certification=_certification_report(link.certification, now),
            )
            for link, at in zip(chain.links, wholesale_chain(chain).checked, strict=True)
        ],
    )


def number_report(document: RegistryDocument, number: Number, now: datetime, lasts: timedelta | None) -> NumberReport:
    """Report on a number, with the member in charge. A reseller check is valid for `lasts`."""
    wanted = int(number.e164)
    ported = next((entry for entry in document.portings if wanted in read_span(entry.numbers)), None)
    if ported:
        holder: str | None = ported.giver if now < ported.at else ported.taker
    else:
        holder = next((member.id for member in document.members if _holds(member, wanted)), None)
    porting = porting_report(ported, now) if ported else None
    for chain in document.chains:
        if chain.links[0].wholesaler == holder and wanted in read_span(chain.numbers):
            told = chain_report(chain, now, lasts)
            return NumberReport(number=str(number), **told, porting=porting)
    return NumberReport(number=str(number), numbers=None, holder=holder, member=holder, links=[], porting=porting)


def _holds(member: Member, number: int) -> bool:
    return any(number in span for span in map(read_span, member.numbers))


def porting_report(entry: PortingEntry, now: datetime) -> PortingReport:
    return PortingReport(
        numbers=masked(read_span(entry.numbers)),
        giver=entry.giver,
        taker=entry.taker,
        at=_iso(entry.at),
        done=now >= entry.at,
    )


def porting_words(report: PortingReport) -> str:
    """One-line description of a porting, such as `m-0001 > m-0002 at 2026-12-01T00:00:00+09:00`."""
    done = Message(" (done)") if report["done"] else ""
    return Message(
        "{giver} > {taker}  at {at}{done}", giver=report["giver"], taker=report["taker"], at=report["at"], done=done
    )


def suspension_reports(entries: Iterable[SuspensionEntry], now: datetime) -> list[SuspensionReport]:
    return [
        SuspensionReport(
            kind=entry.kind,
            number=str(parse_japanese(entry.number)) if entry.number else None,
            numbers=masked(read_span(entry.numbers)) if entry.numbers else None,
            member=entry.member,
            since=_iso(entry.since),
            until=_iso(entry.until) if entry.until else None,
            in_force=entry.in_force(now),
            reference=entry.reference,
            authority=entry.authority,
        )
        for entry in entries
    ]


def member_report(member: Member, now: datetime) -> MemberReport:
    pledge = member.pledge
    return MemberReport(
        id=member.id,
        name_ja=member.name.ja,
        name_en=member.name.en,
        certification=_certification_report(member.certification, now),
        pledge_signed=pledge.signed.isoformat() if pledge else None,
        pledge_until=pledge.until.isoformat() if pledge and pledge.until else None,
        pledge_document=pledge.document if pledge else None,
        pledge_sha256=pledge.sha256 if pledge else None,
        pledge_signatory=pledge.signatory if pledge else None,
        pledge_in_force=pledge is not None and pledge.in_force(now),
        entries=len(member.numbers),
        numbers=number_count(member),
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


def _certification_report(it: Certification | None, now: datetime) -> CertificationReport | None:
    if it is None:
        return None
    return CertificationReport(
        number=it.number,
        until=it.until.isoformat(),
        document=it.document,
        next_check=it.next_check.isoformat(),
        mark=it.mark,
        mark_until=it.mark_until.isoformat() if it.mark_until else None,
        counts=now < it.lapses,
    )


def certification_words(report: CertificationReport) -> str:
    until = report["mark_until"]
    mark = (
        Message(", mark {mark} until {mark_until}", mark=report["mark"], mark_until=last_day(until) if until else "")
        if report["mark"]
        else ""
    )
    state = "" if report["counts"] else Message(" (does not count now)")
    words = Message(
        "{number} until {until}{mark}, by {document}",
        number=report["number"],
        until=last_day(report["until"]),
        mark=mark,
        document=report["document"],
    )
    return Message("{words}, next check {next_check}{state}", words=words, next_check=report["next_check"], state=state)


def registry_lines(report: RegistryReport) -> Iterator[str]:
    expired = Message(" (has expired)") if report["expired"] else ""
    yield Message("{association}, version {version}", association=report["association"], version=report["version"])
    yield Message("  issued  {issued}", issued=report["issued"])
    yield Message("  expires {expires}{expired}", expires=report["expires"], expired=expired)
    good_until = end_words(report["good_until"])
    yield Message("  trust   {trust}, good until {good_until}", trust=report["trust"], good_until=good_until)
    yield Message("  tones   {value}", value=", ".join(report["tones"]) or Message("none"))
    for member in report["members"]:
        yield ""
        yield from member_lines(member)
    if report["chains"]:
        yield ""
        yield Message("wholesale chains")
        for chain in report["chains"]:
            yield joined(
                "", (f"  {chain['numbers']}  ", joined(" > ", (chain["holder"], *map(_reseller, chain["links"]))))
            )
    if report["portings"]:
        yield ""
        yield Message("portings")
        for entry in report["portings"]:
            yield joined("", (f"  {entry['numbers']}  ", porting_words(entry)))
    if report["suspensions"]:
        yield ""
        yield from suspension_lines(report["suspensions"])


def _reseller(link: LinkReport) -> str:
    return link["reseller"] if link["counts"] else Message("{reseller} (not checked)", reseller=link["reseller"])


def link_words(link: LinkReport) -> str:
    """Description of a reseller check."""
    words = Message("not checked")
    if link["checked_on"] is not None:
        words = Message(
            "checked {checked_on} by {checked_by}: {document}",
            checked_on=link["checked_on"],
            checked_by=link["checked_by"],
            document=link["document"],
        )
        words = words if link["counts"] else Message("{words} (does not count now)", words=words)
    return (
        Message(
            "{words}; certification {certification}",
            words=words,
            certification=certification_words(link["certification"]),
        )
        if link["certification"]
        else words
    )


def suspension_lines(reports: Sequence[SuspensionReport]) -> Iterator[str]:
    yield Message("suspensions") if reports else Message("nothing is suspended")
    for each in reports:
        what = (
            each["number"]
            or each["numbers"]
            or Message(_OF_MEMBER[SuspensionKind(each["kind"])], member=each["member"])
        )
        until = Message(" until {until}", until=end_words(each["until"])) if each["until"] else ""
        asked = f", {each['authority']}" if each["authority"] else ""
        state = "" if each["in_force"] else Message(" (not in force)")
        yield Message(
            "  {what}  since {since}{until}{state}  reference {reference}{asked}",
            what=what,
            since=each["since"],
            until=until,
            state=state,
            reference=each["reference"],
            asked=asked,
        )


_OF_MEMBER: Final = {
    SuspensionKind.STOP: template("all numbers of member {member}"),
    SuspensionKind.NO_NEW_NUMBERS: template("no new numbers for member {member}"),
}


def member_lines(report: MemberReport) -> Iterator[str]:
    yield f"{report['id']}  {report['name_ja']} / {report['name_en']}"
    if report["certification"]:
        yield Message("  certification {certification}", certification=certification_words(report["certification"]))
    yield Message("  pledge  {report}", report=_pledge(report))
    yield Message("  numbers {numbers:,}; entries {entries:,}", numbers=report["numbers"], entries=report["entries"])
    for licence in report["licences"]:
        directions = joined(", ", map(Message, licence["directions"]))
        yield Message(
            "  licence {id}: {state}, tone {tone}, {directions}",
            id=licence["id"],
            state=Message(licence["state"]),
            tone=licence["tone"],
            directions=directions,
        )
        yield Message(
            "          from {valid_from} until {valid_until}",
            valid_from=licence["valid_from"],
            valid_until=end_words(licence["valid_until"]),
        )
    if not report["licences"]:
        yield Message("  no licence")


def _pledge(report: MemberReport) -> str:
    if not report["pledge_signed"]:
        return Message("none: no licence is valid")
    words = [Message("signed {pledge_signed}", pledge_signed=report["pledge_signed"])]
    words += (
        [Message("by {pledge_signatory}", pledge_signatory=report["pledge_signatory"])]
        if report["pledge_signatory"]
        else []
    )
    words += (
        [Message("version {pledge_document}", pledge_document=report["pledge_document"])]
        if report["pledge_document"]
        else []
    )
    words += (
        [Message("until {pledge_until}", pledge_until=last_day(report["pledge_until"]))]
        if report["pledge_until"]
        else []
    )
    state = "" if report["pledge_in_force"] else Message(" (not in force: no licence is valid)")
    return joined("", (joined(", ", words), state))


def number_count(member: Member) -> int:
    """Number of telephone numbers that a member holds. A number in two entries counts once."""
    total, reached = 0, 0
    for span in sorted(map(read_span, member.numbers), key=lambda span: span.first):
        total += max(0, span.last - max(span.first, reached + 1) + 1)
        reached = max(reached, span.last)
    return total
