"""Edits the text of `registry.yaml`.

Each function changes `text`; `document` is its parsed form. Impossible edits raise UsageError, and malformed numbers
raise NumberError. `change_registry` then parses the whole text again and checks every registry rule.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Final

from idtone.core.calls import LicenceStatus
from idtone.core.errors import ProofError, UsageError
from idtone.core.japan_time import end_words
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import parse_japanese
from idtone.core.signed_notes import VerifierKey
from idtone.core.yaml_documents import Location
from idtone.registry.member_application import MemberApplication
from idtone.registry.model import Certification, EvaluationEntry, LicenceEntry, Member, Pledge, RegistryDocument
from idtone.registry.number_notation import read_span, span_notation

from .yaml_text import Tree, YamlText

_NUMBERED: Final = re.compile(r"L-(\d{1,9})")


def set_version(text: YamlText, version: int, issued: datetime) -> None:
    """Set the registry's version number and time of issue."""
    text.replace(("registry", "version"), version)
    text.replace(("registry", "issued"), issued)


def set_registry_end(text: YamlText, until: datetime) -> None:
    text.replace(("registry", "expires"), until)


def insert_application(
    text: YamlText, document: RegistryDocument, application: MemberApplication, start: datetime, until: datetime
) -> None:
    """Add an application's licences and numbers, and the member if it is new."""
    tones = {tone.id for tone in document.tones}
    for asked in application.licences:
        if asked.tone not in tones:
            raise UsageError("the registry has no tone {tone!r}; add it to `tones` first", tone=asked.tone)
    ids = _free_ids(document)
    licences: list[Tree] = [
        {
            "id": next(ids),
            "tone": asked.tone,
            "status": LicenceStatus.ACTIVE.value,
            "valid": {"from": start, "until": until},
            "directions": sorted(asked.directions),
        }
        for asked in application.licences
    ]
    at = next((m for m, member in enumerate(document.members) if member.id == application.member.id), None)
    name: Tree = {"ja": application.member.name.ja, "en": application.member.name.en}
    pledge: Tree = _as_tree(application.pledge)
    numbers: list[Tree] = list(application.numbers)
    if at is None:
        member: Tree = {
            "id": application.member.id,
            "name": name,
            "pledge": pledge,
            "licences": licences,
            "numbers": numbers,
        }
        text.append(("members",), [member])
        return
    known = document.members[at]
    if known.name != application.member.name:
        raise UsageError(
            "member {id} has another name in the registry; correct the id, or the name in one of the two", id=known.id
        )
    here: Location = ("members", at)
    if known.pledge is None:
        text.add(here, "pledge", pledge)
    text.append((*here, "licences"), licences)
    text.append((*here, "numbers"), numbers)


def insert_pledge(
    text: YamlText, document: RegistryDocument, member: str, signed: date, fields: Mapping[str, str | date]
) -> None:
    """Set a member's signed pledge, replacing any older one. `fields` contains the fields other than the date."""
    at, known = _member(document, member)
    here: Location = ("members", at)
    new = {"signed": signed, **fields}
    if known.pledge is None:
        text.add(here, "pledge", new)
        return
    if signed < known.pledge.signed:
        raise UsageError(
            "member {member} has signed a later pledge, on {signed}; look at --signed",
            member=member,
            signed=known.pledge.signed.isoformat(),
        )
    held = _as_tree(known.pledge)
    for key, value in new.items():
        if key in held:
            text.replace((*here, "pledge", key), value)
        else:
            text.add((*here, "pledge"), key, value)


def _as_tree(pledge: Pledge) -> dict[str, str | date]:
    fields = {
        "signed": pledge.signed,
        "document": pledge.document,
        "sha256": pledge.sha256,
        "signatory": pledge.signatory,
        "until": pledge.until,
    }
    return {key: value for key, value in fields.items() if value is not None}


