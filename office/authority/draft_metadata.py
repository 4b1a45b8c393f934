"""Drafts TUF metadata for the next edition: which roles are signed again, and their versions, terms and keys."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from securesystemslib.signer import Key
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from idtone.registry.trust import tuf_roles

from .authority_settings import AuthoritySettings

Drafts = dict[str, Metadata[Any]]
KeySets = Mapping[tuf_roles.Keys, Iterable[Key]]

ALWAYS: Final = frozenset({"snapshot", "timestamp"})
"""Roles whose metadata is signed again in every edition."""


def delegating_metadata(name: str, metadata: Mapping[str, Metadata[Any]]) -> Root | Targets:
    """Find the metadata that lists a role's keys: `targets` for a delegated role, otherwise `root`."""
    parent: Root | Targets = metadata["targets" if name in tuf_roles.DELEGATED else "root"].signed
    return parent


def delegated_role(name: str, metadata: Mapping[str, Metadata[Any]]) -> Any:
    """Key ids and threshold of a role."""
    return delegating_metadata(name, metadata).get_delegated_role(name)


def is_signed(name: str, metadata: Mapping[str, Metadata[Any]]) -> bool:
    """True if a role's metadata has enough valid signatures from the role's keys."""
    try:
        delegating_metadata(name, metadata).verify_delegate(
            name, metadata[name].signed_bytes, metadata[name].signatures
        )
    except UnsignedMetadataError:
        return False
    return True


def first_drafts(keys: KeySets, terms: AuthoritySettings, now: datetime) -> Drafts:
    """Create drafts of all roles for a new repository, with version 0."""
    root = Root(expires=now, consistent_snapshot=True)
    delegations = Delegations({}, {})
    targets = Targets(expires=now, delegations=delegations)
    assert delegations.roles is not None
    for name, paths in tuf_roles.PATHS.items():
        delegations.roles[name] = DelegatedRole(name, [], tuf_roles.THRESHOLD, terminating=True, paths=paths)
    drafts: Drafts = {"root": Metadata(root), "targets": Metadata(targets)}
    drafts |= {name: Metadata(Targets(expires=now)) for name in tuf_roles.DELEGATED}
    drafts |= {"snapshot": Metadata(Snapshot(expires=now)), "timestamp": Metadata(Timestamp(expires=now))}
    for name, role in tuf_roles.ROLES.items():
        _add_keys(drafts, name, keys[role.keys], terms)
    for draft in drafts.values():
        draft.signed.version = 0
    return drafts


def replace_keys(drafts: Drafts, keys: KeySets, terms: AuthoritySettings) -> set[str]:
    """Replace the keys of the given key sets in `drafts`, in place.

    Returns the roles that need new signatures.
    """
    affected = set(ALWAYS)
    for name, role in tuf_roles.ROLES.items():
        if role.keys not in keys:
            continue
        affected |= {name, "targets" if name in tuf_roles.DELEGATED else "root"}
        parent = delegating_metadata(name, drafts)
        for keyid in list(parent.get_delegated_role(name).keyids):
            parent.revoke_key(keyid, name)
        _add_keys(drafts, name, keys[role.keys], terms)
    return affected


def _add_keys(drafts: Drafts, name: str, keys: Iterable[Key], terms: AuthoritySettings) -> None:
    parent = delegating_metadata(name, drafts)
    for key in keys:
        parent.add_key(key, name)
    parent.get_delegated_role(name).threshold = terms.key_set(tuf_roles.ROLES[name].keys).threshold


def next_versions(drafts: Drafts, names: Iterable[str], terms: AuthoritySettings, now: datetime) -> Drafts:
    """Give each named role its next version and a new expiry, and remove its old signatures.

    Changes `drafts` in place and returns the drafts of the named roles.
    """
    chosen = set(names)
    for name in tuf_roles.ROLES:
        if name not in chosen:
            continue
        draft = drafts[name].signed
        draft.version += 1
        draft.expires = (now + terms.term(name)).replace(microsecond=0)
        if name == "snapshot":
            others = ("targets", *tuf_roles.DELEGATED)
            draft.meta = {f"{other}.json": MetaFile(drafts[other].signed.version) for other in others}
        elif name == "timestamp":
            draft.snapshot_meta = MetaFile(drafts["snapshot"].signed.version)
        drafts[name].signatures.clear()
    return {name: drafts[name] for name in tuf_roles.ROLES if name in chosen}
