"""The authority's folder: the registry's files, their histories and the signed repository.

    registry.yaml, suspensions.yaml    the files
    never-originates.yaml              the numbers that never originate calls; optional
    refusals.list                      the tokens of refused contractors; optional
    authority.yaml                     terms and thresholds that differ from the defaults
    applications/                      members' applications
    history/                           the changes, with author, time and reason
    unpublished/                       copies of the registry from before each unpublished change, for undo
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
from idtone.core.files import read_octets, writing
from idtone.core.translation import Message
from idtone.member.customers.refused.refusal_list import RefusalList, list_differences
from idtone.registry.file_kinds import KINDS
from idtone.registry.model import RegistryDocument, SuspensionsDocument
from idtone.registry.named_logs import named_logs
from idtone.registry.number_entries import entries_of
from idtone.registry.trust import tuf_roles

from . import draft_metadata, group_shared_files, operator_list, pending_rotations, undo_copies
from .area_code_counts import describe_changed_numbers, whole_span
from .authority_settings import FILE, AuthoritySettings, read_authority_settings
from .draft_metadata import ALWAYS, Drafts, KeySets
from .edition import Edition
from .edition_rules import check_edition
from .folder_lock import lock_folder
from .history import History, HistoryEntry, read_history
from .published_folder import is_newest, publish_to
from .signed_repository import SignedRepository
from .stopped_members import stopped_members, unlisted_members

REPOSITORY: Final = "repository"
APPLICATIONS: Final = "applications"
HISTORY: Final = "history"
_log = logging.getLogger(__name__)
TURN_WITHIN_S: Final = 60.0
"""Maximum seconds that a change waits for the previous one, which may itself be waiting for the office's ledger."""


