"""The doctor's checks of the registry and its licences. Their findings never show telephone numbers."""

import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import Final

from idtone.core.calls import Reason, Trust
from idtone.core.errors import DocumentError, TrustError
from idtone.core.japan_time import JAPAN
from idtone.core.licence_standing import judge
from idtone.core.translation import Message, joined
from idtone.registry.compiled_registry import licences
from idtone.registry.expiries import CERTIFICATION_SOON, SIGNED_SOON, Expiry, ExpiryKind, certification_ends
from idtone.registry.index import RegistryIndex
from idtone.registry.licence_lapses import LICENCE_SOON, LicenceLapse, lapse_words, over_and_soon
from idtone.registry.model import RegistryDocument
from idtone.registry.never_originating import NeverOriginating
from idtone.registry.node_member_check import REMEDY, TONES_REMEDY, Tones, member_trouble, tones_trouble
from idtone.registry.registry_report import counts
from idtone.tones.profile import Profile
from idtone.tones.registered_profile_check import play_objection

from .findings import Finding, bad, good, unknown, warning
from .shared_file_findings import Rights

SOON: Final = timedelta(days=7)
"""Remaining validity at which a registry is reported. It leaves time to get the next one, or to ask why there is
none."""


def faulty(error: DocumentError | TrustError, path: str) -> Finding:
    """Explain that the registry is faulty.

    The finding shows only where the faults are, because their texts may quote telephone numbers.
    """
    if isinstance(error, TrustError):
        return bad("registry", str(error), Message("idtone registry update, as the user that `idtone serve` runs as"))
    first = error.faults[0]
    if not first.line:
        return bad(
            "registry",
            Message("{place}: {problem}", place=first.field or path, problem=first.problem),
            Message("{remedy}; in idtone.yaml: `registry: {{source: …, trust: …}}`", remedy=first.remedy),
        )
    if len(error.faults) == 1:
        found = Message("{path} has 1 fault, the first in line {line}", path=path, line=first.line)
    else:
        count = len(error.faults)
        found = Message(
            "{path} has {count:,} faults, the first in line {line}", path=path, count=count, line=first.line
        )
    return bad(
        "registry",
        found,
        Message("idtone registry check {path}, and correct what it names", path=path),
    )


def readable(document: RegistryDocument, path: str, now: datetime) -> Finding:
    header = document.registry
    if header.issued > now:
        return bad(
            "registry",
            Message(
                "version {version} was issued in the future ({issued})",
                version=header.version,
                issued=header.issued.isoformat(),
            ),
            Message("Correct the clock (timedatectl), or get the registry again from the association"),
        )
    totals = counts(document)
    in_force = sum(entry.in_force(now) for entry in document.suspensions)
    return good(
        "registry",
        Message(
            "{path}, version {version}: {members} members, {licences} licences, {numbers} numbers, "
            "{in_force} suspensions in force",
            path=path,
            version=header.version,
            members=totals["members"],
            licences=totals["licences"],
            numbers=totals["numbers"],
            in_force=in_force,
        ),
    )


def trusted(trust: Trust, source: str) -> Finding:
    topic = "registry-trust"
    if trust is Trust.SIGNED:
        return good(topic, Message("{source} is signed by the association", source=source))
    return warning(
        topic,
        Message("{source} is not signed: use it only in a lab", source=source),
        Message("Get the association's root; in idtone.yaml: `registry: {{source: …, trust: ROOT.json}}`"),
    )


