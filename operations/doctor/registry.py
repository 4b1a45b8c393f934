"""The registry and its licences → findings. Pure; no finding contains a telephone number."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import Final

from idtone.calls import Reason, Trust
from idtone.console import counted
from idtone.decision import judge
from idtone.errors import DocumentError, TrustError
from idtone.registry.compiled import licences
from idtone.registry.index import RegistryIndex
from idtone.registry.model import RegistryDocument
from idtone.registry.summary import counts
from idtone.tones.licensed_tone import doubt
from idtone.tones.profile import Profile

from .findings import Finding, bad, good, unknown, warning
from .shared_file_findings import Rights

SOON: Final = timedelta(days=7)
"""Enough time to get the next registry, or to ask why it does not come."""
SIGNED_SOON: Final = timedelta(days=2)
"""The association renews its signatures every few days, so this late they were not renewed, or not fetched."""
LICENCE_SOON: Final = timedelta(days=30)
"""Enough time to renew a licence."""


def faulty(error: DocumentError | TrustError, path: str) -> Finding:
    """Shows only the places of the faults: their texts may quote the file, which has numbers."""
    if isinstance(error, TrustError):
        return bad("registry", str(error), "idtone registry update, as the user that `idtone serve` runs as")
    first = error.faults[0]
    if not first.line:
        return bad(
            "registry",
            f"{first.field or path}: {first.problem}",
            f"{first.remedy}; in idtone.yaml: `registry: {{source: …, trust: …}}`",
        )
    return bad(
        "registry",
        f"{path} has {counted(len(error.faults), 'fault')}, the first in line {first.line}",
        f"idtone registry check {path}, and correct what it names",
    )


def readable(document: RegistryDocument, path: str, now: datetime) -> Finding:
    header = document.registry
    if header.issued > now:
        return bad(
            "registry",
            f"version {header.version} was issued in the future ({header.issued.isoformat()})",
            "Correct the clock (timedatectl), or get the registry again from the association",
        )
    totals = counts(document)
    in_force = sum(entry.since <= now for entry in document.suspensions)
    return good(
        "registry",
        f"{path}, version {header.version}: {totals['members']} members, {totals['licences']} licences, "
        f"{totals['numbers']} numbers, {in_force} suspensions in force",
    )


def trusted(trust: Trust, source: str) -> Finding:
    topic = "registry-trust"
    if trust is Trust.SIGNED:
        return good(topic, f"{source} is signed by the association")
    return warning(
        topic,
        f"{source} is not signed: use it only in a lab",
        "Get the association's root; in idtone.yaml: `registry: {source: …, trust: ROOT.json}`",
    )


def kept(folder: Path, above: Sequence[Rights], held: Sequence[Rights], ourselves: int) -> Finding:
    """`held` are the folder of the verified copy and everything in it; empty if it does not exist yet. `above` are the
    folders that lead to it. `ourselves` is our own user id.
    """
    topic, place = "registry-cache", quote(str(folder))
    if not held:
        return warning(
            topic, f"{folder} does not exist yet", "idtone registry update, as the user that `idtone serve` runs as"
        )
    owner = held[0].user
    if ourselves not in (0, owner):
        return bad(
            topic,
            f"{folder} belongs to the user {owner}, but this runs as {ourselves}",
            f"Run this as the user that `idtone serve` runs as; if you did: chown -R {ourselves} {place}",
        )
    foreign = [rights for rights in (*above, *held) if rights.user not in (0, owner)]
    if foreign:
        names = ", ".join(f"{rights.path} (user {rights.user})" for rights in foreign)
        return bad(topic, f"another user owns {names}", f"chown -R {owner} {place}; {_ANEW}")
    folders = {rights.path: rights.mode for rights in held}
    writable = [rights for rights in above if rights.mode & _OTHERS_WRITE and not rights.mode & stat.S_ISVTX]
    writable += [rights for rights in held if rights.mode & _OTHERS_WRITE & _can_reach(rights.path, folders)]
    if writable:
        names = ", ".join(f"{rights.path} (mode {rights.mode:04o})" for rights in writable)
        return bad(
            topic,
            f"other users can write to {names}",
            f"chmod go-w {' '.join(quote(str(rights.path)) for rights in writable)}; {_ANEW}",
        )
    if any(rights.listed for rights in (*above, *held)):
        return unknown(topic, f"{folder} has access control lists", f"getfacl -R {place}: no other user may write")
    return good(topic, f"{folder}, to which only the user {owner} can write")


_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_ANEW: Final = "if another user may have written there, remove the copy; then idtone registry update"


def _can_reach(path: Path, folders: Mapping[Path, int]) -> int:
    """Whether group and others can pass through the folders that lead to a file, as the bits for writing."""
    reaching = _OTHERS_WRITE
    for folder in path.parents:
        reaching &= folders.get(folder, 0o777) << 1
    return reaching


def not_kept() -> Finding:
    return good("registry-cache", "not used: the registry is unsigned")


def fresh(index: RegistryIndex, now: datetime, grace: timedelta) -> Finding:
    """`grace` is `policy.registry_stale`."""
    topic, expires = "registry-fresh", index.expires
    signed = index.trust is Trust.SIGNED
    remedy = (
        "Check whether the source can be read (idtone registry update), and ask the association"
        if signed
        else "Replace it by the next version (write a new file beside it, then mv); the service notices the change"
    )
    soon = SIGNED_SOON if signed else SOON
    if now >= expires + grace:
        return bad(topic, f"expired on {expires.isoformat()}: every call gets the notice", remedy)
    if now >= expires:
        return warning(topic, f"expired on {expires.isoformat()}; policy.registry_stale still allows it", remedy)
    if now >= expires - soon:
        return warning(topic, f"expires on {expires.isoformat()}", remedy)
    return good(topic, f"until {expires.isoformat()}")


_STANDINGS: Final[Mapping[Reason, str]] = {
    Reason.LICENCE_VALID: "valid",
    Reason.LICENCE_EXPIRED: "expired",
    Reason.LICENCE_REVOKED: "revoked",
    Reason.LICENCE_SUSPENDED: "suspended",
    Reason.LICENCE_NOT_YET_VALID: "not yet valid",
}


def standing(document: RegistryDocument, now: datetime) -> Finding:
    topic = "registry-licences"
    held = [licence for member in document.members for licence in licences(member)]
    standings = Counter(_STANDINGS[judge(licence, min(licence.directions), now)] for licence in held)
    found = ", ".join(f"{count} {name}" for name, count in sorted(standings.items())) or "no licence"
    if not standings["valid"]:
        return warning(
            topic, found, "Ask the association for licences for your numbers, and for the registry with them"
        )
    ending = sorted(
        licence.id
        for licence in held
        if judge(licence, min(licence.directions), now) is Reason.LICENCE_VALID
        and licence.valid_until - LICENCE_SOON <= now
    )
    if ending:
        return warning(
            topic, f"{found}; ending within 30 days: {', '.join(ending)}", "Ask the association to renew them"
        )
    return good(topic, found)


def sounds(document: RegistryDocument, profiles: Mapping[str, Profile], now: datetime) -> Finding:
    """Whether each sound that a valid licence names can be played."""
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
            f"no profile for {', '.join(missing)}",
            "; ".join(f"idtone tone import MASTER --id {tone}" for tone in missing) + ", with the association's master",
        )
    doubts = [reason for tone in sorted(licensed) if (reason := doubt(profiles[tone], named))]
    if doubts:
        return bad(
            topic, "; ".join(doubts), "idtone tone import MASTER --id TONE --replace, with the association's master"
        )
    return good(topic, ", ".join(sorted(licensed)) or "no valid licence names a sound")


def not_read(topic: str, path: str) -> Finding:
    return unknown(topic, "the registry cannot be used", f"idtone registry check {path}, and correct what it names")
