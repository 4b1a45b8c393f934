"""The authority's folder: the files that it edits, their histories, and the repository that it publishes.

    registry.yaml, suspensions.yaml    the files
    never-originates.yaml              the numbers that never originate, if there is such a list
    refusals.list                      the tokens of refused contractors, if there are any
    authority.yaml                     terms and thresholds that differ from the defaults
    applications/                      members' applications
    history/                           the changes, with author, time and reason
    unpublished/                       copies of the registry from before each change that can still be taken back
    tones/                             the masters of the sounds
    repository/                        the repository for members, signed at each publication

Keys are kept elsewhere.
"""

import contextlib
import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, TargetFile

from idtone.core.errors import DocumentError, IdtoneError, TrustError, UsageError
from idtone.core.files import writing
from idtone.core.translation import Message
from idtone.member.customers.refused.refusal_list import RefusalList, list_differences
from idtone.registry.file_kinds import KINDS
from idtone.registry.model import RegistryDocument, SuspensionsDocument
from idtone.registry.named_logs import named_logs
from idtone.registry.number_entries import entries_of
from idtone.registry.trust import tuf_roles

from . import draft_metadata, operator_list, pending_rotations, shared_folder, undo_copies
from .authority_settings import FILE, AuthoritySettings, read_authority_settings
from .draft_metadata import ALWAYS, Drafts, KeySets
from .edition import Edition
from .edition_numbers import area_words, whole
from .edition_rules import examine
from .folder_lock import lock_folder
from .history import History, HistoryEntry, read_history
from .published_folder import is_newest, publish_to
from .signed_repository import SignedRepository
from .stopped_members import not_listed, stopped_members

REPOSITORY: Final = "repository"
APPLICATIONS: Final = "applications"
HISTORY: Final = "history"
_log = logging.getLogger(__name__)
TURN_WITHIN_S: Final = 60.0
"""Most seconds that a change waits for the one before it, which may itself wait for the office's ledger."""


