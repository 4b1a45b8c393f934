"""`idtone registry diff | history | operators`: what changed, who changed it, and the public list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Targets

from idtone import console
from idtone.documents import read_text
from idtone.errors import TrustError, UsageError

from ..signed import parse_registry, parse_suspensions
from ..trust import layout
from .commands import lines, plain
from .desk import Desk
from .differences import registry_differences, suspension_differences
from .history import Entry, History
from .options import FolderArgument
from .site import read_site


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
    words = list(
        suspension_differences(parse_suspensions(before, str(old)), parse_suspensions(after, str(new)))
        if kinds[0]
        else registry_differences(parse_registry(before, str(old)), parse_registry(after, str(new)))
    )
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


def history(folder: FolderArgument, as_json: console.JsonOption = False) -> None:
    """Show who changed what, when and why, and by which keys each of it was signed.

    Exit 2: what was signed of a history is not what it says now.
    """
    desk = Desk(folder)
    told: list[tuple[Entry, _Signed | None]] = []
    for role in layout.DELEGATED:
        of_role = desk.history(role)
        signed = _signatures(desk, role, of_role)
        told += [(entry, _first(signed, number)) for number, entry in enumerate(of_role.entries, 1)]
    told.sort(key=lambda each: each[0].at)
    if as_json:
        console.print_json(
            [{**plain(entry), "signed": {"version": by.version, "keys": by.keys} if by else None} for entry, by in told]
        )
        return
    for entry, by in told:
        print(*lines(entry), sep="\n")
        who = (
            f"signed in version {by.version} by {', '.join(key[:8] for key in by.keys)}" if by else "not published yet"
        )
        print(f"  {who}")


def _first(signed: Mapping[int, _Signed], number: int) -> _Signed | None:
    """The first signature over a history that had this line."""
    return next((by for entries, by in sorted(signed.items()) if entries >= number), None)


def _signatures(desk: Desk, role: str, of_role: History) -> dict[int, _Signed]:
    """How many lines were signed → the first version that did. Raises TrustError for lines that are others now."""
    found: dict[int, _Signed] = {}
    parents = list(desk.versions("targets"))
    for metadata in desk.versions(role):
        target = metadata.signed.targets.get(layout.DELEGATED[role])
        anchor = (target.custom or {}).get("history") if target else None
        if anchor is None:
            continue
        if anchor != of_role.anchor(anchor["entries"]):
            raise TrustError(
                f"{of_role.path}: its first {anchor['entries']} lines are not those that were signed with version"
                f" {metadata.signed.version}; bring the file back as it was"
            )
        keys = tuple(_holders(role, metadata, parents))
        if not keys:
            raise TrustError(
                f"version {metadata.signed.version} of {role} in {desk.repository} is not signed by its keys"
            )
        found.setdefault(anchor["entries"], _Signed(metadata.signed.version, keys))
    return found


def _holders(role: str, metadata: Metadata[Any], parents: list[Metadata[Targets]]) -> Iterator[str]:
    """The keys that signed it, by those that were the role's at any time."""
    for parent in reversed(parents):
        try:
            parent.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except (UnsignedMetadataError, RepositoryError):
            continue
        yield from sorted(set(metadata.signatures) & set(parent.signed.get_delegated_role(role).keyids))
        return


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
