"""Describes the differences between two editions of the registry or of the suspensions for people.

The descriptions go into the history and onto screens, so they show at most the last four digits of numbers. Only people
who sign see whole numbers. `say` formats the numbers.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

from idtone.core.calls import Direction, LicenceStatus
from idtone.core.japan_time import end_words, last_day
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import parse_japanese
from idtone.core.translation import Message, joined, template

from .model import (
    ChainEntry,
    ChainLink,
    EvaluationEntry,
    LicenceEntry,
    LogEntry,
    Member,
    NeverOriginatesDocument,
    NeverOriginatesEntry,
    Pledge,
    PortingEntry,
    RegistryDocument,
    SuspensionEntry,
    SuspensionKind,
    SuspensionsDocument,
    ToneEntry,
    WitnessEntry,
)
from .never_originating import span_of
from .number_notation import counted, masked, read_span
from .stopping_conditions import condition_change, condition_words
from .suspended_numbers import scope_of

Item = TypeVar("Item")
_OfNumbers = TypeVar("_OfNumbers", ChainEntry, PortingEntry)
_OfTerm = TypeVar("_OfTerm", LogEntry, WitnessEntry)
Say = Callable[[NumberSpan], str]
"""A function that formats the numbers in a difference's description."""


def registry_differences(old: RegistryDocument, new: RegistryDocument, say: Say = masked) -> Iterator[str]:
    """Differences between two registries, their sounds and their members.

    A member's differences include its licences and numbers. `say` formats telephone numbers.
    """
    for name, before, after in (
        (Message("the association"), old.registry.association, new.registry.association),
        (Message("the registry's expiry"), old.registry.expires, new.registry.expires),
    ):
        yield from _changed(name, before, after)
    yield from _items(Message("tone"), old.tones, new.tones, _of_tone, _tone)
    yield from _items(
        Message("member"), old.members, new.members, partial(_of_member, say=say), partial(_member, say=say)
    )
    yield from _evaluations(old.evaluations, new.evaluations)
    yield from _by_numbers(Message("the wholesale chain"), old.chains, new.chains, _chain, say)
    yield from _by_numbers(Message("the porting"), old.portings, new.portings, _porting, say)
    policies = old.witness_policy, new.witness_policy
    yield from _terms(Message("witness"), *(policy.witnesses if policy else () for policy in policies))
    yield from _changed(Message("the number of cosignatures"), *(policy and policy.cosignatures for policy in policies))
    yield from _changed(Message("the version of the stopping conditions"), old.stopping_version, new.stopping_version)
    conditions = old.stopping_conditions, new.stopping_conditions
    yield from _items(Message("stopping condition"), *conditions, condition_words, condition_change)


def suspension_differences(old: SuspensionsDocument, new: SuspensionsDocument, say: Say = masked) -> Iterator[str]:
    """Entries lifted, added or changed between two lists of suspensions. `say` formats telephone numbers."""
    before, after = ({(entry.kind, scope_of(entry)): entry for entry in each.suspensions} for each in (old, new))
    for key, entry in before.items():
        if key not in after:
            yield Message(
                _IS_LIFTED,
                entry=_suspended(entry, say),
                lifted=_LIFTED[entry.kind],
                reference=entry.reference,
            )
    for key, entry in after.items():
        if key in before:
            yield from _suspension(before[key], entry, say)
            continue
        until = Message(" until {until}", until=end_words(entry.until)) if entry.until else ""
        asked = f", {entry.authority}" if entry.authority else ""
        state = Message(
            "{effect} since {since}{until}", effect=_SUSPENDED[entry.kind], since=_moment(entry.since), until=until
        )
        yield Message(
            "{entry}: {state} (reference {reference}{asked})",
            entry=_suspended(entry, say),
            state=state,
            reference=entry.reference,
            asked=asked,
        )


def ended_reference(words: str) -> str | None:
    """Reference of the entry that a difference removes; None for other differences.

    The entry is a suspension or declares numbers that never originate calls.
    """
    if isinstance(words, Message) and words.template in (_IS_LIFTED, _MAY_ORIGINATE):
        return str(words.fields["reference"])
    return None