@dataclass(frozen=True)
class Workspace:
    folder: Path

    @property
    def repository(self) -> SignedRepository:
        return SignedRepository(self.folder / REPOSITORY)

    def terms(self) -> AuthoritySettings:
        """Read the settings in `authority.yaml`. Raises DocumentError."""
        return read_authority_settings(self.folder / FILE)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock in a `with` block so that only one change is made at a time.

        Blocks on the same object may be nested. Raises UsageError if another command holds the lock for longer than
        `TURN_WITHIN_S`.
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
        """File names by role, without optional files that do not exist yet."""
        return {role: file for role, file in tuf_roles.DELEGATED.items() if not self.is_absent(role)}

    def is_absent(self, role: str) -> bool:
        """True if the role's file is optional and was never written, recorded or published."""
        file = tuf_roles.DELEGATED[role]
        return (
            file in tuf_roles.OPTIONAL
            and not (self.folder / file).exists()
            and (self.history(role).last_sha256 or self.repository.file_sha256(role)) is None
        )

    def file_octets(self, file: str) -> bytes:
        """Read one of the folder's files. Raises TrustError."""
        return read_octets(self.folder / file, TrustError)

    def history(self, role: str) -> History:
        """Read the history of a role's file. Raises TrustError if it is damaged."""
        return read_history(self.folder / HISTORY / f"{role}.jsonl")

    def record_entry(self, role: str, entry: HistoryEntry) -> None:
        """Add an entry to the history of a role's file and store a copy of the file alongside it.

        Raises TrustError.
        """
        left = self.folder / HISTORY / tuf_roles.DELEGATED[role]
        self.history(role).append_entry(entry)
        if entry.after:
            with writing(left, TrustError):
                group_shared_files.write(left, self.file_octets(tuf_roles.DELEGATED[role]))

    def unpublished_entries(self, role: str) -> Sequence[HistoryEntry]:
        """Entries added to a role's history since the published edition. Raises TrustError."""
        entries, published = self.history(role).entries, self.repository.file_sha256(role)
        there = [number for number, entry in enumerate(entries, 1) if entry.after == published]
        return entries[there[-1] if published and there else 0 :]

    def octets_before(self, role: str) -> bytes | None:
        """Content of a role's file after the last recorded change, without later edits made by hand.

        If no change was recorded, returns the published content, or None if there is none. Raises TrustError.
        """
        sha256 = self.history(role).last_sha256
        if sha256 is None:
            return self.repository.file_octets(role)
        file = tuf_roles.DELEGATED[role]
        for path in (self.folder / HISTORY / file, self.folder / file):
            octets = path.read_bytes() if path.exists() else b""
            if hashlib.sha256(octets).hexdigest() == sha256:
                return octets
        raise TrustError(
            "{path}: differs from what the last change left; restore the file", path=self.folder / HISTORY / file
        )

    def check_files(self) -> None:
        """Check all roles' files. Raises DocumentError for faults, or TrustError if a file cannot be read."""
        for role, file in self.files().items():
            self._check(role, self.file_octets(file))

    def roles_edited_by_hand(self, roles: Iterable[str] = tuple(tuf_roles.DELEGATED)) -> list[str]:
        """Roles whose files have edits made by hand that are missing from the history."""
        found = []
        for role in roles:
            if self.is_absent(role):
                continue
            sha256 = hashlib.sha256(self.file_octets(tuf_roles.DELEGATED[role])).hexdigest()
            if sha256 != (self.history(role).last_sha256 or self.repository.file_sha256(role)):
                found.append(role)
        return found

    def differences(self, is_whole: bool = False) -> Iterator[str]:
        """Describe how the files differ from the published ones, line by line.

        With `is_whole`, the lines show complete numbers and counts by area code. Files with faults are left out;
        `next_edition` reports them.
        """
        for role, file in self.files().items():
            kind, published = KINDS[role], self.repository.file_octets(role)
            try:
                octets = self.file_octets(file)
                if octets == published or (published is None and file not in tuf_roles.OPTIONAL):
                    continue
                new = self._check(role, octets)
            except (DocumentError, TrustError):
                continue
            old = kind.emptied(new) if published is None else self._check(role, published)
            found = (
                [*describe_changed_numbers(old, new), *kind.differences(old, new, whole_span)]
                if is_whole
                else kind.differences(old, new)
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
        """Read the list of refusals for the next publication, or return None if there is no list. Raises TrustError."""
        return self.file_octets(tuf_roles.REFUSALS_FILE) if (self.folder / tuf_roles.REFUSALS_FILE).exists() else None

    def signable_roles(self, signers: Iterable[Signer]) -> list[str]:
        """Delegated roles that at least one of the signers' keys may sign."""
        ids = {signer.public_key.keyid for signer in signers}
        current = self.repository.all_current_metadata()
        return [name for name in tuf_roles.DELEGATED if ids & set(draft_metadata.delegated_role(name, current).keyids)]

    # -- the next edition ---------------------------------------------------------------------------------------

    def first_edition(self, keys: KeySets, now: datetime) -> Edition:
        """Prepare the first edition of a new repository.

        Raises TrustError if the repository exists or a file cannot be read, or DocumentError if a file has faults.
        """
        self.repository.check_new()
        drafts = draft_metadata.first_drafts(keys, self.terms(), now)
        return self._edition(drafts, set(drafts), {}, now)

    def next_edition(self, now: datetime, present: Iterable[str] | None = None) -> tuple[Edition, list[str]]:
        """Prepare the next edition from all changes, and list the roles that remain unpublished.

        Metadata is renewed after half of its term. `present` holds the ids of the available keys; None means all keys.
        A role is not renewed if too few of its keys are available. A changed file remains unpublished if none of its
        keys is available, so that duty officers can suspend a number at night. Raises DocumentError if a file has
        faults, and TrustError.
        """
        before, terms = self.repository.all_current_metadata(), self.terms()
        roles = {name: draft_metadata.delegated_role(name, before) for name in tuf_roles.ROLES}
        there = {
            name: role.threshold if present is None else len(set(present) & set(role.keyids))
            for name, role in roles.items()
        }
        changed = {role for role in tuf_roles.DELEGATED if self._differs(role, must=bool(there[role]))}
        changed |= {tuf_roles.REGISTRY for _ in self._list_words(bool(there[tuf_roles.SUSPENSIONS]))}
        due = {
            name
            for name, role in roles.items()
            if there[name] >= role.threshold and terms.is_due(name, before[name].signed.expires, now)
        }
        # An interrupted publication leaves roles that their own keys have not signed.
        broken = {name for name in tuf_roles.ROLES if not draft_metadata.is_signed(name, before)}
        left = {name for name in changed if not there[name]}
        names = (changed - left) | due | broken | ALWAYS
        return self._edition(self.repository.all_current_metadata(), names, before, now), sorted(left)

    def _differs(self, role: str, must: bool) -> bool:
        if self.is_absent(role):
            return False
        try:
            octets = self.file_octets(tuf_roles.DELEGATED[role])
        except TrustError:
            if must:
                raise
            return True
        if role == tuf_roles.SUSPENSIONS and self.refusals() != self.repository.refusals():
            return True
        return hashlib.sha256(octets).hexdigest() != self.repository.file_sha256(role)

    def rotated_edition(
        self, keys: KeySets, now: datetime, lines: Mapping[str, Sequence[HistoryEntry]] = {}
    ) -> Edition:
        """Prepare an edition with new keys for some key sets.

        Every role that these keys sign needs new signatures. `lines` holds new history lines by role, which the
        signatures cover.
        """
        drafts = self.repository.all_current_metadata()
        affected = draft_metadata.replace_keys(drafts, keys, self.terms())
        return self._edition(drafts, affected, self.repository.all_current_metadata(), now, lines)

    def rebase(self, edition: Edition, now: datetime) -> Edition:
        """Base a waiting edition on the current publication.

        The edition gets a new snapshot and timestamp if another edition was published or half of their term is over.
        Raises TrustError if any of its other roles was published in the meantime.
        """
        if not edition.before:
            self.repository.check_new()
            return edition
        published, terms = self.repository.all_current_metadata(), self.terms()
        waiting = {name: draft for name, draft in edition.metadata.items() if name not in ALWAYS}
        for name, draft in waiting.items():
            again = draft.signed_bytes == published[name].signed_bytes  # its publication was interrupted
            if not again and draft.signed.version != published[name].signed.version + 1:
                raise TrustError("{name} was published in the meantime; prepare the package again", name=name)
        drafts = {**self.repository.all_current_metadata(), **waiting}
        last = {name: edition.metadata.get(name) for name in ("snapshot", "timestamp")}
        fits = all(
            draft is not None
            and draft.signed.version == published[name].signed.version + 1
            and not terms.is_due(name, draft.signed.expires, now)
            for name, draft in last.items()
        )
        later = dict(edition.metadata) if fits else draft_metadata.next_versions(drafts, ALWAYS, terms, now)
        metadata = {**waiting, **{name: later[name] for name in ("snapshot", "timestamp")}}
        roots = tuple(self.repository.metadata_versions("root"))
        return replace(edition, metadata=metadata, before=published, files=self.repository.files(), roots=roots)

    def publish_edition(
        self, edition: Edition, now: datetime, lines: Mapping[str, Sequence[HistoryEntry]] = {}
    ) -> list[str]:
        """Publish a signed edition and return its roles.

        `lines` holds new history lines by role. They may describe only changes covered by the edition's signatures. A
        waiting key rotation that is now in force is added to the history. Raises TrustError without publishing anything
        if signatures are missing or the edition breaks a rule.
        """
        edition.check_complete()
        check_edition(edition.without_published(), now)
        for role, entries in lines.items():
            for entry in entries:
                self.record_entry(role, entry)
        published = self.repository.write(edition)
        pending_rotations.record_published_rotations(self.folder, self.repository, self.record_entry, now)
        try:
            self.copy_published()
        except IdtoneError as error:  # members have the edition all the same; commands and pages show `is_copied`
            _log.error("%s", error)
        needed = {entry.before for entry in self.unpublished_entries(tuf_roles.REGISTRY) if entry.before}
        try:
            undo_copies.delete_other_copies(self.folder, needed)
        except OSError as error:  # the edition is published; the next publication deletes them
            _log.error("%s: %s", error.filename, error.strerror)
        return published

    def copy_published(self) -> None:
        """Copy the repository to the folder in the setting `published`, if there is one.

        On failure, raises IdtoneError and keeps the previous copy; the call can be repeated.
        """
        if to := self.terms().published:
            publish_to(to, self.repository.folder, self.repository.current_metadata("timestamp").signed.version)

    def is_copy_current(self) -> bool:
        """True if the copy in the folder `published` is up to date, or if no such folder is set.

        Raises DocumentError.
        """
        to = self.terms().published
        return to is None or is_newest(to, self.repository.folder)

    # -- in one go ----------------------------------------------------------------------------------------------

    def publish_first(self, keys: KeySets, signers: Sequence[Signer], now: datetime) -> list[str]:
        return self.sign_and_publish(self.first_edition(keys, now), signers, now)

    def publish(self, signers: Sequence[Signer], now: datetime) -> tuple[list[str], list[str]]:
        """Sign and publish the next edition. Returns the signed roles and the roles that remain unpublished."""
        edition, left = self.next_edition(now, [signer.public_key.keyid for signer in signers])
        return self.sign_and_publish(edition, signers, now), left

    def rotate(self, keys: KeySets, signers: Sequence[Signer], now: datetime) -> list[str]:
        """Sign and publish an edition with new keys for some key sets. Returns the signed roles."""
        return self.sign_and_publish(self.rotated_edition(keys, now), signers, now)

    def sign_and_publish(self, edition: Edition, signers: Iterable[Signer], now: datetime) -> list[str]:
        for signer in signers:
            edition.sign(signer)
        return self.publish_edition(edition, now)

    def role_states(self, now: datetime) -> Iterator[tuple[str, int, datetime, bool]]:
        """Name, version and expiry of each published role, and whether half of its term is over."""
        terms = self.terms()
        for name, metadata in self.repository.all_current_metadata().items():
            signed = metadata.signed
            yield name, signed.version, signed.expires, terms.is_due(name, signed.expires, now)

    # -- content ------------------------------------------------------------------------------------------------

    def _edition(
        self,
        drafts: Drafts,
        names: set[str],
        before: Mapping[str, Metadata[Any]],
        now: datetime,
        lines: Mapping[str, Sequence[HistoryEntry]] = {},
    ) -> Edition:
        targets: dict[str, bytes] = {}
        read = {  # only once, so that the hashed content is the published content
            name: self.file_octets(file)
            for name, file in tuf_roles.DELEGATED.items()
            if name in names and not self.is_absent(name)
        }
        role = tuf_roles.SUSPENSIONS
        suspensions = read[role] if role in read else self.repository.file_octets(role)
        for name, octets in read.items():
            file = tuf_roles.DELEGATED[name]
            content = {file: octets}
            kept: dict[str, TargetFile] = {}
            checked = self._check(name, octets)
            if isinstance(checked, RegistryDocument):
                content[tuf_roles.OPERATORS_FILE] = operator_list.operator_list_json(
                    checked, self._checked_suspensions(suspensions)
                )
                masters, kept = self._masters(checked, drafts[name].signed.targets)
                content |= masters
            elif name == tuf_roles.SUSPENSIONS and (refusals := self.refusals()) is not None:
                content[tuf_roles.REFUSALS_FILE] = refusals
            made = {path: TargetFile.from_data(path, octets, ["sha256"]) for path, octets in content.items()}
            history = self.history(name)
            for line in lines.get(name, ()):
                history = history.with_entry_in_memory(line)
            custom = {"history": history.count_and_sha256(), "numbers": entries_of(octets, checked).root}
            if isinstance(checked, RegistryDocument) and (logs := named_logs(checked)):
                custom["logs"] = logs
            made[file].unrecognized_fields["custom"] = custom
            drafts[name].signed.targets = kept | made
            targets |= content
        metadata = draft_metadata.next_versions(drafts, names, self.terms(), now)
        roots = tuple(self.repository.metadata_versions("root"))
        return Edition(metadata, targets, before, self.repository.files(), roots)

    def _suspensions(self, is_new: bool) -> SuspensionsDocument | None:
        role = tuf_roles.SUSPENSIONS
        return self._checked_suspensions(
            self.file_octets(tuf_roles.DELEGATED[role]) if is_new else self.repository.file_octets(role)
        )

    def _checked_suspensions(self, octets: bytes | None) -> SuspensionsDocument | None:
        checked: SuspensionsDocument | None = None if octets is None else self._check(tuf_roles.SUSPENSIONS, octets)
        return checked

    def stopped_members(self, now: datetime) -> frozenset[str]:
        """Ids of the members whose numbers are all suspended according to the published files. Raises TrustError."""
        octets, suspensions = self.repository.file_octets(tuf_roles.REGISTRY), self._suspensions(is_new=False)
        if octets is None or suspensions is None:
            return frozenset()
        document = KINDS[tuf_roles.REGISTRY].parse(octets.decode("utf-8-sig", "replace"), tuf_roles.REGISTRY_FILE)
        return stopped_members(document.members, suspensions, now)

    def _list_words(self, is_new: bool) -> Iterator[Message]:
        """Describe the members that leave or rejoin the public list because of suspensions.

        The holders of the registry's keys then have to sign the list again even though `registry.yaml` is unchanged.
        """
        octets = self.repository.file_octets(tuf_roles.REGISTRY)
        if octets is not None:
            document = KINDS[tuf_roles.REGISTRY].parse(octets.decode("utf-8-sig", "replace"), tuf_roles.REGISTRY_FILE)
            could = operator_list.listed_members(operator_list.operator_list_json(document, None))
            before = could - operator_list.listed_members(self.repository.operator_list())
            yield from operator_list.describe_list_changes(
                document, before, unlisted_members(document, self._suspensions(is_new))
            )

    def _masters(
        self, document: RegistryDocument, published: Mapping[str, TargetFile]
    ) -> tuple[dict[str, bytes], dict[str, TargetFile]]:
        """Read the new masters in `tones` and keep the published masters that the registry still names.

        Raises TrustError if a file is not the recording that the registry names.
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
