"""The folder of customer records, where `records/ID` is a sealed form and `keys/ID` is its key.

Only the service's user can read these files. To forget a record, its key is overwritten first, then the key file is
removed, and finally the record itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import rfc8785

from idtone.core.errors import CustomerError
from idtone.core.settings.settings import CustomersSettings
from idtone.ledger.keys.key_file import load_key, read_key
from idtone.ledger.keys.private_files import make_parents, open_private, replace_private

from .record_keys import CustomersKey

_RECORDS, _KEYS = "records", "keys"
_LOCK: Final = "lock"
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class CustomerRecord:
    """Content of a record. `form` is the form file's unchanged text. `numbers` are in E.164 format."""

    id: str
    form: str
    numbers: Sequence[str]
    rules: str
    by: str
    at: datetime

    def octets(self) -> bytes:
        """The record as canonical JSON (RFC 8785)."""
        return rfc8785.dumps(asdict(self) | {"numbers": list(self.numbers), "at": self.at.isoformat()})

    @classmethod
    def of(cls, octets: bytes) -> CustomerRecord:
        held = json.loads(octets)
        return cls(**held | {"numbers": tuple(held["numbers"]), "at": datetime.fromisoformat(held["at"])})


class RecordFolder:
    """The record files, without access to their contents. Several processes may use the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ids(self) -> list[str]:
        """Sorted ids of the records in the folder."""
        return sorted(path.name for path in (self._folder / _RECORDS).glob("*") if _ID.fullmatch(path.name))

    def has_key(self, id_: str) -> bool:
        return self._path(_KEYS, id_).exists()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock for recording and forgetting, which only one process can hold at a time.

        Raises CustomerError.
        """
        try:
            make_parents(self._folder / _LOCK)
            descriptor = open_private(self._folder / _LOCK)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def destroy(self, id_: str) -> None:
        """Overwrite the record's key on disk, and then remove the key and the record. Raises CustomerError."""
        path = self._path(_KEYS, id_)
        try:
            with path.open("r+b") as file:
                file.write(bytes(os.fstat(file.fileno()).st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
        except FileNotFoundError:
            pass  # an earlier attempt was interrupted after it removed the key
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._path(_RECORDS, id_).unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    def _path(self, folder: str, id_: str) -> Path:
        if not _ID.fullmatch(id_):
            raise CustomerError("{id!r} is not an id of a form", id=id_[:64])
        return self._folder / folder / id_

    def _unusable(self, error: OSError) -> CustomerError:
        return CustomerError(
            "{folder}: the customers' records cannot be used: {reason}; run this as the user that `idtone serve` "
            "runs as",
            folder=self._folder,
            reason=error.strerror,
        )


class RecordStore(RecordFolder):
    """The folder with the key that seals and opens its records."""

    def __init__(self, folder: Path, key: bytes) -> None:
        super().__init__(folder)
        self._key = CustomersKey(key)

    @classmethod
    def open(cls, settings: CustomersSettings, make: bool = False) -> RecordStore:
        """Open the store. If `make` is True, a missing key is created.

        Raises LedgerError if the key is unusable or other users can read it.
        """
        return cls(settings.directory, (load_key if make else read_key)(settings.key_file()))

    def put(self, record: CustomerRecord) -> str:
        """Durably store a sealed record, replacing any earlier one with this id, and return its digest.

        Raises CustomerError if the record cannot be written.
        """
        key, wrapped = self._key.make(record.id)
        octets = record.octets()
        try:
            replace_private(self._path(_RECORDS, record.id), key.seal(octets))
            replace_private(self._path(_KEYS, record.id), wrapped)
        except OSError as error:
            raise self._unusable(error) from error
        return key.digest(octets)

    def get(self, id_: str) -> tuple[CustomerRecord, str]:
        """The record and its digest.

        Raises CustomerError if the record is missing, has been changed, or belongs to another id.
        """
        try:
            key = self._key.unwrap(id_, self._path(_KEYS, id_).read_bytes())
            octets = key.open(self._path(_RECORDS, id_).read_bytes())
        except FileNotFoundError as error:
            raise CustomerError("there is no record {id} here; `idtone-office form list` lists all", id=id_) from error
        except OSError as error:
            raise self._unusable(error) from error
        return CustomerRecord.of(octets), key.digest(octets)