def set_particulars(text: YamlText, document: RegistryDocument, member: str, fields: Mapping[str, str]) -> None:
    """Set a member's fields in the public list: `corporate_number`, `notification`, `web` and `mail`.

    Empty values change nothing.
    """
    at, known = _member(document, member)
    here: Location = ("members", at)
    for key, old in (("corporate_number", known.corporate_number), ("notification", known.notification)):
        _record(text, here, key, old, fields[key])
    contact = {name: fields[name] for name in ("web", "mail") if fields[name]}
    if contact and known.contact is None:
        text.add(here, "contact", contact)
    elif known.contact:
        for key, old in (("web", known.contact.web), ("mail", known.contact.mail)):
            _record(text, (*here, "contact"), key, old, fields[key])


def _record(text: YamlText, here: Location, key: str, old: str | None, new: str) -> None:
    if new and old is None:
        text.add(here, key, new)
    elif new and new != old:
        text.replace((*here, key), new)


def set_certification(
    text: YamlText, document: RegistryDocument, member: str, fields: Mapping[str, str | date]
) -> None:
    """Set a member's certification, replacing any older one."""
    at, known = _member(document, member)
    _with_certification(text, ("members", at), known.certification, fields)


def set_link_certification(
    text: YamlText, document: RegistryDocument, entry: str, reseller: str, fields: Mapping[str, str | date]
) -> None:
    """Set a reseller's certification in a wholesale chain, replacing any older one."""
    at, n = _link(document, entry, reseller)
    link = document.chains[at].links[n]
    _with_certification(text, ("chains", at, "links", n), link.certification, fields)


def _with_certification(
    text: YamlText, here: Location, known: Certification | None, fields: Mapping[str, str | date]
) -> None:
    if known is None:
        text.add(here, "certification", fields)
        return
    for key, value in fields.items():
        if getattr(known, key) is None:
            text.add((*here, "certification"), key, value)
        else:
            text.replace((*here, "certification", key), value)


def insert_link(
    text: YamlText,
    document: RegistryDocument,
    entry: str,
    wholesaler: str,
    reseller: str,
    checked: Mapping[str, str | date] | None,
) -> None:
    """Add the first or next link of a wholesale chain, in which a wholesaler hands numbers on to a reseller."""
    link: dict[str, Tree] = {"from": wholesaler, "to": reseller}
    if checked:
        link["checked"] = checked
    at = _chain(document, entry)
    if at is None:
        chain: Tree = {"numbers": entry, "links": [link]}
        text.append(("chains",), [chain])
        return
    last = document.chains[at].links[-1].reseller
    if wholesaler != last:
        raise UsageError("the chain of these numbers ends with {last}; add the link from it", last=last)
    text.append(("chains", at, "links"), [link])


def set_link_check(
    text: YamlText, document: RegistryDocument, entry: str, reseller: str, checked: Mapping[str, str | date]
) -> None:
    """Set the wholesaler's check of a reseller in a wholesale chain, replacing any older one."""
    at, n = _link(document, entry, reseller)
    here: Location = ("chains", at, "links", n)
    if document.chains[at].links[n].checked is None:
        text.add(here, "checked", checked)
        return
    for key, value in checked.items():
        text.replace((*here, "checked", key), value)


def delete_link(text: YamlText, document: RegistryDocument, entry: str, reseller: str) -> None:
    """Remove the last link of a wholesale chain, or the whole chain if it has no other link."""
    at, n = _link(document, entry, reseller)
    links = document.chains[at].links
    if n < len(links) - 1:
        raise UsageError("{reseller} has handed these numbers on; remove the links after it first", reseller=reseller)
    text.remove(("chains", at, "links", n) if n else ("chains", at))


def insert_porting(
    text: YamlText, document: RegistryDocument, entry: str, giver: str, taker: str, at: datetime
) -> None:
    """Add a porting of numbers from member `giver` to member `taker` at time `at`."""
    read_span(entry)
    for member in (giver, taker):
        check_member(document, member)
    porting: Tree = {"numbers": entry, "from": giver, "to": taker, "at": at}
    text.append(("portings",), [porting])


