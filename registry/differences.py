"""The differences between two editions of the registry, or of the suspensions, in words. Pure.

The words show the last four digits of numbers at most, because they go into the history and onto screens.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from idtone.number_spans import NumberSpan
from idtone.numbers import parse_japanese

from .model import (
    ChainEntry,
    ChainLink,
    EvaluationEntry,
    LicenceEntry,
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
)
from .never_originating import span_of
from .number_notation import counted, masked, read_span
from .suspended_numbers import scope_of

Item = TypeVar("Item")
_OfNumbers = TypeVar("_OfNumbers", ChainEntry, PortingEntry)


def registry_differences(old: RegistryDocument, new: RegistryDocument) -> Iterator[str]:
    """First the registry itself, then its sounds, then its members with their licences and numbers."""
    for name, before, after in (
        ("the association", old.registry.association, new.registry.association),
        ("the registry's expiry", old.registry.expires, new.registry.expires),
    ):
        yield from _changed(name, before, after)
    yield from _items("tone", old.tones, new.tones, _of_tone, _tone)
    yield from _items("member", old.members, new.members, _of_member, _member)
    yield from _evaluations(old.evaluations, new.evaluations)
    yield from _by_numbers("the wholesale chain", old.chains, new.chains, _chain)
    yield from _by_numbers("the porting", old.portings, new.portings, _porting)


def suspension_differences(old: SuspensionsDocument, new: SuspensionsDocument) -> Iterator[str]:
    """Suspensions that were lifted, added or changed."""
    before, after = ({(entry.kind, scope_of(entry)): entry for entry in each.suspensions} for each in (old, new))
    for key, entry in before.items():
        if key not in after:
            yield f"{_suspended(entry)}: {_LIFTED[entry.kind]} (reference {entry.reference})"
    for key, entry in after.items():
        if key in before:
            yield from _suspension(before[key], entry)
            continue
        until = f" until {_moment(entry.until)}" if entry.until else ""
        asked = f", {entry.authority}" if entry.authority else ""
        since = f"{_SUSPENDED[entry.kind]} since {_moment(entry.since)}{until}"
        yield f"{_suspended(entry)}: {since} (reference {entry.reference}{asked})"


def never_originates_differences(old: NeverOriginatesDocument, new: NeverOriginatesDocument) -> Iterator[str]:
    """Numbers that never originate: those that were removed, added or changed."""
    before, after = ({span_of(entry): entry for entry in each.never_originates} for each in (old, new))
    for span, entry in before.items():
        if span not in after:
            yield f"{masked(span)} of {entry.holder} may originate calls again (reference {entry.reference})"
    for span, entry in after.items():
        if span in before:
            yield from _never_originates(masked(span), before[span], entry)
            continue
        until = f" until {_moment(entry.until)}" if entry.until else ""
        why = f", {entry.why}" if entry.why else ""
        since = f"never originates since {_moment(entry.since)}{until}"
        yield f"{masked(span)} of {entry.holder} {since} (reference {entry.reference}{why})"


def _never_originates(what: str, old: NeverOriginatesEntry, new: NeverOriginatesEntry) -> Iterator[str]:
    yield from _changed(f"{what}: its holder", old.holder, new.holder)
    yield from _changed(f"{what}: the start of its entry", old.since, new.since)
    yield from _changed(f"{what}: the end of its entry", old.until, new.until)
    yield from _changed(f"{what}: the reference of its entry", old.reference, new.reference)
    yield from _changed(f"{what}: the reason of its entry", old.why, new.why)


_SUSPENDED: Final = {SuspensionKind.STOP: "is suspended", SuspensionKind.NO_NEW_NUMBERS: "gets no new numbers"}
_LIFTED: Final = {
    SuspensionKind.STOP: "its suspension is lifted",
    SuspensionKind.NO_NEW_NUMBERS: "may get new numbers again",
}


def _suspended(entry: SuspensionEntry) -> str:
    scope = scope_of(entry)
    if not isinstance(scope, NumberSpan):
        return f"member {scope}" if entry.kind is SuspensionKind.NO_NEW_NUMBERS else f"all numbers of member {scope}"
    return masked(scope)


def _by_numbers(
    what: str, old: Iterable[_OfNumbers], new: Iterable[_OfNumbers], words: Callable[[_OfNumbers], str]
) -> Iterator[str]:
    """Entries of a list; one is the same as before if it has the same numbers."""
    before, after = ({read_span(entry.numbers): entry for entry in each} for each in (old, new))
    for span, entry in before.items():
        if span not in after:
            yield f"{what} of {masked(span)} is removed: {words(entry)}"
    for span, entry in after.items():
        if span not in before:
            yield f"{what} of {masked(span)} is new: {words(entry)}"
        else:
            yield from _changed(f"{what} of {masked(span)}", words(before[span]), words(entry))


def _porting(entry: PortingEntry) -> str:
    return f"{entry.giver} > {entry.taker} at {_moment(entry.at)}"


def _chain(chain: ChainEntry) -> str:
    return " > ".join((chain.links[0].wholesaler, *map(_reseller, chain.links)))


def _reseller(link: ChainLink) -> str:
    check = link.checked
    words = f"checked {check.day} by {check.by}: {check.document}" if check else "not checked"
    certified = f"; certification {_certification(link)}" if link.certification else ""
    return f"{link.reseller} ({words}{certified})"


def _suspension(old: SuspensionEntry, new: SuspensionEntry) -> Iterator[str]:
    what = _suspended(new)
    yield from _changed(f"{what}: the start of its suspension", old.since, new.since)
    yield from _changed(f"{what}: the end of its suspension", old.until, new.until)
    yield from _changed(f"{what}: the reference of its suspension", old.reference, new.reference)
    yield from _changed(f"{what}: the authority of its suspension", old.authority, new.authority)


def _evaluations(old: Iterable[EvaluationEntry], new: Iterable[EvaluationEntry]) -> Iterator[str]:
    before, after = ({entry.member: entry for entry in each} for each in (old, new))
    for member in sorted(before.keys() - after.keys()):
        yield f"evaluation of {member} is removed"
    for member, entry in after.items():
        if before.get(member) != entry:
            valid = f"valid from {_moment(entry.valid.start)} until {_moment(entry.valid.until)}"
            yield (
                f"evaluation of {member}: {entry.grade} ({entry.title.ja} / {entry.title.en}), {entry.percent} %, for "
                f"{entry.period.start}/{entry.period.until} by criteria {entry.criteria.version}, {valid}, result "
                f"{entry.result[:8]}…"
            )


def _items(
    kind: str,
    old: Iterable[Item],
    new: Iterable[Item],
    summary: Callable[[Item], str],
    compare: Callable[[Item, Item], Iterable[str]],
) -> Iterator[str]:
    """Differences between two lists whose items have ids."""
    before, after = _by_id(old), _by_id(new)
    for identity, item in before.items():
        if identity not in after:
            yield f"{kind} {identity} is removed: {summary(item)}"
    for identity, item in after.items():
        if identity not in before:
            yield f"{kind} {identity} is new: {summary(item)}"
        elif item != before[identity]:
            yield from (f"{kind} {identity}: {words}" for words in compare(before[identity], item))


def _by_id(items: Iterable[Any]) -> Mapping[Hashable, Any]:
    return {item.id: item for item in items}


def _of_tone(tone: ToneEntry) -> str:
    return f"{tone.title}, {f'master {tone.sha256[:8]}…' if tone.sha256 else 'no recording'}"


def _tone(old: ToneEntry, new: ToneEntry) -> Iterator[str]:
    yield from _changed("the title", old.title, new.title)
    yield from _changed("the master", old.sha256, new.sha256)


def _of_member(member: Member) -> str:
    licences = "; ".join(f"licence {licence.id}, {_of_licence(licence)}" for licence in member.licences)
    numbers = sum(len(read_span(entry)) for entry in member.numbers)
    pledge = f"pledge {_pledge(member.pledge)}" if member.pledge else "no pledge"
    certified = f", certification {_certification(member)}" if member.certification else ""
    return f"{member.name.ja} / {member.name.en}{certified}, {pledge}, {licences or 'no licence'}, {counted(numbers)}"


def _certification(entry: Member | ChainLink) -> str | None:
    it = entry.certification
    if it is None:
        return None
    words = f"{it.number} until {it.until}, by {it.document}, next check {it.next_check}"
    return f"{words}, mark {it.mark} until {it.mark_until}" if it.mark else words


def _pledge(pledge: Pledge | None) -> str | None:
    if pledge is None:
        return None
    words = [f"signed {pledge.signed}"]
    words += [f"by {pledge.signatory}"] if pledge.signatory else []
    words += [f"version {pledge.document}"] if pledge.document else []
    words += [f"SHA-256 {pledge.sha256[:8]}…"] if pledge.sha256 else []
    words += [f"until {pledge.until}"] if pledge.until else []
    return ", ".join(words)


def _member(old: Member, new: Member) -> Iterator[str]:
    yield from _changed("the Japanese name", old.name.ja, new.name.ja)
    yield from _changed("the English name", old.name.en, new.name.en)
    yield from _changed("the certification", _certification(old), _certification(new))
    yield from _changed("the pledge", _pledge(old.pledge), _pledge(new.pledge))
    yield from (f"key {key} is removed" for key in old.keys if key not in new.keys)
    yield from (f"key {key} is new" for key in new.keys if key not in old.keys)
    yield from _items("licence", old.licences, new.licences, _of_licence, _licence)
    if old.numbers != new.numbers:
        before, after = ({_key(span): span for span in map(read_span, each.numbers)} for each in (old, new))
        released = _but([span for key, span in before.items() if key not in after], after.values())
        assigned = _but([span for key, span in after.items() if key not in before], before.values())
        yield from _numbers("released", released)
        yield from _numbers("assigned", assigned)
        if not released and not assigned:
            yield "the same numbers in another notation"


def _but(spans: Iterable[NumberSpan], others: Iterable[NumberSpan]) -> list[NumberSpan]:
    """The parts of the spans that are in none of the others: after a range was split, the missing part."""
    left = sorted(spans, key=_key)
    for other in others:
        left = [piece for span in left for piece in span.without(other)]
    return left


def _of_licence(licence: LicenceEntry) -> str:
    directions = " and ".join(sorted(licence.directions))
    until = f"from {_moment(licence.valid.start)} until {_moment(licence.valid.until)}"
    return f"{licence.status}, tone {licence.tone}, {directions}, {until}"


def _licence(old: LicenceEntry, new: LicenceEntry) -> Iterator[str]:
    yield from _changed("the tone", old.tone, new.tone)
    yield from _changed("the status", old.status, new.status)
    yield from _changed("the start", old.valid.start, new.valid.start)
    yield from _changed("the end", old.valid.until, new.valid.until)
    yield from _changed("the coverage", " and ".join(sorted(old.directions)), " and ".join(sorted(new.directions)))


def _numbers(what: str, spans: list[NumberSpan]) -> Iterator[str]:
    for span in spans:
        yield f"{what}: {masked(span)}"


def _number(text: str) -> str:
    return str(parse_japanese(text))


def _key(span: NumberSpan) -> tuple[int, int]:
    return span.first, span.last


def _changed(name: str, old: Any, new: Any) -> Iterator[str]:
    if old != new:
        yield f"{name} is {_value(new)}, was {_value(old)}"


def _value(value: Any) -> str:
    return "none" if value is None else _moment(value) if hasattr(value, "isoformat") else str(value)


def _moment(value: Any) -> str:
    return str(value.isoformat())