def never_originates_differences(
    old: NeverOriginatesDocument, new: NeverOriginatesDocument, say: Say = masked
) -> Iterator[str]:
    """Entries removed, added or changed between two lists of numbers that never originate calls."""
    before, after = ({span_of(entry): entry for entry in each.never_originates} for each in (old, new))
    for span, entry in before.items():
        if span not in after:
            yield Message(
                _MAY_ORIGINATE,
                span=say(span),
                holder=entry.holder,
                reference=entry.reference,
            )
    for span, entry in after.items():
        if span in before:
            yield from _never_originates(say(span), before[span], entry)
            continue
        until = Message(" until {until}", until=end_words(entry.until)) if entry.until else ""
        why = f", {entry.why}" if entry.why else ""
        state = Message("never originates since {since}{until}", since=_moment(entry.since), until=until)
        yield Message(
            "{span} of {holder} {state} (reference {reference}{why})",
            span=say(span),
            holder=entry.holder,
            state=state,
            reference=entry.reference,
            why=why,
        )


def _never_originates(what: str, old: NeverOriginatesEntry, new: NeverOriginatesEntry) -> Iterator[str]:
    yield from _changed(Message("{what}: its holder", what=what), old.holder, new.holder)
    yield from _changed(Message("{what}: the start of its entry", what=what), old.since, new.since)
    yield from _changed(Message("{what}: the end of its entry", what=what), _end(old.until), _end(new.until))
    yield from _changed(Message("{what}: the reference of its entry", what=what), old.reference, new.reference)
    yield from _changed(Message("{what}: the reason of its entry", what=what), old.why, new.why)


_SUSPENDED: Final = {
    SuspensionKind.STOP: Message("is suspended"),
    SuspensionKind.NO_NEW_NUMBERS: Message("gets no new numbers"),
}
_IS_LIFTED: Final = template("{entry}: {lifted} (reference {reference})")
_MAY_ORIGINATE: Final = template("{span} of {holder} may originate calls again (reference {reference})")
_LIFTED: Final = {
    SuspensionKind.STOP: Message("its suspension is lifted"),
    SuspensionKind.NO_NEW_NUMBERS: Message("may get new numbers again"),
}


def _suspended(entry: SuspensionEntry, say: Say) -> str:
    scope = scope_of(entry)
    if not isinstance(scope, NumberSpan):
        return (
            Message("member {scope}", scope=scope)
            if entry.kind is SuspensionKind.NO_NEW_NUMBERS
            else Message("all numbers of member {scope}", scope=scope)
        )
    return say(scope)


def _by_numbers(
    what: str, old: Iterable[_OfNumbers], new: Iterable[_OfNumbers], words: Callable[[_OfNumbers], str], say: Say
) -> Iterator[str]:
    """Differences between two editions of a list. Entries with the same numbers count as the same entry."""
    before, after = ({read_span(entry.numbers): entry for entry in each} for each in (old, new))
    for span, entry in before.items():
        if span not in after:
            yield Message("{what} of {span} is removed: {entry}", what=what, span=say(span), entry=words(entry))
    for span, entry in after.items():
        if span not in before:
            yield Message("{what} of {span} is new: {entry}", what=what, span=say(span), entry=words(entry))
        else:
            yield from _changed(
                Message("{what} of {span}", what=what, span=say(span)), words(before[span]), words(entry)
            )


def _porting(entry: PortingEntry) -> str:
    return Message("{giver} > {taker} at {at}", giver=entry.giver, taker=entry.taker, at=_moment(entry.at))


def _chain(chain: ChainEntry) -> str:
    return joined(" > ", (chain.links[0].wholesaler, *map(_reseller, chain.links)))


def _reseller(link: ChainLink) -> str:
    check = link.checked
    words = (
        Message("checked {day} by {by}: {document}", day=check.day, by=check.by, document=check.document)
        if check
        else Message("not checked")
    )
    seen = _certification(link)
    certified = Message("; certification {certification}", certification=seen) if seen else ""
    return Message("{reseller} ({check}{certified})", reseller=link.reseller, check=words, certified=certified)


def _suspension(old: SuspensionEntry, new: SuspensionEntry, say: Say) -> Iterator[str]:
    what = _suspended(new, say)
    yield from _changed(Message("{what}: the start of its suspension", what=what), old.since, new.since)
    yield from _changed(Message("{what}: the end of its suspension", what=what), _end(old.until), _end(new.until))
    yield from _changed(Message("{what}: the reference of its suspension", what=what), old.reference, new.reference)
    yield from _changed(Message("{what}: the authority of its suspension", what=what), old.authority, new.authority)


