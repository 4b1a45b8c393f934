"""Packages of changes in the authority's folder that are waiting for key holders' signatures.

Key holders receive copies as ZIP files. One package covers all roles, and another covers only the duty keys' roles. A
suspension at night therefore does not void signatures on the first package.
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
"""Path shown for a holder's copy in error messages, because the received file may have any name."""
PREPARED: Final = "package-prepared"
SIGNED: Final = "package-signed"
PUBLISHED: Final = "package-published"


@dataclass(frozen=True, slots=True)
class PackageState:
    """A package's changes, signers and missing signatures.

    `holders` maps each role to the ids of the keys that have signed it.
    """

    changes: Sequence[str]
    holders: dict[str, list[str]]
    missing: Sequence[Message]


class PreparedPackage:
    """A package of changes waiting for signatures. At most one package of each kind exists.

    The office's ledger records each act on the package.
    """

    def __init__(self, workspace: Workspace, by_duty_keys_alone: bool = False) -> None:
        """Select the package of all changes or the duty keys' package.

        The duty keys' package contains only changes that these keys can publish, because a suspension must not wait for
        the registry's keys.
        """
        self._workspace = workspace
        self._by_duty_keys_alone = by_duty_keys_alone
        self.folder = workspace.folder / (DUTY_FOLDER if by_duty_keys_alone else FOLDER)

    def prepare(self, now: datetime) -> None:
        """Prepare the package, replacing one that no holder has signed yet. Raises IdtoneError."""
        self._check_unsigned()
        present, by_duty_keys_alone = None, self._by_duty_keys_alone
        if by_duty_keys_alone:
            present = draft_metadata.delegated_role(
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
        """Read the edition waiting for signatures, or return None if there is no package.

        Raises TrustError if the package is damaged.
        """
        return read_edition(self.folder) if self.folder.is_dir() else None

    def state(self) -> PackageState | None:
        """Describe the changes, signers and missing signatures, or return None if there is no package.

        Raises TrustError if the package is damaged.
        """
        edition = self.edition()
        if edition is None:
            return None
        return PackageState(list(describe_edition(edition)), edition.signers_by_role(), list(edition.missing()))

    def to_zip(self, now: datetime) -> bytes:
        """Pack a copy for a key holder as a ZIP file. Raises IdtoneError.

        `idtone-office publication sign` signs the unpacked folder.
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
        """Add the signatures from a holder's copy, and publish the package once it has enough.

        Apart from its signatures, the copy must match the prepared package. Only the snapshot and the timestamp may
        differ, if another publication has taken place. Returns the published roles, or an empty list if signatures are
        missing. Raises IdtoneError.
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
        """Check that the changes have not been published yet. Raises TrustError if they have."""
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
        """Publish the package and return its roles. Raises IdtoneError without publishing anything."""
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
        """Base the package on the current publication, with a new snapshot and timestamp.

        The other roles keep their signatures. Nothing changes if one of these roles was published in the meantime.
        Raises TrustError if a suspension has changed the public list.
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
        """Delete the package. Signed copies of it no longer count."""
        with self._workspace.locked():
            shutil.rmtree(self._present(), ignore_errors=True)

    def _check_unsigned(self) -> None:
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


def accept_copy(packages: Sequence[PreparedPackage], signed: Path, now: datetime) -> list[str]:
    """Accept a holder's signed copy (a ZIP file) of one of the packages and return the published roles.

    An empty list means that signatures are still missing. Raises IdtoneError.
    """
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
    """Copy in which the prepared snapshot and timestamp replace older ones, whose signatures do not count."""
    metadata = {
        name: draft
        if name not in draft_metadata.ALWAYS or draft.signed_bytes == prepared.metadata[name].signed_bytes
        else prepared.metadata[name]
        for name, draft in holder.metadata.items()
        if name in prepared.metadata or name not in draft_metadata.ALWAYS
    }
    return replace(holder, metadata=metadata)
