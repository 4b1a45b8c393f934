"""The packages in the authority's folder that wait for the signatures of their holders, who get copies of them as ZIPs.

There are two: one for all roles, and one for the duty keys alone. So a suspension at night does not disturb the
signatures of the other one.
"""

import io
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from idtone.core.errors import TrustError, UsageError
from idtone.core.translation import Message
from idtone.registry.trust import tuf_roles

from ..desk.office_ledger import OfficeLedger
from ..refused.change_refusals import Refusals
from ..signing.package_zip import LIMIT as LIMIT
from ..signing.package_zip import package_folder, unpack
from . import draft_metadata
from .edition import Edition, assemble_edition, read_edition
from .edition_rules import check_edition, check_issued, check_operator_list, describe_edition
from .edits_by_hand import record_edits_by_hand
from .workspace import Workspace

FOLDER: Final = "prepared"
DUTY_FOLDER: Final = "prepared-duty"
_COPY: Final = Path("package.zip")
"""The name of a holder's copy in errors: it reaches the office as a file with another name."""
PREPARED: Final = "package-prepared"
SIGNED: Final = "package-signed"
PUBLISHED: Final = "package-published"


@dataclass(frozen=True, slots=True)
class PackageState:
    """State of a package: `changes` in words, the ids of the keys that have signed by role, and the missing
    signatures.
    """

    changes: Sequence[str]
    holders: dict[str, list[str]]
    missing: Sequence[Message]


class PreparedPackage:
    """The package that waits for signatures, at most one of each kind. Each act is a leaf of the office's ledger."""

    def __init__(self, workspace: Workspace, by_duty_keys_alone: bool = False) -> None:
        """Choose the package of all changes, or with `by_duty_keys_alone` of only those that the duty keys can
        publish, because a suspension must not wait for the keys of the registry.
        """
        self._workspace = workspace
        self._by_duty_keys_alone = by_duty_keys_alone
        self.folder = workspace.folder / (DUTY_FOLDER if by_duty_keys_alone else FOLDER)

    def prepare(self, now: datetime) -> None:
        """Make the package, in place of one that no holder has signed yet. Raises IdtoneError."""
        self._check_unsigned()
        present, by_duty_keys_alone = None, self._by_duty_keys_alone
        if by_duty_keys_alone:
            present = draft_metadata.role_of(
                tuf_roles.SUSPENSIONS, self._workspace.repository.all_current_metadata()
            ).keyids
        duty = [tuf_roles.SUSPENSIONS, tuf_roles.NEVER_ORIGINATES]
        roles = duty if by_duty_keys_alone else tuf_roles.DELEGATED
        record_edits_by_hand(self._workspace, None, roles)
        Refusals(self._workspace.folder).drop_ended(now)
        edition, _ = self._workspace.next_edition(now, present)
        check_edition(edition, now)
        check_issued(edition, now)
        with self._workspace.locked():
            self._check_unsigned()
            self._record(PREPARED, edition)
            shutil.rmtree(self.folder, ignore_errors=True)
            edition.write(self.folder)

    def edition(self) -> Edition | None:
        """The waiting edition; None if there is none. Raises TrustError if it is damaged."""
        return read_edition(self.folder) if self.folder.is_dir() else None

    def state(self) -> PackageState | None:
        """The changes, signers and missing signatures of the package; None if there is no package. Raises TrustError if
        it is damaged.
        """
        edition = self.edition()
        if edition is None:
            return None
        return PackageState(list(describe_edition(edition)), edition.signers_by_role(), list(edition.missing()))

    def to_zip(self, now: datetime) -> bytes:
        """The package as a ZIP for a holder: unpacked, it is the folder for `idtone-office publication sign`. Raises
        IdtoneError.
        """
        made = io.BytesIO()
        with self._workspace.locked(), zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            self._present()
            self.rebase(now)
            for path in sorted(self.folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(self.folder).as_posix())
        return made.getvalue()

    def add_signatures(self, holder: Edition, now: datetime) -> list[str]:
        """Accept the signatures of a holder's copy, and publish as soon as there are enough.

        Only the signatures of the copy count. Everything else has to be as it was prepared, except the snapshot and the
        timestamp, if another edition was published in the meantime. Returns the published roles; an empty list if
        signatures are missing. Raises IdtoneError.
        """
        with self._workspace.locked():
            self._present()
            self.rebase(now)
            prepared = read_edition(self.folder)
            self.check_current(prepared, now)
            before = prepared.signers_by_role()
            whole = assemble_edition({self.folder: prepared, Path(FOLDER): _without_outdated(holder, prepared)})
            if whole.signers_by_role() == before:
                raise UsageError("this copy has no signature that was not here already; sign it first")
            self._record(SIGNED, whole)
            whole.write_signatures(self.folder)
            return [] if next(whole.missing(), None) else self.publish(now)

    def check_current(self, edition: Edition, now: datetime) -> None:
        """Check that the package is still needed. Raises TrustError if its changes were published in the meantime."""
        unpublished = self._workspace.rebase(edition, now).without_published().metadata
        repository = self._workspace.repository
        snapshot, timestamp = (
            repository.current_metadata("snapshot").signed,
            repository.current_metadata("timestamp").signed,
        )
        roles = edition.metadata.keys() - draft_metadata.ALWAYS
        done = [name for name in roles if name not in unpublished and f"{name}.json" in snapshot.meta]
        is_whole = timestamp.snapshot_meta.version == snapshot.version and all(
            snapshot.meta[f"{name}.json"].version == edition.metadata[name].signed.version for name in done
        )
        if done and is_whole and not roles & unpublished.keys():
            raise TrustError(
                "{name} was published in the meantime; prepare the package again", name=", ".join(sorted(done))
            )

    def publish(self, now: datetime) -> list[str]:
        """Publish the package; returns its roles. Raises IdtoneError, and then nothing is published."""
        with self._workspace.locked():
            edition = read_edition(self._present())
            edition.check_complete()
            latest = self._workspace.rebase(edition, now)
            check_operator_list(latest.without_published())
            check_issued(latest, now)
            latest.check_complete()
            self._record(PUBLISHED, latest)
            roles = self._workspace.publish_edition(latest, now)
            shutil.rmtree(self.folder, ignore_errors=True)
        return roles

    def rebase(self, now: datetime) -> None:
        """Base the package on the present publication: it gets a new snapshot and a new timestamp, and keeps the
        signatures of its other roles. If one of these roles was published in the meantime, the package stays as it is.
        Raises TrustError if a suspension has changed the public list in the meantime.
        """
        with self._workspace.locked():
            if not self.folder.is_dir():
                return
            edition = read_edition(self.folder)
            try:
                latest = self._workspace.rebase(edition, now)
            except TrustError:
                return
            if all(latest.metadata[name].signed_bytes == each.signed_bytes for name, each in edition.metadata.items()):
                return
            check_operator_list(latest.without_published())
            shutil.rmtree(self.folder, ignore_errors=True)
            latest.write(self.folder)

    def discard(self) -> None:
        """Remove the package; its copies no longer count."""
        with self._workspace.locked():
            shutil.rmtree(self._present(), ignore_errors=True)

    def _check_unsigned(self) -> None:
        """Check that nobody has signed yet. Raises UsageError if a holder has signed the waiting package."""
        waiting = self.edition()
        if waiting and any(waiting.signers_by_role().values()):
            raise UsageError(
                "holders have already signed the waiting package; collect the other signatures, or discard the "
                "package first"
            )

    def _present(self) -> Path:
        if not self.folder.is_dir():
            raise UsageError("no package waits for signatures; prepare one")
        return self.folder

    def _record(self, act: str, edition: Edition) -> None:
        versions = {f"{name}_version": int(draft.signed.version) for name, draft in edition.metadata.items()}
        OfficeLedger(self._workspace.folder).record(act, ", ".join(edition.metadata), **versions)


