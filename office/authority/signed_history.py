"""Determines from the signed metadata which keys signed each line of the registry's history."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, Root, Targets

from idtone.core.errors import TrustError
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.roots import read_root, verified_successor

from .history import History, HistoryEntry
from .signed_repository import SignedRepository
from .workspace import Workspace


@dataclass(frozen=True, slots=True)
class HistorySignature:
    """First published version of a role that covers a history line, and the ids of the keys that signed it."""

    role: str
    version: int
    keys: tuple[str, ...]


def history_with_signatures(
    workspace: Workspace, trust: Path | None
) -> list[tuple[HistoryEntry, HistorySignature | None]]:
    """All history lines in chronological order, each with its signature.

    The signature is None if no published version covers the line yet. Verification starts from the root in the file
    `trust`, or from the repository's first root. Raises TrustError if signed lines have changed or signatures are
    invalid.
    """
    parents = list(_targets(workspace.repository, trust))
    entries: list[tuple[HistoryEntry, HistorySignature | None]] = []
    for role in tuf_roles.DELEGATED:
        history = workspace.history(role)
        signatures = _signatures(workspace.repository, role, history, parents)
        if gap := next(history.broken_lines(), None):
            raise TrustError(
                "{path}:{gap}: does not start where the change before it ended", path=history.path, gap=gap
            )
        entries += [(entry, _first(signatures, number)) for number, entry in enumerate(history.entries, 1)]
    return sorted(entries, key=lambda each: each[0].at)


def _first(signatures: Mapping[int, HistorySignature], number: int) -> HistorySignature | None:
    return next((signature for entries, signature in sorted(signatures.items()) if entries >= number), None)


def _targets(repository: SignedRepository, trust: Path | None) -> Iterator[Metadata[Targets]]:
    kept = read_root(trust) if trust else None
    foreign = TrustError("{folder}: does not belong to the association whose root you have", folder=repository.folder)
    roots: list[Metadata[Root]] = []
    for root in repository.metadata_versions("root"):
        if kept and root.signed.version == kept.signed.version and root.signed_bytes != kept.signed_bytes:
            raise foreign
        roots.append(verified_successor(roots[-1], root) if roots else root)
    if kept and kept.signed.version not in {root.signed.version for root in roots}:
        raise foreign
    for targets in repository.metadata_versions("targets"):
        if not any(_signers(root, "targets", targets) for root in roots):
            raise TrustError(
                "version {version} of targets in {folder} is not signed by its keys",
                version=targets.signed.version,
                folder=repository.folder,
            )
        yield targets


def _signatures(
    repository: SignedRepository, role: str, history: History, parents: list[Metadata[Targets]]
) -> dict[int, HistorySignature]:
    found: dict[int, HistorySignature] = {}
    for metadata in repository.metadata_versions(role):
        version = metadata.signed.version
        keys = next((signers for parent in reversed(parents) if (signers := _signers(parent, role, metadata))), None)
        if keys is None:
            raise TrustError(
                "version {version} of {role} in {folder} is not signed by its keys",
                version=version,
                role=role,
                folder=repository.folder,
            )
        target = metadata.signed.targets.get(tuf_roles.DELEGATED[role])
        if target is None and tuf_roles.DELEGATED[role] in tuf_roles.OPTIONAL:
            continue
        anchor = (target.custom or {}).get("history") if target else None
        if anchor is None or anchor != history.count_and_sha256(anchor.get("entries")):
            raise TrustError(
                "{path}: its first lines are not the lines that were signed with version {version}; restore the file",
                path=history.path,
                version=version,
            )
        found.setdefault(anchor["entries"], HistorySignature(role, version, keys))
    return found


def _signers(parent: Metadata[Any], role: str, metadata: Metadata[Any]) -> tuple[str, ...]:
    try:
        result = parent.signed.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    except ValueError:
        return ()
    return tuple(sorted(result.signed)) if result.verified else ()
