"""The desk's folder: the two files as they are edited, their histories, and the repository as it is published.

    registry.yaml, suspensions.yaml    what the association says
    desk.yaml                          terms and thresholds, where they are not the usual ones
    applications/                      what members have asked for
    history/                           who changed what, when and why
    tones/                             the masters of the sounds
    repository/                        what members read: signed anew whenever something changes

Keys lie elsewhere.
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

from idtone.errors import TrustError, UsageError
from idtone.files import replace_durably

from ..model import RegistryDocument
from ..trust import layout
from . import operators
from .editions import Edition
from .examining import examine
from .history import PRIVATE, Entry, History, read_history
from .kinds import KINDS
from .terms import FILE, Terms, read_terms

REPOSITORY: Final = "repository"
APPLICATIONS: Final = "applications"
HISTORY: Final = "history"


@dataclass(frozen=True)
class Desk:
    """One folder. What is published is replaced file by file, the timestamp last: who reads meanwhile has the
    generation of before.
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
        """For who changes something: one at a time. Raises UsageError where another one is at it."""
        with contextlib.ExitStack() as stack:
            try:
                lock = stack.enter_context((self.folder / ".lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"{self.folder}: somebody else is changing something here; wait until he is done"
                ) from error
            except OSError as error:
                raise UsageError(
                    f"{self.folder}: cannot be changed: {error.strerror}; name the desk's folder"
                ) from error
            yield

    # -- the files ----------------------------------------------------------------------------------------------

    def octets(self, file: str) -> bytes:
        """Of one of the two files. Raises TrustError."""
        try:
            return (self.folder / file).read_bytes()
        except OSError as error:
            raise TrustError(f"{error.filename}: cannot be read: {error.strerror}") from error

    def history(self, role: str) -> History:
        """Raises TrustError where it was damaged."""
        return read_history(self.folder / HISTORY / f"{role}.jsonl")

    def enter(self, role: str, entry: Entry) -> None:
        """Into the history, and the file beside it as the entry leaves it. Raises TrustError."""
        left = self.folder / HISTORY / layout.DELEGATED[role]
        self.history(role).with_entry(entry)
        if entry.after:
            try:
                replace_durably(left, self.octets(layout.DELEGATED[role]), PRIVATE)
            except OSError as error:
                raise TrustError(f"{left}: cannot be written: {error.strerror}") from error

    def before(self, role: str) -> bytes | None:
        """A role's file as the history left it; where it has not, as it is published; None where it is neither."""
        sha256 = self.history(role).left
        if sha256 is None:
            return self.published_octets(role)
        file = layout.DELEGATED[role]
        for path in (self.folder / HISTORY / file, self.folder / file):
            octets = path.read_bytes() if path.exists() else b""
            if hashlib.sha256(octets).hexdigest() == sha256:
                return octets
        raise TrustError(f"{self.folder / HISTORY / file}: is not as the last change left it; bring it back as it was")

    def check(self) -> None:
        """Raises DocumentError for a file with faults, TrustError for one that cannot be read."""
        for role, file in layout.DELEGATED.items():
            self._check(role, self.octets(file))

    def unexplained(self, roles: Iterable[str] = tuple(layout.DELEGATED)) -> list[str]:
        """Those of the roles whose files were changed by hand: they are not as the history left them."""
        found = []
        for role in roles:
            sha256 = hashlib.sha256(self.octets(layout.DELEGATED[role])).hexdigest()
            if sha256 != (self.history(role).left or self._published_sha256(role)):
                found.append(role)
        return found

    def published_octets(self, role: str) -> bytes | None:
        """What is published of a role's file; None where nothing is. Raises TrustError where that is damaged."""
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
        """The roles with a file of their own of which some of these keys are."""
        ids = {signer.public_key.keyid for signer in signers}
        current = self._all()
        return [name for name in layout.DELEGATED if ids & set(_role(name, current).keyids)]

    # -- the next edition ---------------------------------------------------------------------------------------

    def first(self, keys: Mapping[layout.Keys, Iterable[Key]], now: datetime) -> Edition:
        """A new repository: the roles, whose keys they are, and what the two files say. Raises TrustError."""
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
        """What has changed, and everything that depends on it; and the roles that are left for others to sign.

        What has passed half of its term is signed anew. With `present`, the ids of the keys that are there, that is so
        where they are enough; and a changed file of whose keys none is there is left, since a number must be stopped
        at night also while somebody prepares a grant. Raises DocumentError for a file with faults, and TrustError.
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
        # What was left half done by somebody, or something, that went away.
        broken = {name for name in layout.ROLES if not _stands(name, before)}
        left = {name for name in changed if not there[name]}
        names = (changed - left) | due | broken | {"snapshot", "timestamp"}
        return self._edition(self._all(), names, before, now), sorted(left)

    def _differs(self, role: str, must: bool) -> bool:
        """Whether a role's file is another than is published; one that nobody is there for need not be readable."""
        try:
            octets = self.octets(layout.DELEGATED[role])
        except TrustError:
            if must:
                raise
            return True
        return hashlib.sha256(octets).hexdigest() != self._published_sha256(role)

    def rotated(self, keys: Mapping[layout.Keys, Iterable[Key]], now: datetime) -> Edition:
        """Other keys for some of the sets, and everything signed anew that they sign."""
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
        """An edition that waited for its signatures, on top of what is published now.

        Where others came meanwhile, or time has gone by, it gets a new snapshot and timestamp. Raises TrustError where
        something else in it was published meanwhile, or has expired.
        """
        if not edition.before:
            self.check_new()
            return edition
        published, terms = self._all(), self.terms()
        waiting = {name: draft for name, draft in edition.metadata.items() if name not in ("snapshot", "timestamp")}
        for name, draft in waiting.items():
            again = draft.signed_bytes == published[name].signed_bytes  # it was being put in place when that broke off
            if not again and draft.signed.version != published[name].signed.version + 1:
                raise TrustError(f"{name} was published meanwhile; what it was to say has to be prepared anew")
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
        """Publish it; the roles that were signed. Raises TrustError where signatures are missing, or something in it is
        not as it should be: then nothing is.
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
        # In the order of the roles the timestamp comes last.
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
        """Raises TrustError where there is a repository. One without a timestamp was never begun to its end."""
        if self._published("timestamp"):
            raise TrustError(f"{self.repository}: there is a repository already")

    # -- in one go ----------------------------------------------------------------------------------------------

    def begin(self, keys: Mapping[layout.Keys, Iterable[Key]], signers: Sequence[Signer], now: datetime) -> list[str]:
        """`first`, signed and published."""
        return self.put_signed(self.first(keys, now), signers, now)

    def publish(self, signers: Sequence[Signer], now: datetime) -> tuple[list[str], list[str]]:
        """`next`, signed and published: the roles that were signed, and those that were left."""
        edition, left = self.next(now, [signer.public_key.keyid for signer in signers])
        return self.put_signed(edition, signers, now), left

    def rotate(self, keys: Mapping[layout.Keys, Iterable[Key]], signers: Sequence[Signer], now: datetime) -> list[str]:
        """`rotated`, signed and published."""
        return self.put_signed(self.rotated(keys, now), signers, now)

    def put_signed(self, edition: Edition, signers: Iterable[Signer], now: datetime) -> list[str]:
        """`put`, with these signatures besides those that it has."""
        for signer in signers:
            edition.sign(signer)
        return self.put(edition, now)

    # -- what is published --------------------------------------------------------------------------------------

    def state(self, now: datetime) -> Iterator[tuple[str, int, datetime, bool]]:
        """Role, version, until when it counts, and whether half of its term is over."""
        terms = self.terms()
        for name in layout.ROLES:
            signed = self.current(name).signed
            yield name, signed.version, signed.expires, terms.due(name, signed.expires, now)

    def current(self, name: str) -> Metadata[Any]:
        """The latest of a role. Raises TrustError."""
        path = self._published(name)
        if path is None:
            raise TrustError(f"{self.repository}: there is no {name}; `idtone registry init` begins a repository")
        return _read(path)

    def versions(self, name: str) -> Iterator[Metadata[Any]]:
        """All that were published of a role, the oldest first; of the timestamp there is the latest alone."""
        for _, path in sorted(self._versions(name)):
            yield _read(path)

    def proof(self) -> dict[str, bytes]:
        """What proves the list of operators, by file name."""
        roots = {path.name: path.read_bytes() for _, path in self._versions("root")}
        names = ("targets", layout.REGISTRY, "snapshot", "timestamp")
        return roots | {f"{name}.json": self.current(name).to_bytes() for name in names}

    def listed(self) -> bytes:
        """operators.json as it is published."""
        target = self.current(layout.REGISTRY).signed.targets[layout.OPERATORS_FILE]
        return self._target_octets(layout.OPERATORS_FILE, target.hashes["sha256"])

    # -- how ----------------------------------------------------------------------------------------------------

    def _edition(
        self, drafts: dict[str, Metadata[Any]], names: set[str], before: Mapping[str, Metadata[Any]], now: datetime
    ) -> Edition:
        """The files are read once: what is hashed is what is published."""
        targets: dict[str, bytes] = {}
        for name, file in layout.DELEGATED.items():
            if name not in names:
                continue
            octets = self.octets(file)
            content = {file: octets}
            kept: dict[str, TargetFile] = {}
            checked = self._check(name, octets)
            if isinstance(checked, RegistryDocument):
                content[layout.OPERATORS_FILE] = operators.octets(checked)
                masters, kept = self._masters(checked, drafts[name].signed.targets)
                content |= masters
            made = {path: TargetFile.from_data(path, octets, ["sha256"]) for path, octets in content.items()}
            made[file].unrecognized_fields["custom"] = {"history": self.history(name).anchor()}
            drafts[name].signed.targets = kept | made
            targets |= content
        roots = tuple(self.versions("root"))
        return Edition(self._drafted(drafts, names, now), targets, before, self._files(), roots)

    def _files(self) -> dict[str, bytes]:
        """The two files as they are published."""
        published = {file: self.published_octets(role) for role, file in layout.DELEGATED.items()}
        return {file: octets for file, octets in published.items() if octets is not None}

    def _drafted(self, drafts: dict[str, Metadata[Any]], names: set[str], now: datetime) -> dict[str, Metadata[Any]]:
        """Those named, in the order of the roles, as the next versions of them and without signatures."""
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
        """The masters of the sounds that lie in `tones`, and those that were published and are still named.

        Raises TrustError where one is not the recording that the registry names.
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
                        f"{path}: is not the master that registry.yaml names for {tone.id}; correct one of the two"
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
        """The latest version."""
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
    """Who says whose keys sign it."""
    parent: Root | Targets = metadata["targets" if name in layout.DELEGATED else "root"].signed
    return parent


def _role(name: str, metadata: Mapping[str, Metadata[Any]]) -> Any:
    return _parent(name, metadata).get_delegated_role(name)


def _stands(name: str, metadata: Mapping[str, Metadata[Any]]) -> bool:
    """Whether a role's own keys have signed what is published of it."""
    try:
        _parent(name, metadata).verify_delegate(name, metadata[name].signed_bytes, metadata[name].signatures)
    except UnsignedMetadataError:
        return False
    return True


def _without(edition: Edition, names: set[str]) -> Edition:
    """The rest of an edition of which some roles are published already, and so are their files."""
    metadata = {name: draft for name, draft in edition.metadata.items() if name not in names}
    named = {path for name in names & set(layout.DELEGATED) for path in edition.metadata[name].signed.targets}
    targets = {path: octets for path, octets in edition.targets.items() if path not in named}
    return replace(edition, metadata=metadata, targets=targets)


def _set_threshold(parent: Root | Targets, name: str, terms: Terms) -> None:
    parent.get_delegated_role(name).threshold = terms.set_of(layout.ROLES[name].keys).threshold