def delete_porting(text: YamlText, document: RegistryDocument, entry: str, now: datetime) -> None:
    """Remove the porting of exactly these numbers and assign them to the member that holds them at `now`."""
    wanted = read_span(entry)
    at = next((p for p, each in enumerate(document.portings) if read_span(each.numbers) == wanted), None)
    if at is None:
        raise UsageError("these numbers have no porting; enter them as the porting does")
    porting = document.portings[at]
    holder, other = (porting.giver, porting.taker) if now < porting.at else (porting.taker, porting.giver)
    _, held = _member(document, holder)
    if not _covers(map(read_span, held.numbers), wanted):
        delete_numbers(text, document, other, [entry])
        insert_numbers(text, document, holder, [span_notation(wanted)])
    text.remove(("portings", at))


def set_licence_end(text: YamlText, document: RegistryDocument, licence: str, until: datetime) -> None:
    """Extend a licence until `until`. Raises UsageError if the licence was revoked."""
    location, entry = _licence(document, licence)
    if entry.status is LicenceStatus.REVOKED:
        raise UsageError("licence {licence} was revoked; grant another one", licence=licence)
    if until <= entry.valid.until:
        raise UsageError(
            "licence {licence} is already valid until {until}; name a later day",
            licence=licence,
            until=end_words(entry.valid.until),
        )
    text.replace((*location, "valid", "until"), until)


_FROM: Final = {
    LicenceStatus.SUSPENDED: (LicenceStatus.ACTIVE,),
    LicenceStatus.ACTIVE: (LicenceStatus.SUSPENDED,),
    LicenceStatus.REVOKED: (LicenceStatus.ACTIVE, LicenceStatus.SUSPENDED),
}
"""Statuses from which a licence may change to each status. Revocation is final."""


def set_licence_status(text: YamlText, document: RegistryDocument, licence: str, status: LicenceStatus) -> None:
    """Suspend, resume or revoke a licence."""
    location, entry = _licence(document, licence)
    if entry.status not in _FROM[status]:
        raise UsageError(
            "licence {licence} is {present} and cannot become {status}",
            licence=licence,
            present=entry.status,
            status=status,
        )
    text.replace((*location, "status"), status.value)


def insert_numbers(text: YamlText, document: RegistryDocument, member: str, entries: Sequence[str]) -> None:
    """Assign numbers, ranges or prefixes to a member."""
    at, _ = _member(document, member)
    for entry in entries:
        read_span(entry)
    text.append(("members", at, "numbers"), list(entries))


def insert_node_key(text: YamlText, document: RegistryDocument, member: str, key: str) -> None:
    """Add the public key of a member's node, in the form that `idtone-office document key` prints.

    The node signs documents for the association's desk with this key.
    """
    at, held = _member(document, member)
    try:
        named = VerifierKey.parse(key).name
    except ProofError as error:
        raise UsageError(
            "this is not the key of a node ({error}); copy the line that `idtone-office document key` prints",
            error=error,
        ) from error
    if named.partition("/")[0] != member:
        raise UsageError("the key belongs to {name!r}, and not to a node of {member}", name=named, member=member)
    if key in held.keys:
        raise UsageError("member {member} has this key already", member=member)
    text.append(("members", at, "keys"), [key])


def delete_node_key(text: YamlText, document: RegistryDocument, member: str, key: str) -> None:
    """Remove a node's public key. From then on, the desk rejects documents signed by the node."""
    at, held = _member(document, member)
    if key not in held.keys:
        raise UsageError("member {member} has no such key; look at registry.yaml", member=member)
    text.remove(("members", at, "keys", held.keys.index(key)))