def take_copy(packages: Sequence[PreparedPackage], signed: Path, now: datetime) -> list[str]:
    """Accept a holder's copy, a ZIP, of either package, as `PreparedPackage.take` does."""
    with tempfile.TemporaryDirectory(prefix="idtone-") as folder:
        copy = Path(folder) / "package"
        waiting = [each for each in packages if each.folder.is_dir()]
        if waiting:
            unpack(signed, copy, _COPY)
        holder = read_edition(package_folder(copy), _COPY) if waiting else None
    if holder is None:
        raise UsageError("no package waits for signatures; prepare one")
    fitting = [each for each in waiting if _is_copy(holder, each)]
    return (fitting or waiting)[0].add_signatures(holder, now)


def _is_copy(holder: Edition, package: PreparedPackage) -> bool:
    edition = package.edition()
    return edition is not None and all(
        name in holder.metadata and holder.metadata[name].signed_bytes == draft.signed_bytes
        for name, draft in edition.metadata.items()
        if name not in draft_metadata.ALWAYS
    )


def _without_outdated(holder: Edition, prepared: Edition) -> Edition:
    """The copy with the prepared snapshot and timestamp in place of older ones, whose signatures do not count."""
    metadata = {
        name: draft
        if name not in draft_metadata.ALWAYS or draft.signed_bytes == prepared.metadata[name].signed_bytes
        else prepared.metadata[name]
        for name, draft in holder.metadata.items()
        if name in prepared.metadata or name not in draft_metadata.ALWAYS
    }
    return replace(holder, metadata=metadata)
