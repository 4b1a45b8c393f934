"""Client that downloads, verifies and caches the association's publication.

The client accepts only complete and consistent editions. python-tuf verifies them according to TUF's client workflow.
The cache holds the latest versions seen, so that no older version is accepted after a restart.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import pwd
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import DownloadError, LengthOrHashMismatchError, RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from idtone.core.errors import TrustError
from idtone.core.files import replace_durably

from ..used_registries import FOLDER, UsedRegistries, UsedRegistry, metadata_digest
from . import tuf_roles
from .fetchers import FILE_S, LOOK_S, Deadline, base_url, fetcher

LARGEST: Final = 64 * 1024 * 1024
"""Maximum size of a target in octets, the same as for documents."""
_CONFIG: Final = UpdaterConfig(
    max_root_rotations=64,
    max_delegations=4,
    root_max_length=65_536,
    timestamp_max_length=8_192,
    snapshot_max_length=65_536,
    targets_max_length=262_144,
)
_TIMESTAMP: Final = "timestamp.json"
_TOP: Final = tuple(name for name in tuf_roles.ROLES if name not in tuf_roles.DELEGATED)
_LOCK: Final = ".lock"
_STOPS_OF: Final = "stops_of"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


@dataclass(frozen=True, slots=True)
class Published:
    """A published edition in the cache.

    `sha256` maps each file to its digest. `expires` is the earliest signature expiry.
    """

    folder: Path
    sha256: Mapping[str, str]
    expires: datetime
    metadata: str = ""
    """The digest of the verified metadata (`used_registries`)."""

    def path(self, file: str) -> Path:
        """Path of a file. Its name contains the digest, so a later edition never overwrites a stored file."""
        return self.folder / f"{self.sha256[file]}.{file}"

    @property
    def origin(self) -> str:
        """Combined digest of the edition's files."""
        return hashlib.sha256("\n".join(sorted(self.sha256.values())).encode("ascii")).hexdigest()

    def octets(self, file: str) -> bytes:
        """Content of one of the edition's files. Raises TrustError if it differs from the verified content."""
        try:
            octets = self.path(file).read_bytes()
        except OSError as error:
            raise self._unreadable(file) from error
        if hashlib.sha256(octets).hexdigest() != self.sha256[file]:
            raise self._changed(file)
        return octets

    def checked_size(self, file: str) -> int:
        """Size of a file in bytes. Verifies its digest first. Raises TrustError if the digest differs.

        The whole file is never loaded into memory.
        """
        try:
            with self.path(file).open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
                size = opened.tell()
        except OSError as error:
            raise self._unreadable(file) from error
        if digest != self.sha256[file]:
            raise self._changed(file)
        return size

    def _unreadable(self, file: str) -> TrustError:
        return TrustError(
            "{path}: cannot be read; remove the folder {folder}", path=self.path(file), folder=self.folder.parent
        )

    def _changed(self, file: str) -> TrustError:
        return TrustError(
            "{path}: was changed here; remove the folder {folder} to fetch it again",
            path=self.path(file),
            folder=self.folder.parent,
        )

    def read(self, file: str) -> str:
        """Text of one of the edition's files. Raises TrustError if it differs from the verified content."""
        return self.text(file, self.octets(file))

    def text(self, file: str, octets: bytes) -> str:
        """Decode bytes that `self.octets(file)` returned. Raises TrustError if they are not UTF-8."""
        try:
            return octets.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise TrustError("{path}: is not UTF-8", path=self.path(file)) from error


def trusted_root(path: Path) -> bytes:
    """Bytes of a root metadata file. Raises OSError, or TrustError if it is not root metadata."""
    octets = path.read_bytes()
    try:
        is_root = isinstance(Metadata[Any].from_bytes(octets).signed, Root)
    except RepositoryError:
        is_root = False
    if not is_root:
        raise TrustError(
            "{path}: is not the root file of an association; replace it by the file that your "
            "association handed out, and compare its digest",
            path=path,
        )
    return octets