def delete_numbers(text: YamlText, document: RegistryDocument, member: str, entries: Iterable[str]) -> None:
    """Take numbers back from a member. The rest of a split range remains as one or two ranges."""
    at, held = _member(document, member)
    location: Location = ("members", at, "numbers")
    left: list[tuple[int | None, NumberSpan]] = [(n, read_span(entry)) for n, entry in enumerate(held.numbers)]
    for gone in map(read_span, entries):
        if not _covers((span for _, span in left), gone):
            raise UsageError(
                "member {member} does not hold all of {number} …; look at registry.yaml",
                member=member,
                number=parse_japanese(f"+{gone.first}"),
            )
        left = [piece for old in left for piece in _without(old, gone)]
    kept = {n for n, _ in left if n is not None}
    text.remove_items(location, [n for n in range(len(held.numbers)) if n not in kept])
    more: list[Tree] = [span_notation(span) for n, span in left if n is None]
    text.append(location, more)


def set_evaluations(text: YamlText, entries: Iterable[EvaluationEntry]) -> None:
    """Replace all evaluations in the registry."""
    text.replace_list("evaluations", [_evaluation(entry) for entry in entries])


def _evaluation(entry: EvaluationEntry) -> Tree:
    return {
        "member": entry.member,
        "grade": entry.grade,
        "title": {"ja": entry.title.ja, "en": entry.title.en},
        "percent": entry.percent,
        "period": {"from": entry.period.start, "until": entry.period.until},
        "valid": {"from": entry.valid.start, "until": entry.valid.until},
        "criteria": {"version": entry.criteria.version, "sha256": entry.criteria.sha256},
        "result": entry.result,
        "badge": entry.badge,
    }


# -- looking up -------------------------------------------------------------------------------------------------------


def _licence(document: RegistryDocument, licence: str) -> tuple[Location, LicenceEntry]:
    for m, member in enumerate(document.members):
        for n, entry in enumerate(member.licences):
            if entry.id == licence:
                return ("members", m, "licences", n), entry
    raise UsageError("the registry has no licence {licence!r}; `idtone registry show` lists them", licence=licence)


def _member(document: RegistryDocument, member: str) -> tuple[int, Member]:
    for m, entry in enumerate(document.members):
        if entry.id == member:
            return m, entry
    raise UsageError("the registry has no member {member!r}; `idtone registry show` lists them", member=member)


def _chain(document: RegistryDocument, entry: str) -> int | None:
    wanted = read_span(entry)
    return next((c for c, chain in enumerate(document.chains) if read_span(chain.numbers) == wanted), None)


def _link(document: RegistryDocument, entry: str, reseller: str) -> tuple[int, int]:
    at = _chain(document, entry)
    if at is None:
        raise UsageError("these numbers have no wholesale chain; enter them as the chain does")
    for n, link in enumerate(document.chains[at].links):
        if link.reseller == reseller:
            return at, n
    raise UsageError("the chain of these numbers has no link to {reseller!r}", reseller=reseller)


def check_member(document: RegistryDocument, member: str) -> str:
    """Check that the registry has a member with this id, and return the id. Raises UsageError if not."""
    return _member(document, member)[1].id


def _free_ids(document: RegistryDocument) -> Iterator[str]:
    """New licence ids in ascending order, above every id in the registry, such as L-0008 after L-0007.

    Ids of revoked licences are not reused.
    """
    used = [_NUMBERED.fullmatch(licence.id) for member in document.members for licence in member.licences]
    highest = max((int(found[1]) for found in used if found), default=0)
    while True:
        highest += 1
        yield f"L-{highest:04}"


# -- numbers ----------------------------------------------------------------------------------------------------------


def _covers(spans: Iterable[NumberSpan], wanted: NumberSpan) -> bool:
    reached = wanted.first
    for span in sorted(spans, key=lambda span: span.first):
        if span.first <= reached <= span.last:
            reached = span.last + 1
    return reached > wanted.last


def _without(piece: tuple[int | None, NumberSpan], gone: NumberSpan) -> list[tuple[int | None, NumberSpan]]:
    _, span = piece
    left = span.without(gone)
    return [piece] if left == [span] else [(None, each) for each in left]
