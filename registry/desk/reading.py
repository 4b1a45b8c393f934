"""`idtone registry diff | history | operators`: what changed, who changed it, and the public list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from tuf.api.metadata import Metadata, Root, Targets

from idtone import console
from idtone.documents import read_text
from idtone.errors import TrustError, UsageError

from ..trust import layout
from . import changing
from .commands import plain, told
from .desk import Desk
from .examining import followed
from .history import Entry, History, Standing
from .kinds import KINDS
from .options import FolderArgument
from .site import read_root, read_site


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A registry.yaml or suspensions.yaml.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="A later one of the same kind.")],
    as_json: console.JsonOption = False,
) -> None:
    """Tell in words what differs. Exit 1: something does."""
    before, after = read_text(old), read_text(new)
    kinds = [path.name.endswith(layout.SUSPENSIONS_FILE) for path in (old, new)]
    if kinds[0] != kinds[1]:
        raise UsageError(f"{old} and {new} are not of one kind; name two registries, or two files of suspensions")
    kind = KINDS[layout.SUSPENSIONS if kinds[0] else layout.REGISTRY]
    words = list(kind.differences(kind.parse(before, str(old)), kind.parse(after, str(new))))
    if as_json:
        console.print_json({"differences": words})
    else:
        print(*(words or ["they say the same"]), sep="\n")
    if words:
        console.negative()


@dataclass(frozen=True, slots=True)
class _Signed:
    """A published version of a role, and who signed it: the ids of the keys."""

    version: int
    keys: tuple[str, ...]


def history(
    folder: FolderArgument,
    trust: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The association's root that you keep (default: its first one).")
    ] = None,
    as_json: console.JsonOption = False,
) -> None:
    """Show who changed what, when and why, and by which keys each of it was signed.

    Exit 2: what was signed of a history is not what it says now, or somebody else has signed it.
    """
    desk = Desk(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: is no folder; name the desk's")
    parents = list(_targets(desk, trust))
    entries: list[tuple[Entry, _Signed | None]] = []
    for role in layout.DELEGATED:
        of_role = desk.history(role)
        signed = _signatures(desk, role, of_role, parents)
        if gap := next(of_role.gaps(), None):
            raise TrustError(f"{of_role.path}:{gap}: does not begin where the change before it ended")
        entries += [(entry, _first(signed, number)) for number, entry in enumerate(of_role.entries, 1)]
    entries.sort(key=lambda each: each[0].at)
    if as_json:
        console.print_json(
            [
                {**plain(entry), "signed": {"version": by.version, "keys": by.keys} if by else None}
                for entry, by in entries
            ]
        )
        return
    for entry, by in entries:
        print(*told(entry), sep="\n")
        keys = ", ".join(key[:8] for key in by.keys) if by else ""
        print(f"  signed in version {by.version} by {keys}" if by else "  not published yet")


def _first(signed: Mapping[int, _Signed], number: int) -> _Signed | None:
    """The first signature over a history that had this line."""
    return next((by for entries, by in sorted(signed.items()) if entries >= number), None)


def _targets(desk: Desk, trust: Path | None) -> Iterator[Metadata[Targets]]:
    """Each that was published, the oldest first, verified from the root on."""
    kept = read_root(trust) if trust else None
    roots: list[Metadata[Root]] = []
    for root in desk.versions("root"):
        if kept and root.signed.version == kept.signed.version and root.signed_bytes != kept.signed_bytes:
            raise TrustError(f"{desk.repository}: is not of the association whose root you have")
        roots.append(followed(roots[-1], root) if roots else root)
    if kept and kept.signed.version not in {root.signed.version for root in roots}:
        raise TrustError(f"{desk.repository}: is not of the association whose root you have")
    for targets in desk.versions("targets"):
        if not any(_holders(root, "targets", targets) for root in roots):
            raise TrustError(
                f"version {targets.signed.version} of targets in {desk.repository} is not signed by its keys"
            )
        yield targets


def _signatures(desk: Desk, role: str, of_role: History, parents: list[Metadata[Targets]]) -> dict[int, _Signed]:
    """How many lines were signed → the first version that did. Raises TrustError for lines that are others now."""
    found: dict[int, _Signed] = {}
    for metadata in desk.versions(role):
        version = metadata.signed.version
        keys = next((held for parent in reversed(parents) if (held := _holders(parent, role, metadata))), None)
        if keys is None:
            raise TrustError(f"version {version} of {role} in {desk.repository} is not signed by its keys")
        target = metadata.signed.targets.get(layout.DELEGATED[role])
        anchor = (target.custom or {}).get("history") if target else None
        if anchor is None or anchor != of_role.anchor(anchor.get("entries")):
            raise TrustError(
                f"{of_role.path}: its first lines are not those that were signed with version {version};"
                " bring the file back as it was"
            )
        found.setdefault(anchor["entries"], _Signed(version, keys))
    return found


def _holders(parent: Metadata[Any], role: str, metadata: Metadata[Any]) -> tuple[str, ...]:
    """The keys whose signatures are good, where they are enough; none otherwise."""
    try:
        result = parent.signed.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    except ValueError:
        return ()
    return tuple(sorted(result.signed)) if result.verified else ()


def operators(
    site: Annotated[Path, typer.Argument(metavar="SITE", help="The folder of the public list: operators.json, proof.")],
    trust: Annotated[Path, typer.Option(metavar="FILE", help="The association's root metadata.")],
    as_json: console.JsonOption = False,
) -> None:
    """Verify the public list of licensed operators, and show it."""
    listed = read_site(site, trust, datetime.now(UTC))
    if as_json:
        console.print_json(listed)
        return
    print(f"{listed['association']}, registry version {listed['registry_version']}, issued {listed['issued']}")
    for operator in listed["operators"]:
        print(f"{operator['name']['ja']} / {operator['name']['en']}")
        for licence in operator["licences"]:
            print(f"  {licence['id']}: {', '.join(licence['directions'])}, until {licence['valid_until']}")


def applications(
    folder: FolderArgument,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are granted or refused.")] = False,
    as_json: console.JsonOption = False,
) -> None:
    """Show which applications wait, and for what."""
    told = [
        {
            "id": asked.id,
            "received": asked.received.isoformat(),
            "member": asked.member.id,
            "name_ja": asked.member.name.ja,
            "name_en": asked.member.name.en,
            "standing": stands,
        }
        for asked, stands in changing.applications(Desk(folder))
        if everything or stands not in (Standing.GRANTED, Standing.REFUSED)
    ]
    if as_json:
        console.print_json(told)
        return
    for each in told:
        print(f"{each['id']}  {each['standing']}")
        print(f"  received {each['received']}, {each['member']}  {each['name_ja']} / {each['name_en']}")
    if not told:
        print("no application waits")