class PublicationClient:
    """Client for the TUF repository that contains the registry. Not thread-safe."""

    def __init__(
        self,
        root: Path,
        source: str,
        cache: Path,
        fetch: FetcherInterface | None = None,
        used_for: timedelta | None = None,
    ) -> None:
        """Set the root metadata file, the source and the cache folder, which must not be used for anything else.

        Evidence may refer to a registry until `used_for` after its last use, or forever if `used_for` is None.
        """
        self._root = root
        self.source = source
        self._cache = cache
        self._metadata, self._targets = cache / tuf_roles.METADATA, cache / tuf_roles.TARGETS
        self._used = UsedRegistries(cache / FOLDER, used_for)
        self._deadline = Deadline()
        self._fetcher = fetch or fetcher(source, self._deadline)
        self._timestamp: bytes | None = None
        """The timestamp from the last `update`; None if that failed."""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the cache between `update` and `keep`. Raises TrustError.

        Meanwhile, no other program can fetch, store an older edition after a newer one, or remove files that are being
        read.
        """
        self._refuse_root()
        with contextlib.ExitStack() as locking:
            with self._explained():
                self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = locking.enter_context((self._cache / _LOCK).open("wb"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def last_good(self) -> Published | None:
        """The last good edition, however old, or None. Raises TrustError if it is damaged.

        It was verified before it was stored, and only this program writes to the cache.
        """
        return self._read_kept(lambda kept: kept)

    def last_good_stops(self) -> Published | None:
        """Newer edition whose suspensions were in use alongside the last good edition, or None.

        Raises TrustError if the edition is damaged.
        """
        return self._read_kept(lambda kept: kept.get(_STOPS_OF))

    def _read_kept(self, part: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Published | None:
        try:
            kept = part(json.loads((self._cache / tuf_roles.KEPT).read_text("ascii")))
            if kept is None:
                return None
            digests = kept["sha256"]
            files = [each for each in tuf_roles.DELEGATED.values() if each in digests or each not in tuf_roles.OPTIONAL]
            sha256 = {file: str(digests[file]) for file in files}
            return Published(
                self._targets, sha256, datetime.fromisoformat(kept["expires"]), str(kept.get("metadata", ""))
            )
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise self._not_ours(error) from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise TrustError(
                "{cache}: the cached registry cannot be read; remove the folder to fetch it again", cache=self._cache
            ) from error

    def check_usable(self) -> None:
        """Check that this user can read and update the cache. Raises TrustError.

        Without access to the cache, the service would have no registry. A missing or damaged cache is fetched again.
        """
        files = (self._cache / _LOCK, self._cache / tuf_roles.KEPT)
        try:
            folders = [each for each in (self._cache, self._metadata, self._targets) if each.exists()]
            wanted = [(each, os.R_OK | os.W_OK | os.X_OK) for each in folders]
            # Others are replaced by a rename, for which the folder counts.
            wanted += [(each, os.R_OK if each.name != _LOCK else os.W_OK) for each in files if each.exists()]
            wanted += [(each, os.R_OK) for folder in folders[1:] for each in folder.iterdir()]
        except PermissionError as error:
            raise self._not_ours(error) from error
        for path, mode in wanted:
            if not os.access(path, mode, effective_ids=True):
                raise self._not_ours(PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)))

    def _not_ours(self, error: PermissionError) -> TrustError:
        return TrustError(
            "{path}: {reason}, but the service keeps the registry in {cache}; run as root: chown -R {user}: {cache}",
            path=error.filename or self._cache,
            reason=error.strerror,
            cache=self._cache,
            user=_name(os.geteuid()),
        )

    def _refuse_root(self) -> None:
        """Raise TrustError if root would write to another user's folder, where root's files would lock the user out."""
        folder = next(each for each in (self._cache, *self._cache.absolute().parents) if each.exists())
        owner = folder.stat().st_uid
        if os.geteuid() == 0 and owner:
            raise TrustError(
                "{folder} belongs to the user {user}, whom root's files would lock out; run this as this user: "
                "sudo -u {user} idtone …",
                folder=folder,
                user=_name(owner),
            )

    def update(self) -> Published:
        """Download and verify the publication. Raises TrustError.

        The stored edition stays in use until the next `keep`.
        """
        self._timestamp = None
        with self._explained():
            updater = self._refreshed()
            targets = self._files(updater)
            sha256 = {file: target.hashes["sha256"] for file, target in targets.items()}
            roles = self._verified()
            self._check_keys(roles)
            metadata = {name: (self._metadata / name).read_bytes() for name in (f"{role}.json" for role in roles)}
            published = Published(
                self._targets, sha256, min(signed.expires for signed in roles.values()), metadata_digest(metadata)
            )
            for file, target in targets.items():
                path = str(published.path(file))
                if not updater.find_cached_target(target, path):
                    self._deadline.within(FILE_S)
                    updater.download_target(target, path)
            self._timestamp = metadata[_TIMESTAMP]
            used = UsedRegistry(published.metadata, sha256, metadata)
            self._used.put(used, lambda file: published.path(file).open("rb"))
            return published

    def _files(self, updater: Updater) -> dict[str, TargetFile]:
        """Published files, excluding optional ones that do not exist.

        A file that was published before is required. If a list could disappear, the calls that it stops would be
        connected.
        """
        kept = self.last_good()
        needed = set(kept.sha256 if kept else ())
        return {
            file: self._signed(updater, file)
            for file in tuf_roles.DELEGATED.values()
            if file not in tuf_roles.OPTIONAL or file in needed or updater.get_targetinfo(file)
        }

    def is_unchanged(self) -> bool:
        """True if nothing has changed: the source still has the timestamp that the last `update` verified.

        The file itself is read, because a mounted share may report an old modification time. Raises TrustError if the
        timestamp cannot be read.
        """
        if self._timestamp is None:
            return False
        with self._explained():
            self._deadline.within(LOOK_S)
            address = f"{base_url(self.source)}/{tuf_roles.METADATA}/{_TIMESTAMP}"
            return self._fetcher.download_bytes(address, _CONFIG.timestamp_max_length) == self._timestamp

    def master(self, tone: str, folder: Path) -> Path:
        """Download the published master recording of a sound into `folder`.

        Raises TrustError, including if the association does not publish the master.
        """
        with self._explained():
            updater = self._refreshed()
            self._signed(updater, tuf_roles.REGISTRY_FILE)  # also loads the other targets of its role
            signed: Targets = Metadata[Targets].from_file(str(self._metadata / f"{tuf_roles.REGISTRY}.json")).signed
            begin = f"{tuf_roles.TONES}/{tone}."
            path = next((path for path in signed.targets if path.startswith(begin)), None)
            if path is None:
                raise TrustError(
                    "{source}: no master of {tone} is published; ask the association for it",
                    source=self.source,
                    tone=tone,
                )
            copy = folder / path.rpartition("/")[2]
            self._deadline.within(FILE_S)
            updater.download_target(self._signed(updater, path), str(copy))
            return copy

    def refusals(self) -> bytes | None:
        """Published list of refused contractors, or None. Raises TrustError.

        The file stays in the cache. The client needs a separate cache for this, because `keep` would remove the file
        from the registry's cache.
        """
        with self._explained():
            updater = self._refreshed()
            self._signed(updater, tuf_roles.SUSPENSIONS_FILE)  # also loads the other targets of its role
            role = Metadata[Targets].from_file(str(self._metadata / f"{tuf_roles.SUSPENSIONS}.json")).signed
            if tuf_roles.REFUSALS_FILE not in role.targets:
                return None
            target = self._signed(updater, tuf_roles.REFUSALS_FILE)
            self._check_keys(self._contents((*_TOP, tuf_roles.SUSPENSIONS)))
            path = self._targets / f"{target.hashes['sha256']}.{tuf_roles.REFUSALS_FILE}"
            octets = path.read_bytes() if path.exists() else b""
            if not self._is(target, octets):
                self._deadline.within(FILE_S)
                updater.download_target(target, str(path))
                octets = path.read_bytes()
                for other in self._targets.glob(f"*.{tuf_roles.REFUSALS_FILE}"):
                    if other != path:
                        other.unlink()
            return octets

    @staticmethod
    def _is(target: TargetFile, octets: bytes) -> bool:
        try:
            target.verify_length_and_hashes(octets)
        except LengthOrHashMismatchError:
            return False
        return True

    def _refreshed(self) -> Updater:
        """Updater with the latest verified metadata of the top-level roles."""
        self._refuse_root()
        self._deadline.within(LOOK_S)
        bootstrap = trusted_root(self._root)
        for folder in (self._cache, self._metadata, self._targets):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        base = base_url(self.source)
        updater = Updater(
            str(self._metadata),
            f"{base}/{tuf_roles.METADATA}/",
            str(self._targets),
            f"{base}/{tuf_roles.TARGETS}/",
            self._fetcher,
            _CONFIG,
            bootstrap=bootstrap,
        )
        updater.refresh()
        return updater

    def _signed(self, updater: Updater, file: str) -> TargetFile:
        target = updater.get_targetinfo(file)
        if target is None or not _SHA256.fullmatch(target.hashes.get("sha256", "")):
            raise TrustError("{source}: {file} is not signed by its role", source=self.source, file=file)
        if target.length > LARGEST:
            raise TrustError(
                "{source}: {file} is larger than {largest} octets", source=self.source, file=file, largest=LARGEST
            )
        return target

    def _verified(self) -> dict[str, Any]:
        """Each role's verified metadata content."""
        roles = self._contents(_TOP)
        return roles | self._contents(
            name for name in tuf_roles.DELEGATED if name in roles["targets"].delegations.roles
        )

    def _contents(self, roles: Iterable[str]) -> dict[str, Any]:
        files = {role: self._metadata / f"{role}.json" for role in roles}
        return {role: Metadata[Any].from_file(str(file)).signed for role, file in files.items()}

    def _check_keys(self, roles: Mapping[str, Any]) -> None:
        """Reject a key listed under two ids, because python-tuf's threshold counts ids rather than keys."""
        root, targets = roles["root"], roles["targets"]
        for name in roles:
            parent = targets if name in tuf_roles.DELEGATED else root
            keys = targets.delegations.keys if name in tuf_roles.DELEGATED else root.keys
            listed = [keys[keyid].keyval["public"] for keyid in parent.get_delegated_role(name).keyids if keyid in keys]
            if any(listed.count(key) > 1 for key in listed):
                raise TrustError(
                    "{source} is not what the association signed: one key of {name} is listed as two; ask "
                    "the association to rotate its keys",
                    source=self.source,
                    name=name,
                )

    def keep(self, published: Published, stops_of: Published | None = None) -> None:
        """Make an edition the last good one and remove files that it does not need. Raises TrustError.

        The files of the edition must have been read without a fault. `stops_of` is a newer edition whose suspensions
        are in use, but whose members are not loaded yet.
        """
        with self._explained():
            self._replace_kept(published, stops_of)

    def _replace_kept(self, published: Published, stops_of: Published | None) -> None:
        kept = _as_kept(published)
        needed = tuple(published.sha256.values())  # also names of compiled files
        if stops_of is not None:
            kept[_STOPS_OF] = _as_kept(stops_of)
            needed += tuple(stops_of.sha256.values())
        replace_durably(self._cache / tuf_roles.KEPT, json.dumps(kept).encode("ascii"))
        for path in self._targets.iterdir():
            if not path.name.startswith(needed):
                path.unlink()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DownloadError as error:
            raise TrustError("{source} cannot be read: {error}", source=self.source, error=_inmost(error)) from error
        except RepositoryError as error:
            raise TrustError(
                "{source} is not what the association signed: {error}", source=self.source, error=_inmost(error)
            ) from error
        except OSError as error:
            raise TrustError("{file}: {reason}", file=error.filename or self._cache, reason=error.strerror) from error


def _as_kept(published: Published) -> dict[str, Any]:
    return {
        "sha256": published.sha256,
        "expires": published.expires.astimezone(UTC).isoformat(),
        "metadata": published.metadata,
    }


def _inmost(error: BaseException) -> str:
    """Text of python-tuf's innermost error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:300]
