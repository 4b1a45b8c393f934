"""The authority's folder: the two files that it edits, their histories, and the repository that it publishes.

    registry.yaml, suspensions.yaml    the two files
    authority.yaml                     terms and thresholds that differ from the defaults
    applications/                      members' applications
    history/                           who changed what, when and why
    tones/                             the masters of the sounds
    repository/                        what members read, signed at each publication

Keys are kept elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import Key, Signer
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)  # fmt: skip

from idtone.errors import DocumentError, TrustError, UsageError
from idtone.files import replace_durably
from idtone.registry.kinds import KINDS
from idtone.registry.model import RegistryDocument
from idtone.registry.trust import layout

from . import operator_list
from .edition import Edition
from .examination import examine
from .history import PRIVATE, History, HistoryEntry, read_history
from .terms import FILE, Terms, read_terms

REPOSITORY: Final = "repository"
APPLICATIONS: Final = "applications"
HISTORY: Final = "history"


@dataclass(frozen=True)
class Workspace:
    """One folder. A publication replaces the repository's files one by one, the timestamp last: until then, readers see
    the generation before.
    """

    folder: Path

    @property
    def repository(self) -> Path:
        return self.folder / REPOSITORY

    def terms(self) -> Terms:
        """Raises DocumentError."""
        return read_terms(self.folder / FILE)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """For changes, one at a time. Raises UsageError if another command is changing something."""
        with contextlib.ExitStack() as stack:
            try:
                lock = stack.enter_context((self.folder / ".lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"{self.folder}: another command is changing something here; wait until it has ended"
                ) from error
            except OSError as error:
                raise UsageError(
                    f"{self.folder}: cannot be changed: {error.strerror}; name the authority's folder"
                ) from error
            yield

    # -- the files ----------------------------------------------------------------------------------------------

    def octets(self, file: str) -> bytes:
        """The content of one of the two files. Raises TrustError."""
        try:
            return (self.folder / file).read_bytes()
        except OSError as error:
            raise TrustError(f"{error.filename}: cannot be read: {error.strerror}") from error

    def history(self, role: str) -> History:
        """Raises TrustError if it is damaged."""
        return read_history(self.folder / HISTORY / f"{role}.jsonl")

    def record(self, role: str, entry: HistoryEntry) -> None:
        """Add an entry to the history, and keep a copy of the file beside it. Raises TrustError."""
        left = self.folder / HISTORY / layout.DELEGATED[role]
        self.history(role).with_entry(entry)
        if entry.after:
            try:
                replace_durably(left, self.octets(layout.DELEGATED[role]), PRIVATE)
            except OSError as error:
                raise TrustError(f"{left}: cannot be written: {error.strerror}") from error

    def before(self, role: str) -> bytes | None:
        """A role's file after the last recorded change; without one, as published; None if neither exists."""
        sha256 = self.history(role).left
        if sha256 is None:
            return self.published_octets(role)
        file = layout.DELEGATED[role]
        for path in (self.folder / HISTORY / file, self.folder / file):
            octets = path.read_bytes() if path.exists() else b""
            if hashlib.sha256(octets).hexdigest() == sha256:
                return octets
        raise TrustError(f"{self.folder / HISTORY / file}: differs from what the last change left; restore the file")

    def check(self) -> None:
        """Raises DocumentError for a file with faults, TrustError for an unreadable file."""
        for role, file in layout.DELEGATED.items():
            self._check(role, self.octets(file))

    def unrecorded(self, roles: Iterable[str] = tuple(layout.DELEGATED)) -> list[str]:
        """The roles whose files were edited by hand: the history does not have the edit yet."""
        found = []
        for role in roles:
            sha256 = hashlib.sha256(self.octets(layout.DELEGATED[role])).hexdigest()
            if sha256 != (self.history(role).left or self._published_sha256(role)):
                found.append(role)
        return found

    def differences(self) -> Iterator[str]:
        """What the two files change in what is published. A file with faults is left out: `next` reports its faults."""
        for role, file in layout.DELEGATED.items():
            kind, published = KINDS[role], self.published_octets(role)
            try:
                octets = self.octets(file)
                if published is None or octets == published:
                    continue
                new = self._check(role, octets)
            except (DocumentError, TrustError):
                continue
            for words in kind.differences(self._check(role, published), new):
                yield f"{file}: {words}"

    def published_octets(self, role: str) -> bytes | None:
        """A role's file as published; None if it never was. Raises TrustError if it is damaged."""
        sha256 = self._published_sha256(role)
        return None if sha256 is None else self._target_octets(layout.DELEGATED[role], sha256)

    def _published_sha256(self, role: str) -> str | None:
        if self._published(role) is None:
            return None
        target = self.current(role).signed.targets.get(layout.DELEGATED[role])
        return target.hashes["sha256"] if target else None

    def _target_octets(self, path: str, sha256: str) -> bytes:
        stored = self._target_path(path, sha256)
        try:
            octets = stored.read_bytes()
        except OSError as error:
            raise TrustError(f"{stored}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(octets).hexdigest() != sha256:
            raise TrustError(f"{stored}: is not what was published")
        return octets

    def present(self, signers: Iterable[Signer]) -> list[str]:
        """The roles of the two files that some of these keys may sign."""
        ids = {signer.public_key.keyid for signer in signers}
        current = self._all()
        return [name for name in layout.DELEGATED if ids & set(_role(name, current).keyids)]

    # -- the next edition ---------------------------------------------------------------------------------------

    def first(self, keys: Mapping[layout.Keys, Iterable[Key]], now: datetime) -> Edition:
        """The first edition of a new repository: roles, their keys, and the two files. Raises TrustError."""
        self.check_new()
        terms = self.terms()
        root = Root(expires=now, consistent_snapshot=True)
        delegations = Delegations({}, {})
        targets = Targets(expires=now, delegations=delegations)
        assert delegations.roles is not None
        for name, paths in layout.PATHS.items():
            delegations.roles[name] = DelegatedRole(name, [], layout.THRESHOLD, terminating=True, paths=paths)
        for name, role in layout.ROLES.items():
            parent: Root | Targets = targets if name in layout.DELEGATED else root
            for key in keys[role.keys]:
                parent.add_key(key, name)
            _set_threshold(parent, name, terms)
        drafts: dict[str, Metadata[Any]] = {"root": Metadata(root), "targets": Metadata(targets)}
        drafts |= {name: Metadata(Targets(expires=now)) for name in layout.DELEGATED}
        drafts |= {"snapshot": Metadata(Snapshot(expires=now)), "timestamp": Metadata(Timestamp(expires=now))}
        for draft in drafts.values():
            draft.signed.version = 0
        return self._edition(drafts, set(drafts), {}, now)

    def next(self, now: datetime, present: Iterable[str] | None = None) -> tuple[Edition, list[str]]:
        """The next edition with all changes and what depends on them, and the roles that stay unpublished.

        Metadata past half of their term are renewed. `present` are the ids of the keys at hand (None: all): roles
        without enough of them are not renewed, and a changed file without any of its keys stays unpublished, because
        the duty officers must be able to stop a number at night while a grant is in preparation. Raises DocumentError
        for a file with faults, and TrustError.
        """
        before, terms = self._all(), self.terms()
        roles = {name: _role(name, before) for name in layout.ROLES}
        there = {
            name: role.threshold if present is None else len(set(present) & set(role.keyids))
            for name, role in roles.items()
        }
        changed = {role for role in layout.DELEGATED if self._differs(role, must=bool(there[role]))}
        due = {
            name
            for name, role in roles.items()
            if there[name] >= role.threshold and terms.due(name, before[name].signed.expires, now)
        }
        # An interrupted publication leaves roles that their own keys have not signed.
        broken = {name for name in layout.ROLES if not _stands(name, before)}
        left = {name for name in changed if not there[name]}
        names = (changed - left) | due | broken | {"snapshot", "timestamp"}
        return self._edition(self._all(), names, before, now), sorted(left)

    def _differs(self, role: str, must: bool) -> bool:
        """Whether a role's file differs from the published one. If it need not be signed, it may be unreadable."""
        try:
            octets = self.octets(layout.DELEGATED[role])
        except TrustError:
            if must:
                raise
            return True
        return hashlib.sha256(octets).hexdigest() != self._published_sha256(role)

    def rotated(self, keys: Mapping[layout.Keys, Iterable[Key]], now: datetime) -> Edition:
        """An edition with new keys for some sets, and new signatures for everything that these sign."""
        before, drafts, terms = self._all(), self._all(), self.terms()
        affected = {"snapshot", "timestamp"}
        for name, role in layout.ROLES.items():
            if role.keys not in keys:
                continue
            affected |= {name, "targets" if name in layout.DELEGATED else "root"}
            parent = _parent(name, drafts)
            for keyid in list(parent.get_delegated_role(name).keyids):
                parent.revoke_key(keyid, name)
            for key in keys[role.keys]:
                parent.add_key(key, name)
            _set_threshold(parent, name, terms)
        return self._edition(drafts, affected, before, now)

    def latest(self, edition: Edition, now: datetime) -> Edition:
        """An edition that waited for its signatures, based on what is published now.

        It gets a new snapshot and timestamp if other editions were published in the meantime, or if its own are past
        half of their term. Raises TrustError if one of its other roles was published in the meantime.
        """
        if not edition.before:
            self.check_new()
            return edition
        published, terms = self._all(), self.terms()
        waiting = {name: draft for name, draft in edition.metadata.items() if name not in ("snapshot", "timestamp")}
        for name, draft in waiting.items():
            again = draft.signed_bytes == published[name].signed_bytes  # its publication was interrupted
            if not again and draft.signed.version != published[name].signed.version + 1:
                raise TrustError(f"{name} was published in the meantime; prepare the package again")
        drafts = {**self._all(), **waiting}
        last = {name: edition.metadata.get(name) for name in ("snapshot", "timestamp")}
        fits = all(
            draft is not None
            and draft.signed.version == published[name].signed.version + 1
            and not terms.due(name, draft.signed.expires, now)
            for name, draft in last.items()
        )
        later = dict(edition.metadata) if fits else self._drafted(drafts, {"snapshot", "timestamp"}, now)
        metadata = {**waiting, **{name: later[name] for name in ("snapshot", "timestamp")}}
        return replace(edition, metadata=metadata, before=published, files=self._files())

    def put(self, edition: Edition, now: datetime) -> list[str]:
        """Publish an edition; returns its roles. Raises TrustError, and publishes nothing, if signatures are missing or
        anything in it breaks the rules of `examination`.
        """
        edition.check_complete()
        done = {
            name
            for name, draft in edition.metadata.items()
            if name in edition.before and draft.signed_bytes == edition.before[name].signed_bytes
        }
        examine(_without(edition, done), now)
        files: dict[Path, bytes] = {}
        for path, octets in edition.targets.items():
            files[self._target_path(path, hashlib.sha256(octets).hexdigest())] = octets
        # In the order of the roles, the timestamp comes last.
        signed = [name for name in layout.ROLES if name in edition.metadata]
        files |= {self._file(name, edition.metadata[name]): edition.metadata[name].to_bytes() for name in signed}
        try:
            for file, octets in files.items():
                file.parent.mkdir(parents=True, exist_ok=True)
                replace_durably(file, octets)
        except OSError as error:
            raise TrustError(f"{error.filename or self.repository}: cannot be written: {error.strerror}") from error
        return signed

    def check_new(self) -> None:
        """Raises TrustError if there is a repository. Without a timestamp, its first publication was interrupted."""
        if self._published("timestamp"):
            raise TrustError(f"{self.repository}: there is a repository already; name another folder")

    # -- in one go ----------------------------------------------------------------------------------------------

    def begin(self, keys: Mapping[layout.Keys, Iterable[Key]], signers: Sequence[Signer], now: datetime) -> list[str]:
        """`first`, signed and published."""
        return self.put_signed(self.first(keys, now), signers, now)

    def publish(self, signers: Sequence[Signer], now: datetime) -> tuple[list[str], list[str]]:
        """`next`, signed and published: the roles that were signed, and those that stay unpublished."""
        edition, left = self.next(now, [signer.public_key.keyid for signer in signers])
        return self.put_signed(edition, signers, now), left

    def rotate(self, keys: Mapping[layout.Keys, Iterable[Key]], signers: Sequence[Signer], now: datetime) -> list[str]:
        """`rotated`, signed and published."""
        return self.put_signed(self.rotated(keys, now), signers, now)

    def put_signed(self, edition: Edition, signers: Iterable[Signer], now: datetime) -> list[str]:
        """`put`, after adding the signatures of these keys."""
        for signer in signers:
            edition.sign(signer)
        return self.put(edition, now)

    # -- what is published --------------------------------------------------------------------------------------

    def state(self, now: datetime) -> Iterator[tuple[str, int, datetime, bool]]:
        """Role, version, expiry, and whether half of its term is over."""
        terms = self.terms()
        for name in layout.ROLES:
            signed = self.current(name).signed
            yield name, signed.version, signed.expires, terms.due(name, signed.expires, now)

    def current(self, name: str) -> Metadata[Any]:
        """The latest metadata of a role. Raises TrustError."""
        path = self._published(name)
        if path is None:
            raise TrustError(f"{self.repository}: there is no {name}; `idtone authority init` begins a repository")
        return _read(path)

    def versions(self, name: str) -> Iterator[Metadata[Any]]:
        """All published metadata of a role, the oldest first; for the timestamp, the latest alone."""
        for _, path in sorted(self._versions(name)):
            yield _read(path)

    def proof(self) -> dict[str, bytes]:
        """The metadata that prove the list of operators, by file name."""
        roots = {path.name: path.read_bytes() for _, path in self._versions("root")}
        names = ("targets", layout.REGISTRY, "snapshot", "timestamp")
        return roots | {f"{name}.json": self.current(name).to_bytes() for name in names}

    def listed(self) -> bytes:
        """operators.json as published."""
        target = self.current(layout.REGISTRY).signed.targets[layout.OPERATORS_FILE]
        return self._target_octets(layout.OPERATORS_FILE, target.hashes["sha256"])

    # -- how ----------------------------------------------------------------------------------------------------

    def _edition(
        self, drafts: dict[str, Metadata[Any]], names: set[str], before: Mapping[str, Metadata[Any]], now: datetime
    ) -> Edition:
        """Reads each file once, so that the content that is hashed is the content that is published."""
        targets: dict[str, bytes] = {}
        for name, file in layout.DELEGATED.items():
            if name not in names:
                continue
            octets = self.octets(file)
            content = {file: octets}
            kept: dict[str, TargetFile] = {}
            checked = self._check(name, octets)
            if isinstance(checked, RegistryDocument):
                content[layout.OPERATORS_FILE] = operator_list.octets(checked)
                masters, kept = self._masters(checked, drafts[name].signed.targets)
                content |= masters
            made = {path: TargetFile.from_data(path, octets, ["sha256"]) for path, octets in content.items()}
            made[file].unrecognized_fields["custom"] = {"history": self.history(name).anchor()}
            drafts[name].signed.targets = kept | made
            targets |= content
        roots = tuple(self.versions("root"))
        return Edition(self._drafted(drafts, names, now), targets, before, self._files(), roots)

    def _files(self) -> dict[str, bytes]:
        """The two files as published."""
        published = {file: self.published_octets(role) for role, file in layout.DELEGATED.items()}
        return {file: octets for file, octets in published.items() if octets is not None}

    def _drafted(self, drafts: dict[str, Metadata[Any]], names: set[str], now: datetime) -> dict[str, Metadata[Any]]:
        """The named roles in their order, each as its next version and without signatures."""
        terms = self.terms()
        for name in layout.ROLES:
            if name not in names:
                continue
            draft = drafts[name].signed
            draft.version += 1
            draft.expires = (now + terms.term(name)).replace(microsecond=0)
            if name == "snapshot":
                others = ("targets", *layout.DELEGATED)
                draft.meta = {f"{other}.json": MetaFile(drafts[other].signed.version) for other in others}
            elif name == "timestamp":
                draft.snapshot_meta = MetaFile(drafts["snapshot"].signed.version)
            drafts[name].signatures.clear()
        return {name: drafts[name] for name in layout.ROLES if name in names}

    def _masters(
        self, document: RegistryDocument, published: Mapping[str, TargetFile]
    ) -> tuple[dict[str, bytes], dict[str, TargetFile]]:
        """The masters in `tones`, and the published masters that the registry still names.

        Raises TrustError for a file that is not the recording that the registry names.
        """
        found: dict[str, bytes] = {}
        kept: dict[str, TargetFile] = {}
        for tone in document.tones:
            if tone.sha256 is None:
                continue
            for path in sorted((self.folder / layout.TONES).glob("*")):
                if path.stem != tone.id or not path.is_file():
                    continue
                octets = path.read_bytes()
                if hashlib.sha256(octets).hexdigest() != tone.sha256:
                    raise TrustError(
                        f"{path}: is not the master that registry.yaml names for {tone.id}; correct one of them"
                    )
                found[f"{layout.TONES}/{path.name}"] = octets
            kept |= {path: target for path, target in published.items() if target.hashes["sha256"] == tone.sha256}
        return found, kept

    def _check(self, role: str, octets: bytes) -> Any:
        name = str(self.folder / layout.DELEGATED[role])
        return KINDS[role].parse(octets.decode("utf-8-sig", "replace"), name)

    def _all(self) -> dict[str, Metadata[Any]]:
        return {name: self.current(name) for name in layout.ROLES}

    def _published(self, name: str) -> Path | None:
        """The file of the latest version."""
        return max(self._versions(name), default=(0, None))[1]

    def _versions(self, name: str) -> list[tuple[int, Path]]:
        folder = self.repository / layout.METADATA
        if name == "timestamp":
            path = folder / "timestamp.json"
            return [(0, path)] if path.exists() else []
        numbered = ((path.name.partition(".")[0], path) for path in folder.glob(f"*.{name}.json"))
        return [(int(number), path) for number, path in numbered if number.isascii() and number.isdecimal()]

    def _file(self, name: str, metadata: Metadata[Any]) -> Path:
        numbered = "" if name == "timestamp" else f"{metadata.signed.version}."
        return self.repository / layout.METADATA / f"{numbered}{name}.json"

    def _target_path(self, path: str, sha256: str) -> Path:
        folder, _, name = path.rpartition("/")
        return self.repository / layout.TARGETS / folder / f"{sha256}.{name}"


def _read(path: Path) -> Metadata[Any]:
    try:
        return Metadata[Any].from_bytes(path.read_bytes())
    except (RepositoryError, OSError) as error:
        raise TrustError(f"{path}: is not what was published") from error


def _parent(name: str, metadata: Mapping[str, Metadata[Any]]) -> Root | Targets:
    """The metadata that name the keys of a role."""
    parent: Root | Targets = metadata["targets" if name in layout.DELEGATED else "root"].signed
    return parent


def _role(name: str, metadata: Mapping[str, Metadata[Any]]) -> Any:
    return _parent(name, metadata).get_delegated_role(name)


def _stands(name: str, metadata: Mapping[str, Metadata[Any]]) -> bool:
    """Whether a role's own keys have signed its published metadata."""
    try:
        _parent(name, metadata).verify_delegate(name, metadata[name].signed_bytes, metadata[name].signatures)
    except UnsignedMetadataError:
        return False
    return True


def _without(edition: Edition, names: set[str]) -> Edition:
    """An edition without the roles that are published already, and without their files."""
    metadata = {name: draft for name, draft in edition.metadata.items() if name not in names}
    named = {path for name in names & set(layout.DELEGATED) for path in edition.metadata[name].signed.targets}
    targets = {path: octets for path, octets in edition.targets.items() if path not in named}
    return replace(edition, metadata=metadata, targets=targets)


def _set_threshold(parent: Root | Targets, name: str, terms: Terms) -> None:
    parent.get_delegated_role(name).threshold = terms.set_of(layout.ROLES[name].keys).threshold
