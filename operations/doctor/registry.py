"""The registry and its licences as the doctor judges them. Pure; no telephone number comes out of here."""

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
from idtone.registry.report import counts
from idtone.tones.profile import Profile
from idtone.tones.proof import doubt

from .findings import Finding, bad, good, unknown, warning
from .sounds import Rights

SOON: Final = timedelta(days=7)
"""Enough to fetch the next registry, or to ask why there is none."""
SIGNED_SOON: Final = timedelta(days=2)
"""Signatures are renewed every few days: these were forgotten, or do not come here."""
LICENCE_SOON: Final = timedelta(days=30)
"""Enough to have a licence renewed."""


def faulty(error: DocumentError | TrustError, path: str) -> Finding:
    """The faults by their places alone: their texts may quote the file, and that holds numbers."""
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
        f"idtone registry check {path}, and mend what it names",
    )


def readable(document: RegistryDocument, path: str, now: datetime) -> Finding:
    header = document.registry
    if header.issued > now:
        return bad(
            "registry",
            f"version {header.version} was issued in the future ({header.issued.isoformat()})",
            "Set the clock right (timedatectl), or get the registry anew from whoever issued it",
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
        f"{source} is not signed: right for a lab, and for nothing else",
        "Get the association's root, and name it: `registry: {source: …, trust: ROOT.json}` in idtone.yaml",
    )


def kept(folder: Path, above: Sequence[Rights], held: Sequence[Rights], ourselves: int) -> Finding:
    """`held` is the folder in which a signed registry is kept, and all in it; nothing where it is not there yet. The
    folders `above` lead to it; `ourselves` is our own user id.
    """
    topic, place = "registry-cache", quote(str(folder))
    if not held:
        return warning(
            topic, f"{folder} is not there yet", "idtone registry update, as the user that `idtone serve` runs as"
        )
    owner = held[0].user
    if ourselves not in (0, owner):
        return bad(
            topic,
            f"{folder} belongs to the user {owner}, and this runs as {ourselves}",
            f"Run this as the user that `idtone serve` runs as; if that is you: chown -R {ourselves} {place}",
        )
    strange = [rights for rights in (*above, *held) if rights.user not in (0, owner)]
    if strange:
        names = ", ".join(f"{rights.path} (user {rights.user})" for rights in strange)
        return bad(topic, f"another user owns {names}", f"chown -R {owner} {place}; {_ANEW}")
    folders = {rights.path: rights.mode for rights in held}
    writable = [rights for rights in above if rights.mode & _OTHERS_WRITE and not rights.mode & stat.S_ISVTX]
    writable += [rights for rights in held if rights.mode & _OTHERS_WRITE & _let_through(rights.path, folders)]
    if writable:
        names = ", ".join(f"{rights.path} (mode {rights.mode:04o})" for rights in writable)
        return bad(
            topic,
            f"others can write to {names}",
            f"chmod go-w {' '.join(quote(str(rights.path)) for rights in writable)}; {_ANEW}",
        )
    if any(rights.listed for rights in (*above, *held)):
        return unknown(
            topic, f"access control lists decide on {folder}", f"getfacl -R {place}: no other user may write"
        )
    return good(topic, f"{folder}, which the user {owner} alone can write to")


_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_ANEW: Final = "if another user may have written there, remove what is kept, and idtone registry update"


def _let_through(path: Path, folders: Mapping[Path, int]) -> int:
    """Of group and others those, as bits of writing, who get through the folders that lead to a file."""
    through = _OTHERS_WRITE
    for folder in path.parents:
        through &= folders.get(folder, 0o777) << 1
    return through


def not_kept() -> Finding:
    return good("registry-cache", "nothing is kept of an unsigned registry")


def fresh(index: RegistryIndex, now: datetime, grace: timedelta) -> Finding:
    """`grace` is `policy.registry_stale`."""
    topic, expires = "registry-fresh", index.expires
    signed = index.trust is Trust.SIGNED
    remedy = (
        "Look whether the source can be read (idtone registry update), and ask the association"
        if signed
        else "Put the next version in its place (write beside it, then mv); the service takes it up by itself"
    )
    soon = SIGNED_SOON if signed else SOON
    if now >= expires + grace:
        return bad(topic, f"expired on {expires.isoformat()}: every call gets the notice", remedy)
    if now >= expires:
        return warning(topic, f"expired on {expires.isoformat()}; policy.registry_stale still lets it count", remedy)
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
    found = ", ".join(f"{count} {name}" for name, count in sorted(standings.items())) or "no licence at all"
    if not standings["valid"]:
        return warning(
            topic, found, "Ask the association for the licences of your numbers, and for the registry with them"
        )
    ending = sorted(
        licence.id
        for licence in held
        if judge(licence, min(licence.directions), now) is Reason.LICENCE_VALID
        and licence.valid_until - LICENCE_SOON <= now
    )
    if ending:
        return warning(
            topic, f"{found}; ending within 30 days: {', '.join(ending)}", "Have them renewed by the association"
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
            f"there is no profile for {', '.join(missing)}",
            "; ".join(f"idtone tone import MASTER --id {tone}" for tone in missing) + ", with the association's master",
        )
    doubts = [reason for tone in sorted(licensed) if (reason := doubt(profiles[tone], named))]
    if doubts:
        return bad(
            topic, "; ".join(doubts), "idtone tone import MASTER --id TONE --replace, with the association's master"
        )
    return good(topic, ", ".join(sorted(licensed)) or "no valid licence names one")


def not_read(topic: str, path: str) -> Finding:
    return unknown(topic, "the registry cannot be used", f"idtone registry check {path}, and mend what it names")