def verified_copy(
    folder: Path, above: Sequence[Rights], held: Sequence[Rights], ourselves: int, service: int | None = None
) -> Finding:
    """Check that only the service can change the verified copy of the registry.

    `held` has the access rights of the copy's folder and files, and is empty if the folder does not exist yet. `above`
    has the parent folders' access rights. `ourselves` is the current user id, and `service` is the service's, if known.
    """
    topic, place = "registry-cache", quote(str(folder))
    if not held:
        return warning(
            topic,
            Message("{folder} does not exist yet", folder=folder),
            Message("idtone registry update, as the user that `idtone serve` runs as"),
        )
    owner = held[0].user
    if service is not None and owner != service:
        return locked_out(folder, Message("{folder} belongs to the user {owner}", folder=folder, owner=owner), service)
    if ourselves not in (0, owner):
        return bad(
            topic,
            Message(
                "{folder} belongs to the user {owner}, but this runs as {ourselves}",
                folder=folder,
                owner=owner,
                ourselves=ourselves,
            ),
            Message(
                "Run this as the user that `idtone serve` runs as; if you did: chown -R {ourselves} {place}",
                ourselves=ourselves,
                place=place,
            ),
        )
    foreign = [rights for rights in above if rights.user not in (0, owner)]
    foreign += [rights for rights in held if rights.user != owner]  # files of root would lock the service out too
    if foreign:
        names = joined(", ", (Message("{path} (user {user})", path=each.path, user=each.user) for each in foreign))
        return bad(
            topic,
            Message("another user owns {names}", names=names),
            Message("chown -R {owner} {place}; {anew}", owner=owner, place=place, anew=_ANEW),
        )
    folders = {rights.path: rights.mode for rights in held}
    writable = [rights for rights in above if rights.mode & _OTHERS_WRITE and not rights.mode & stat.S_ISVTX]
    writable += [rights for rights in held if rights.mode & _OTHERS_WRITE & _can_reach(rights.path, folders)]
    if writable:
        names = joined(", ", (Message("{path} (mode {mode:04o})", path=each.path, mode=each.mode) for each in writable))
        return bad(
            topic,
            Message("other users can write to {names}", names=names),
            Message(
                "chmod go-w {places}; {anew}",
                places=" ".join(quote(str(rights.path)) for rights in writable),
                anew=_ANEW,
            ),
        )
    if any(rights.listed for rights in (*above, *held)):
        return unknown(
            topic,
            Message("{folder} has access control lists", folder=folder),
            Message("getfacl -R {place}: no other user may write", place=place),
        )
    return good(topic, Message("{folder}, to which only the user {owner} can write", folder=folder, owner=owner))


def locked_out(folder: Path, found: str, service: int) -> Finding:
    """Explain that the service can neither read nor renew its copy of the registry.

    `service` is the service's user id.
    """
    return bad(
        "registry-cache",
        Message("{found}, so the service (user {service}) cannot use it", found=found, service=service),
        Message("as root: chown -R {service}: {place}; {anew}", service=service, place=quote(str(folder)), anew=_ANEW),
    )


_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_ANEW: Final = Message("if another user may have written there, remove the copy; then idtone registry update")


def _can_reach(path: Path, folders: Mapping[Path, int]) -> int:
    """Write bits for group and others that remain effective through the file's parent folders."""
    reaching = _OTHERS_WRITE
    for folder in path.parents:
        reaching &= folders.get(folder, 0o777) << 1
    return reaching


def no_verified_copy() -> Finding:
    return good("registry-cache", Message("not used: the registry is unsigned"))


def registry_age(index: RegistryIndex, now: datetime, grace: timedelta) -> Finding:
    """Check that the registry has not expired and will not expire soon.

    `grace` is `policy.registry_stale`.
    """
    topic, expires = "registry-fresh", index.expires
    signed = index.trust is Trust.SIGNED
    remedy = (
        Message("Check whether the source can be read (idtone registry update), and ask the association")
        if signed
        else Message(
            "Replace it by the next version (write a new file beside it, then mv); the service notices the change"
        )
    )
    soon = SIGNED_SOON if signed else SOON
    if now >= expires + grace:
        return bad(
            topic, Message("expired on {expires}: every call gets the notice", expires=expires.isoformat()), remedy
        )
    if now >= expires:
        return warning(
            topic,
            Message("expired on {expires}; policy.registry_stale still allows it", expires=expires.isoformat()),
            remedy,
        )
    if now >= expires - soon:
        return warning(topic, Message("expires on {expires}", expires=expires.isoformat()), remedy)
    return good(topic, Message("until {expires}", expires=expires.isoformat()))


def never_originating(numbers: NeverOriginating | None) -> Finding:
    topic = "registry-never-originates"
    if numbers is None:
        return good(topic, Message("the registry has no list of them, so no call is refused for this reason"))
    return good(topic, Message("a list with {count:,} entries", count=numbers.entries))


_CERTIFICATION_WORDS: Final = {
    ExpiryKind.CERTIFICATION: Message("the certification"),
    ExpiryKind.MARK: Message("the mark of ETOC"),
    ExpiryKind.CERTIFICATION_CHECK: Message("the next check of the certification"),
}


def certifications(document: RegistryDocument, member: str | None, now: datetime) -> Finding:
    """Check that the certifications that a member's numbers depend on are in force.

    If `member` is None, all certifications are checked.
    """
    topic = "registry-certifications"
    ends = sorted(certification_ends(document, member), key=lambda each: each.at)
    over, soon = ([each for each in ends if each.at <= at] for at in (now, now + CERTIFICATION_SOON))
    if not ends:
        return good(topic, Message("none is recorded"))
    if not soon:
        return good(topic, Message("in force until {day}", day=_day(ends[0])))
    named = joined(
        "; ",
        (
            Message(
                "{what} of {member}: {day}",
                what=_CERTIFICATION_WORDS[each.kind],
                day=_day(each),
                member=f"{each.member} ({each.subject})" if each.subject else each.member,
            )
            for each in over or soon
        ),
    )
    remedy = Message("Send the association the notice of the renewed certification (認定通知書)")
    if over:
        return bad(topic, Message("lapsed, or to be checked: {named}", named=named), remedy)
    return warning(topic, Message("ending within 30 days: {named}", named=named), remedy)