@dataclass(frozen=True)
class Workspace:
    folder: Path

    @property
    def repository(self) -> SignedRepository:
        return SignedRepository(self.folder / REPOSITORY)

    def terms(self) -> AuthoritySettings:
        """The terms in `authority.yaml`. Raises DocumentError."""
        return read_authority_settings(self.folder / FILE)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Context for changes, one at a time; inside it, this object may enter it again.

        Raises UsageError if another command holds it for too long.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lock_folder(self.folder / ".lock", TURN_WITHIN_S, id(self)))
            except TimeoutError as error:
                raise UsageError(
                    "{folder}: another command is changing something here; wait until it has ended", folder=self.folder
                ) from error
            except OSError as error:
                raise UsageError(
                    "{folder}: cannot be changed: {reason}; name the authority's folder",
                    folder=self.folder,
                    reason=error.strerror,
                ) from error
            yield

    # -- the files ----------------------------------------------------------------------------------------------

    def files(self) -> dict[str, str]:
        """Role → its file, without optional lists that do not exist yet."""
        return {role: file for role, file in tuf_roles.DELEGATED.items() if not self.is_absent(role)}

    def is_absent(self, role: str) -> bool:
        """True if the role's file is missing and may be missing. Once it was recorded or published, it may not."""
        file = tuf_roles.DELEGATED[role]
        return (
            file in tuf_roles.OPTIONAL
            and not (self.folder / file).exists()
            and (self.history(role).left or self.repository.sha256(role)) is None
        )

    def octets(self, file: str) -> bytes:
        """The content of one of the files. Raises TrustError."""
        try:
            return (self.folder / file).read_bytes()
        except OSError as error:
            raise TrustError("{file}: cannot be read: {reason}", file=error.filename, reason=error.strerror) from error

    def history(self, role: str) -> History:
        """The history of a role's editions. Raises TrustError if it is damaged."""
        return read_history(self.folder / HISTORY / f"{role}.jsonl")

    def record(self, role: str, entry: HistoryEntry) -> None:
        """Add an entry to the history, and store a copy of the file beside it. Raises TrustError."""
        left = self.folder / HISTORY / tuf_roles.DELEGATED[role]
        self.history(role).with_entry(entry)
        if entry.after:
            with writing(left, TrustError):
                shared_folder.write(left, self.octets(tuf_roles.DELEGATED[role]))

    def unpublished(self, role: str) -> Sequence[HistoryEntry]:
        """The lines of the history after the published edition. Raises TrustError."""
        entries, published = self.history(role).entries, self.repository.sha256(role)
        there = [number for number, entry in enumerate(entries, 1) if entry.after == published]
        return entries[there[-1] if published and there else 0 :]

    def before(self, role: str) -> bytes | None:
        """A role's file after the last recorded change, or the published file if there was none; None if neither
        exists.
        """
        sha256 = self.history(role).left
        if sha256 is None:
            return self.repository.octets(role)
        file = tuf_roles.DELEGATED[role]
        for path in (self.folder / HISTORY / file, self.folder / file):
            octets = path.read_bytes() if path.exists() else b""
            if hashlib.sha256(octets).hexdigest() == sha256:
                return octets
        raise TrustError(
            "{path}: differs from what the last change left; restore the file", path=self.folder / HISTORY / file
        )

    def check(self) -> None:
        """Check the files. Raises DocumentError for a file with faults, TrustError for an unreadable file."""
        for role, file in self.files().items():
            self._check(role, self.octets(file))

    def unrecorded(self, roles: Iterable[str] = tuple(tuf_roles.DELEGATED)) -> list[str]:
        """The roles whose files were edited by hand and not recorded yet."""
        found = []
        for role in roles:
            if self.is_absent(role):
                continue
            sha256 = hashlib.sha256(self.octets(tuf_roles.DELEGATED[role])).hexdigest()
            if sha256 != (self.history(role).left or self.repository.sha256(role)):
                found.append(role)
        return found

    def differences(self, is_whole: bool = False) -> Iterator[str]:
        """The differences between the files and the published ones; `is_whole` as in `edition_rules.describe`. A file
        with faults is left out: `next` reports its faults.
        """
        for role, file in self.files().items():
            kind, published = KINDS[role], self.repository.octets(role)
            try:
                octets = self.octets(file)
                if octets == published or (published is None and file not in tuf_roles.OPTIONAL):
                    continue
                new = self._check(role, octets)
            except (DocumentError, TrustError):
                continue
            old = kind.emptied(new) if published is None else self._check(role, published)
            found = (
                [*area_words(old, new), *kind.differences(old, new, whole)] if is_whole else kind.differences(old, new)
            )
            for words in found:
                yield Message("{file}: {words}", file=file, words=words)
        with contextlib.suppress(DocumentError, TrustError):
            for words in self._list_words(is_new=True):
                yield Message("{file}: {words}", file=tuf_roles.OPERATORS_FILE, words=words)
        listed, coming = self.repository.refusals(), self.refusals()
        for words in list_differences(_listed(listed), _listed(coming)) if coming != listed else ():
            yield Message("{file}: {words}", file=tuf_roles.REFUSALS_FILE, words=words)

    def refusals(self) -> bytes | None:
        """The list of refused contractors for the next publication; None if there is none. Raises TrustError."""
        return self.octets(tuf_roles.REFUSALS_FILE) if (self.folder / tuf_roles.REFUSALS_FILE).exists() else None

    def present(self, signers: Iterable[Signer]) -> list[str]:
        """The roles of the files that some of these keys may sign."""
        ids = {signer.public_key.keyid for signer in signers}
        current = self.repository.roles()
        return [name for name in tuf_roles.DELEGATED if ids & set(draft_metadata.role_of(name, current).keyids)]

    # -- the next edition ---------------------------------------------------------------------------------------

    def first(self, keys: KeySets, now: datetime) -> Edition:
        """The first edition of a new repository: roles, their keys, and the files. Raises TrustError."""
        self.repository.check_new()
        drafts = draft_metadata.first_drafts(keys, self.terms(), now)
        return self._edition(drafts, set(drafts), {}, now)

    def next(self, now: datetime, present: Iterable[str] | None = None) -> tuple[Edition, list[str]]:
        """The next edition, with all changes and the metadata that depend on them; and the roles that stay unpublished.

        Metadata past half of their term are renewed. `present` are the ids of the keys at hand (None: all). Roles
        without enough of them are not renewed, and a changed file without any of its keys stays unpublished, because
        the duty officers must be able to stop a number at night while a grant is in preparation. Raises DocumentError
        for a file with faults, and TrustError.
        """
        before, terms = self.repository.roles(), self.terms()
        roles = {name: draft_metadata.role_of(name, before) for name in tuf_roles.ROLES}
        there = {
            name: role.threshold if present is None else len(set(present) & set(role.keyids))
            for name, role in roles.items()
        }
        changed = {role for role in tuf_roles.DELEGATED if self._differs(role, must=bool(there[role]))}
        changed |= {tuf_roles.REGISTRY for _ in self._list_words(bool(there[tuf_roles.SUSPENSIONS]))}
        due = {
            name
            for name, role in roles.items()
            if there[name] >= role.threshold and terms.due(name, before[name].signed.expires, now)
        }
        # An interrupted publication leaves roles that their own keys have not signed.
        broken = {name for name in tuf_roles.ROLES if not draft_metadata.is_signed(name, before)}
        left = {name for name in changed if not there[name]}
        names = (changed - left) | due | broken | ALWAYS
        return self._edition(self.repository.roles(), names, before, now), sorted(left)

    def _differs(self, role: str, must: bool) -> bool:
        """True if a role's file differs from the published one. A file that need not be signed may be unreadable."""
        if self.is_absent(role):
            return False
        try:
            octets = self.octets(tuf_roles.DELEGATED[role])
        except TrustError:
            if must:
                raise
            return True
        if role == tuf_roles.SUSPENSIONS and self.refusals() != self.repository.refusals():
            return True
        return hashlib.sha256(octets).hexdigest() != self.repository.sha256(role)

    def rotated(self, keys: KeySets, now: datetime, lines: Mapping[str, Sequence[HistoryEntry]] = {}) -> Edition:
        """An edition with new keys for some sets, and new signatures for all that these keys sign. `lines` are the new
        lines of the histories, by role: the signatures cover them already.
        """
        drafts = self.repository.roles()
        affected = draft_metadata.replace_keys(drafts, keys, self.terms())
        return self._edition(drafts, affected, self.repository.roles(), now, lines)

    def latest(self, edition: Edition, now: datetime) -> Edition:
        """A waiting edition, based on the present publication.

        It gets a new snapshot and timestamp if other editions were published in the meantime, or if its own are past
        half of their term. Raises TrustError if one of its other roles was published in the meantime.
        """
        if not edition.before:
            self.repository.check_new()
            return edition
        published, terms = self.repository.roles(), self.terms()
        waiting = {name: draft for name, draft in edition.metadata.items() if name not in ALWAYS}
        for name, draft in waiting.items():
            again = draft.signed_bytes == published[name].signed_bytes  # its publication was interrupted
            if not again and draft.signed.version != published[name].signed.version + 1:
                raise TrustError("{name} was published in the meantime; prepare the package again", name=name)
        drafts = {**self.repository.roles(), **waiting}
        last = {name: edition.metadata.get(name) for name in ("snapshot", "timestamp")}
        fits = all(
            draft is not None
            and draft.signed.version == published[name].signed.version + 1
            and not terms.due(name, draft.signed.expires, now)
            for name, draft in last.items()
        )
        later = dict(edition.metadata) if fits else draft_metadata.next_versions(drafts, ALWAYS, terms, now)
        metadata = {**waiting, **{name: later[name] for name in ("snapshot", "timestamp")}}
        roots = tuple(self.repository.versions("root"))
        return replace(edition, metadata=metadata, before=published, files=self.repository.files(), roots=roots)

    def put(self, edition: Edition, now: datetime, lines: Mapping[str, Sequence[HistoryEntry]] = {}) -> list[str]:
        """Publish an edition; returns its roles. Raises TrustError, and then nothing is published, if signatures are
        missing or the edition breaks the rules of `examination`.

        `lines` are the new lines of the histories, always about signed changes. A rotation whose package has come back
        gets its line now.
        """
        edition.check_complete()
        examine(edition.unpublished(), now)
        for role, entries in lines.items():
            for entry in entries:
                self.record(role, entry)
        published = self.repository.write(edition)
        pending_rotations.record_published(self, now)
        needed = {entry.before for entry in self.unpublished(tuf_roles.REGISTRY) if entry.before}
        undo_copies.drop_others(self.folder, needed)
        try:
            self.copy_published()
        except IdtoneError as error:  # members have the edition all the same; commands and pages show `is_copied`
            _log.error("%s", error)
        return published

    def copy_published(self) -> None:
        """Copy the published repository to the folder `published` of the terms, if they name one; this can be repeated.
        If it raises IdtoneError, the previous copy stays.
        """
        if to := self.terms().published:
            publish_to(to, self.repository.folder, self.repository.current("timestamp").signed.version)

    def is_copied(self) -> bool:
        """True if the copy is up to date, or if the terms demand none. Raises DocumentError."""
        to = self.terms().published
        return to is None or is_newest(to, self.repository.folder)

    # -- in one go ----------------------------------------------------------------------------------------------

    def begin(self, keys: KeySets, signers: Sequence[Signer], now: datetime) -> list[str]:
        """Sign and publish the edition of `first`."""
        return self.put_signed(self.first(keys, now), signers, now)

    def publish(self, signers: Sequence[Signer], now: datetime) -> tuple[list[str], list[str]]:
        """Sign and publish `next`; returns the signed roles, and those that stay unpublished."""
        edition, left = self.next(now, [signer.public_key.keyid for signer in signers])
        return self.put_signed(edition, signers, now), left

    def rotate(self, keys: KeySets, signers: Sequence[Signer], now: datetime) -> list[str]:
        """Sign and publish the edition of `rotated`."""
        return self.put_signed(self.rotated(keys, now), signers, now)

    def put_signed(self, edition: Edition, signers: Iterable[Signer], now: datetime) -> list[str]:
        """Add the signatures of these keys, and `put` the edition."""
        for signer in signers:
            edition.sign(signer)
        return self.put(edition, now)

    def state(self, now: datetime) -> Iterator[tuple[str, int, datetime, bool]]:
        """Role, version, expiry, and True if half of its term is over."""
        terms = self.terms()
        for name, metadata in self.repository.roles().items():
            signed = metadata.signed
            yield name, signed.version, signed.expires, terms.due(name, signed.expires, now)

    # -- content ------------------------------------------------------------------------------------------------

    def _edition(
        self,
        drafts: Drafts,
        names: set[str],
        before: Mapping[str, Metadata[Any]],
        now: datetime,
        lines: Mapping[str, Sequence[HistoryEntry]] = {},
    ) -> Edition:
        """The edition. Each file is read once, so that the hashed content is the published content."""
        targets: dict[str, bytes] = {}
        for name, file in tuf_roles.DELEGATED.items():
            if name not in names or self.is_absent(name):
                continue
            octets = self.octets(file)
            content = {file: octets}
            kept: dict[str, TargetFile] = {}
            checked = self._check(name, octets)
            if isinstance(checked, RegistryDocument):
                content[tuf_roles.OPERATORS_FILE] = operator_list.octets(
                    checked, self._suspensions(tuf_roles.SUSPENSIONS in names)
                )
                masters, kept = self._masters(checked, drafts[name].signed.targets)
                content |= masters
            elif name == tuf_roles.SUSPENSIONS and (refusals := self.refusals()) is not None:
                content[tuf_roles.REFUSALS_FILE] = refusals
            made = {path: TargetFile.from_data(path, octets, ["sha256"]) for path, octets in content.items()}
            history = self.history(name)
            for line in lines.get(name, ()):
                history = history.followed_by(line)
            custom = {"history": history.anchor(), "numbers": entries_of(octets, checked).root}
            if isinstance(checked, RegistryDocument) and (logs := named_logs(checked)):
                custom["logs"] = logs
            made[file].unrecognized_fields["custom"] = custom
            drafts[name].signed.targets = kept | made
            targets |= content
        metadata = draft_metadata.next_versions(drafts, names, self.terms(), now)
        roots = tuple(self.repository.versions("root"))
        return Edition(metadata, targets, before, self.repository.files(), roots)

    def _suspensions(self, is_new: bool) -> SuspensionsDocument | None:
        """The suspensions of the next edition (`is_new`), or the published ones."""
        role = tuf_roles.SUSPENSIONS
        octets = self.octets(tuf_roles.DELEGATED[role]) if is_new else self.repository.octets(role)
        found: SuspensionsDocument | None = None if octets is None else self._check(role, octets)
        return found

    def stopped(self, now: datetime) -> frozenset[str]:
        """The members whose numbers are all suspended by the published files. Raises TrustError."""
        octets, suspensions = self.repository.octets(tuf_roles.REGISTRY), self._suspensions(is_new=False)
        if octets is None or suspensions is None:
            return frozenset()
        document = KINDS[tuf_roles.REGISTRY].parse(octets.decode("utf-8-sig", "replace"), tuf_roles.REGISTRY_FILE)
        return stopped_members(document.members, suspensions, now)

    def _list_words(self, is_new: bool) -> Iterator[Message]:
        """The members that leave the public list, or come back, because of suspensions. Then the registry's keys have
        to sign the list again, although registry.yaml is the same.
        """
        octets = self.repository.octets(tuf_roles.REGISTRY)
        if octets is not None:
            document = KINDS[tuf_roles.REGISTRY].parse(octets.decode("utf-8-sig", "replace"), tuf_roles.REGISTRY_FILE)
            could = operator_list.members_of(operator_list.octets(document, None))
            before = could - operator_list.members_of(self.repository.listed())
            yield from operator_list.list_words(document, before, not_listed(document, self._suspensions(is_new)))

    def _masters(
        self, document: RegistryDocument, published: Mapping[str, TargetFile]
    ) -> tuple[dict[str, bytes], dict[str, TargetFile]]:
        """The masters in `tones`, and the published masters that the registry still names.

        Raises TrustError for a file that is not the recording in the registry.
        """
        found: dict[str, bytes] = {}
        kept: dict[str, TargetFile] = {}
        for tone in document.tones:
            if tone.sha256 is None:
                continue
            for path in sorted((self.folder / tuf_roles.TONES).glob("*")):
                if path.stem != tone.id or not path.is_file():
                    continue
                octets = path.read_bytes()
                if hashlib.sha256(octets).hexdigest() != tone.sha256:
                    raise TrustError(
                        "{path}: is not the master that registry.yaml names for {tone}; correct one of them",
                        path=path,
                        tone=tone.id,
                    )
                found[f"{tuf_roles.TONES}/{path.name}"] = octets
            kept |= {path: target for path, target in published.items() if target.hashes["sha256"] == tone.sha256}
        return found, kept

    def _check(self, role: str, octets: bytes) -> Any:
        name = str(self.folder / tuf_roles.DELEGATED[role])
        return KINDS[role].parse(octets.decode("utf-8-sig", "replace"), name)


def _listed(octets: bytes | None) -> RefusalList | None:
    return None if octets is None else RefusalList(octets)