def _evaluations(old: Iterable[EvaluationEntry], new: Iterable[EvaluationEntry]) -> Iterator[str]:
    before, after = ({entry.member: entry for entry in each} for each in (old, new))
    for member in sorted(before.keys() - after.keys()):
        yield Message("evaluation of {member} is removed", member=member)
    for member, entry in after.items():
        if before.get(member) != entry:
            valid = Message(
                "valid from {start} until {until}", start=_moment(entry.valid.start), until=end_words(entry.valid.until)
            )
            yield (
                Message(
                    "evaluation of {member}: {grade} ({ja} / {en}), {percent} %, for {start}/{until} by criteria "
                    "{version}, {valid}, result {result}…",
                    member=member,
                    grade=entry.grade,
                    ja=entry.title.ja,
                    en=entry.title.en,
                    percent=entry.percent,
                    start=entry.period.start,
                    until=last_day(entry.period.until),
                    version=entry.criteria.version,
                    valid=valid,
                    result=entry.result[:8],
                )
            )


def _items(
    kind: str,
    old: Iterable[Item],
    new: Iterable[Item],
    summary: Callable[[Item], str],
    compare: Callable[[Item, Item], Iterable[str]],
) -> Iterator[str]:
    before, after = _by_id(old), _by_id(new)
    for identity, item in before.items():
        if identity not in after:
            yield Message("{kind} {identity} is removed: {item}", kind=kind, identity=identity, item=summary(item))
    for identity, item in after.items():
        if identity not in before:
            yield Message("{kind} {identity} is new: {item}", kind=kind, identity=identity, item=summary(item))
        elif item != before[identity]:
            yield from (
                Message("{kind} {identity}: {change}", kind=kind, identity=identity, change=change)
                for change in compare(before[identity], item)
            )


def _by_id(items: Iterable[Any]) -> Mapping[Hashable, Any]:
    return {item.id: item for item in items}


def _of_tone(tone: ToneEntry) -> str:
    master = Message("master {sha256}…", sha256=tone.sha256[:8]) if tone.sha256 else Message("no recording")
    return joined(", ", (tone.title, master))


def _tone(old: ToneEntry, new: ToneEntry) -> Iterator[str]:
    yield from _changed(Message("the title"), old.title, new.title)
    yield from _changed(Message("the master"), old.sha256, new.sha256)


def _of_member(member: Member, say: Say) -> str:
    licences = joined(
        "; ",
        (
            Message("licence {id}, {licence}", id=licence.id, licence=_of_licence(licence))
            for licence in member.licences
        ),
    )
    numbers = sum(len(read_span(entry)) for entry in member.numbers)
    held = (
        counted(numbers)
        if say is masked
        else joined(", ", (counted(numbers), *map(say, map(read_span, member.numbers))))
    )
    pledge = Message("pledge {pledge}", pledge=_pledge(member.pledge)) if member.pledge else Message("no pledge")
    certification = _certification(member)
    certified = Message(", certification {certification}", certification=certification) if certification else ""
    name = f"{member.name.ja} / {member.name.en}"
    certified = joined("", (name, certified))
    logs = [Message("log {key}", key=each.key) for each in member.logs]
    return joined(", ", (certified, pledge, licences or Message("no licence"), *logs, held))


def _certification(entry: Member | ChainLink) -> str | None:
    it = entry.certification
    if it is None:
        return None
    words = Message(
        "{number} until {until}, by {document}, next check {next_check}",
        number=it.number,
        until=last_day(it.until),
        document=it.document,
        next_check=it.next_check,
    )
    return (
        Message(
            "{words}, mark {mark} until {mark_until}",
            words=words,
            mark=it.mark,
            mark_until=it.mark_until and last_day(it.mark_until),
        )
        if it.mark
        else words
    )


def _pledge(pledge: Pledge | None) -> str | None:
    if pledge is None:
        return None
    words = [Message("signed {signed}", signed=pledge.signed)]
    words += [Message("by {signatory}", signatory=pledge.signatory)] if pledge.signatory else []
    words += [Message("version {version}", version=pledge.document)] if pledge.document else []
    words += [Message("SHA-256 {sha256}…", sha256=pledge.sha256[:8])] if pledge.sha256 else []
    words += [Message("until {until}", until=last_day(pledge.until))] if pledge.until else []
    return joined(", ", words)


def _contact(member: Member) -> str | None:
    return ", ".join(filter(None, (member.contact.web, member.contact.mail))) if member.contact else None