def _day(expiry: Expiry) -> str:
    return expiry.at.astimezone(JAPAN).date().isoformat()


_STANDINGS: Final[Mapping[Reason, str]] = {
    Reason.LICENCE_VALID: Message("valid"),
    Reason.LICENCE_EXPIRED: Message("expired"),
    Reason.LICENCE_REVOKED: Message("revoked"),
    Reason.LICENCE_SUSPENDED: Message("suspended"),
    Reason.LICENCE_NOT_YET_VALID: Message("not yet valid"),
    Reason.PLEDGE_MISSING: Message("without a pledge in force"),
}


def node_member(member: str | None, index: RegistryIndex) -> Finding:
    """Check that `association.member` is set and names a member in the registry."""
    topic, trouble = "registry-member", member_trouble(member, index)
    if trouble:
        return bad(topic, trouble, REMEDY)
    return good(topic, Message("this node is of {member}", member=member))


_RENEW: Final = Message("Ask the association to renew them")


def licence_states(document: RegistryDocument, now: datetime, own: Sequence[LicenceLapse] = ()) -> Finding:
    """Check that the node's licences are valid and will not lapse soon.

    `own` are the lapses that affect the node's member.
    """
    topic = "registry-licences"
    held = [licence for member in document.members for licence in licences(member)]
    standings = Counter(_STANDINGS[judge(licence, min(licence.directions), now)] for licence in held)
    counted_ones = [
        Message("{count} {standing}", count=count, standing=name) for name, count in sorted(standings.items())
    ]
    found = joined(", ", counted_ones) if counted_ones else Message("no licence")
    over, _ = over_and_soon(own, now)
    if over:
        lapsed = Message(
            "{found}; no licence of this node covers its calls any more: {licences}",
            found=found,
            licences=lapse_words(over),
        )
        halted = joined(", ", dict.fromkeys(each.suspended for each in over if each.suspended))
        resume = Message("Ask the association to resume {licences}, which is suspended", licences=halted)
        return bad(topic, lapsed, resume if halted else _RENEW)
    if not standings["valid"]:
        return warning(
            topic, found, Message("Ask the association for licences for your numbers, and for the registry with them")
        )
    valid = [one for one in held if judge(one, min(one.directions), now) is Reason.LICENCE_VALID]
    ending = sorted(licence.id for licence in valid if licence.valid_until - LICENCE_SOON <= now)
    pledges = sorted({one.member for one in valid if one.pledged_until and one.pledged_until - LICENCE_SOON <= now})
    if ending or pledges:
        ids = joined(", ", (*ending, *(Message("the pledge of {member}", member=member) for member in pledges)))
        return warning(
            topic,
            Message("{found}; ending within 30 days: {ids}", found=found, ids=ids),
            _RENEW,
        )
    return good(topic, found)


def sounds(document: RegistryDocument, profiles: Mapping[str, Profile], now: datetime) -> Finding:
    """Check that the sounds for all valid licences can be played."""
    topic = "registry-sounds"
    named = {tone.id: tone.sha256 for tone in document.tones}
    licensed = {
        licence.tone
        for member in document.members
        for licence in licences(member)
        if judge(licence, min(licence.directions), now) is Reason.LICENCE_VALID
    }
    missing = sorted(licensed - profiles.keys())
    if missing:
        return bad(
            topic,
            Message("no profile for {names}", names=", ".join(missing)),
            Message(
                "{commands}, with the association's master",
                commands="; ".join(f"idtone tone import MASTER --id {tone}" for tone in missing),
            ),
        )
    doubts = [reason for tone in sorted(licensed) if (reason := play_objection(profiles[tone], named))]
    if doubts:
        return bad(
            topic,
            joined("; ", doubts),
            Message("idtone tone import MASTER --id TONE --replace, with the association's master"),
        )
    return good(topic, ", ".join(sorted(licensed)) or Message("no valid licence names a sound"))


def chosen_sounds(tones: Tones, member: str | None, index: RegistryIndex, now: datetime) -> Finding | None:
    """Explain a faulty policy.tones; None if the setting is correct."""
    trouble = tones_trouble(tones, member, index, now)
    return bad("registry-sounds", trouble, TONES_REMEDY) if trouble else None


def not_read(topic: str, path: str) -> Finding:
    return unknown(
        topic,
        Message("the registry cannot be used"),
        Message("idtone registry check {path}, and correct what it names", path=path),
    )