def _member(old: Member, new: Member, say: Say) -> Iterator[str]:
    yield from _changed(Message("the Japanese name"), old.name.ja, new.name.ja)
    yield from _changed(Message("the English name"), old.name.en, new.name.en)
    yield from _changed(Message("the certification"), _certification(old), _certification(new))
    yield from _changed(Message("the pledge"), _pledge(old.pledge), _pledge(new.pledge))
    yield from (Message("key {key} is removed", key=key) for key in old.keys if key not in new.keys)
    yield from (Message("key {key} is new", key=key) for key in new.keys if key not in old.keys)
    yield from _changed(Message("the corporate number"), old.corporate_number, new.corporate_number)
    yield from _changed(Message("the number of its notification"), old.notification, new.notification)
    yield from _changed(Message("the contact"), _contact(old), _contact(new))
    yield from _terms(Message("log"), old.logs, new.logs)
    yield from _items(Message("licence"), old.licences, new.licences, _of_licence, _licence)
    if old.numbers != new.numbers:
        released, assigned = changed_numbers(map(read_span, old.numbers), map(read_span, new.numbers))
        yield from _numbers(Message("released"), released, say)
        yield from _numbers(Message("assigned"), assigned, say)
        if not released and not assigned:
            yield Message("the same numbers in another notation")


def changed_numbers(old: Iterable[NumberSpan], new: Iterable[NumberSpan]) -> tuple[list[NumberSpan], list[NumberSpan]]:
    """Removed and added number spans, regardless of how the entries are split."""
    before, after = ({_key(span): span for span in each} for each in (old, new))
    return (
        _but([span for key, span in before.items() if key not in after], after.values()),
        _but([span for key, span in after.items() if key not in before], before.values()),
    )


def _terms(kind: str, old: Iterable[_OfTerm], new: Iterable[_OfTerm]) -> Iterator[str]:
    """Differences between the keys of logs or witnesses and between their periods."""
    before, after = ({each.key: each for each in some} for some in (old, new))
    for key in (key for key in before if key not in after):
        yield Message("{kind} {key} is removed", kind=kind, key=key)
    for key, entry in after.items():
        if key not in before:
            yield Message("{kind} {key} is new: {term}", kind=kind, key=key, term=_term(entry))
        else:
            yield from _changed(Message("{kind} {key}", kind=kind, key=key), _term(before[key]), _term(entry))


def _term(entry: LogEntry | WitnessEntry) -> str:
    until = Message(" until {until}", until=end_words(entry.until)) if entry.until else ""
    return Message("since {since}{until}", since=_moment(entry.since), until=until)


def _but(spans: Iterable[NumberSpan], others: Iterable[NumberSpan]) -> list[NumberSpan]:
    """Parts of the spans outside all others."""
    left = sorted(spans, key=_key)
    for other in others if left else ():
        left = [piece for span in left for piece in span.without(other)]
    return left


def _of_licence(licence: LicenceEntry) -> str:
    directions = _directions(licence)
    valid = Message(
        "from {start} until {until}", start=_moment(licence.valid.start), until=end_words(licence.valid.until)
    )
    return Message(
        "{status}, tone {tone}, {directions}, {valid}",
        status=Message(_STATUS[licence.status]),
        tone=licence.tone,
        directions=directions,
        valid=valid,
    )


def _licence(old: LicenceEntry, new: LicenceEntry) -> Iterator[str]:
    yield from _changed(Message("the tone"), old.tone, new.tone)
    yield from _changed(Message("the status"), Message(_STATUS[old.status]), Message(_STATUS[new.status]))
    yield from _changed(Message("the start"), old.valid.start, new.valid.start)
    yield from _changed(Message("the end"), _end(old.valid.until), _end(new.valid.until))
    yield from _changed(Message("the coverage"), _directions(old), _directions(new))


_DIRECTIONS: Final = {Direction.INCOMING: template("incoming"), Direction.OUTGOING: template("outgoing")}
_STATUS: Final = {
    LicenceStatus.ACTIVE: template("active"),
    LicenceStatus.SUSPENDED: template("suspended"),
    LicenceStatus.REVOKED: template("revoked"),
}


def _directions(licence: LicenceEntry) -> str:
    first, *others = sorted(set(licence.directions))
    return Message("incoming and outgoing") if others else Message(_DIRECTIONS[first])


def _numbers(act: str, spans: list[NumberSpan], say: Say) -> Iterator[str]:
    for span in spans:
        yield Message("{act}: {span}", act=act, span=say(span))


def _number(text: str) -> str:
    return str(parse_japanese(text))


def _key(span: NumberSpan) -> tuple[int, int]:
    return span.first, span.last


def _changed(name: str, old: Any, new: Any) -> Iterator[str]:
    if old != new:
        yield Message("{name} is {new}, was {old}", name=name, new=_value(new), old=_value(old))


def _value(value: Any) -> str:
    return Message("none") if value is None else _moment(value) if hasattr(value, "isoformat") else str(value)


def _end(until: datetime | None) -> str | None:
    return None if until is None else end_words(until)


def _moment(value: Any) -> str:
    return str(value.isoformat())
