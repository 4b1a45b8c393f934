"""An encrypted archive: a gzipped tar in an age file.

The last member marks the archive as complete. Anyone with the key can open it without idtone: `age -d -i KEY ARCHIVE |
tar xz`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, Protocol, TypeAlias

import pyrage

from idtone.core.errors import BackupError
from idtone.core.translation import Message

END: Final = "end.json"
"""Name of the last member, which contains the number of members before it and one digest over all of them."""
MEMBER_LIMIT: Final = 2**26
"""Maximum size in bytes of a member that is read into memory."""
_BLOCK: Final = 2**20
_LEVEL: Final = 1
"""gzip's compression level. It is low because sealed numbers and MACs hardly compress, and calls need the processor."""

Recipient: TypeAlias = Any
"""An age or SSH public key as a pyrage object. pyrage has no types."""
Identity: TypeAlias = Any
"""A secret key as a pyrage object."""


def recipients_of(texts: Sequence[str]) -> list[Recipient]:
    """Parse age or SSH public keys.

    Raises BackupError.
    """
    return [_recipient(text) for text in texts]


def _recipient(text: str) -> Recipient:
    try:
        if text.startswith("age1"):
            return pyrage.x25519.Recipient.from_str(text)
        return pyrage.ssh.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise BackupError(
            "backup.recipients: {text} is no public key of age or SSH; make one: idtone backup --new-key FILE",
            text=f"{text[:20]}…",
        ) from error


def secret_keys_of(octets: bytes) -> list[Identity]:
    """Parse the secret keys in an age key file, or the single key in an SSH key file.

    Raises BackupError if the file contains none.
    """
    try:
        if b"OPENSSH PRIVATE KEY" in octets or b"RSA PRIVATE KEY" in octets:
            return [pyrage.ssh.Identity.from_buffer(octets)]
        lines = [line.strip() for line in octets.decode().splitlines()]
        keys = [line for line in lines if line.startswith("AGE-SECRET-KEY-")]
        found = [pyrage.x25519.Identity.from_str(line) for line in keys]
    except (pyrage.IdentityError, UnicodeDecodeError) as error:
        raise BackupError(_NO_KEY) from error
    if not found:
        raise BackupError(_NO_KEY)
    return found


_NO_KEY: Final = Message(
    "the file of --identity holds no secret key; name the file that `idtone backup --new-key` or age-keygen made, or "
    "the secret key of SSH. A key on a token: age -d … ARCHIVE > FILE, then name FILE as the archive"
)


class ArchiveWriter:
    """Adds members to an archive that `write` has opened."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._digest = hashlib.sha256()
        self._members = 0

    def add(self, name: str, octets: bytes, mode: int = 0o600, owner: str = "") -> None:
        self.add_file(name, io.BytesIO(octets), len(octets), mode, owner)

    def add_file(self, name: str, file: Readable, size: int, mode: int = 0o600, owner: str = "") -> None:
        """Add `size` bytes of a file to the archive.

        `owner` is a user name. Raises OSError if the file is shorter than `size`.
        """
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.uname = size, mode, owner
        reading = _Digesting(file)
        self._tar.addfile(entry, reading)
        self._count(name, reading.digest)

    def _count(self, name: str, digest: str) -> None:
        self._members += 1
        self._digest.update(f"{name}\0{digest}\n".encode())

    def end(self) -> None:
        octets = json.dumps({"members": self._members, "digest": self._digest.hexdigest()}).encode()
        entry = tarfile.TarInfo(END)
        entry.size, entry.mode = len(octets), 0o600
        self._tar.addfile(entry, io.BytesIO(octets))


@contextmanager
def write(file: BinaryIO, recipients: Sequence[Recipient]) -> Iterator[ArchiveWriter]:
    """Open an archive for writing, encrypted to the recipients' keys.

    The archive is complete when the block ends without an error. Raises OSError.
    """
    reading, writing = os.pipe()
    pumping = _Thread(lambda: _encrypt(reading, file, recipients))
    try:
        with (
            os.fdopen(writing, "wb", _BLOCK) as pipe,
            gzip.GzipFile("", "wb", _LEVEL, pipe, mtime=0) as zipped,
            tarfile.open(mode="w|", fileobj=zipped, format=tarfile.PAX_FORMAT) as tar,
        ):
            writer = ArchiveWriter(tar)
            yield writer
            writer.end()
    except BrokenPipeError:
        pumping.join()  # this raises the reason why it reads no more
        raise
    except BaseException:
        pumping.join(silent=True)
        raise
    pumping.join()


def _encrypt(reading: int, file: BinaryIO, recipients: Sequence[Recipient]) -> None:
    with os.fdopen(reading, "rb", _BLOCK) as pipe:
        pyrage.encrypt_io(pipe, file, recipients)


class Member(NamedTuple):
    """A file in an archive, with its name, size, mode and owner.

    Read its content before you advance to the next member.
    """

    name: str
    size: int
    mode: int
    owner: str
    file: Readable

    def octets(self) -> bytes:
        """Read the member's content.

        Raises BackupError if the content is larger than `MEMBER_LIMIT`.
        """
        if self.size > MEMBER_LIMIT:
            raise BackupError("{name} is larger than any that idtone writes", name=self.name)
        return self.file.read()

    def save(self, target: Path) -> None:
        """Save the member as a new file that only its owner may read.

        Raises OSError.
        """
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as made:
            while block := self.file.read(_BLOCK):
                made.write(block)
            made.flush()
            os.fchmod(made.fileno(), self.mode & 0o755)
            os.fsync(made.fileno())


def members(path: Path, identities: Sequence[Identity]) -> Iterator[Member]:
    """Yield an archive's members, without the end mark.

    Do not rely on their content until the last member has been read. Raises BackupError if the archive cannot be
    opened, is incomplete or is malformed.
    """
    try:
        yield from _members(path, identities)
    except (OSError, tarfile.TarError, EOFError, ValueError, LookupError, zlib.error, pyrage.DecryptError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "it ends too early"
        raise BackupError(
            "{path}: the archive cannot be used: {reason}; see whether the key is the right one, fetch the file "
            "from another copy, or restore an earlier one by its name",
            path=path,
            reason=reason,
        ) from error


def _members(path: Path, identities: Sequence[Identity]) -> Iterator[Member]:
    digest, count, end = hashlib.sha256(), 0, None
    with (
        _opened(path, identities) as stream,
        gzip.GzipFile("", "rb", fileobj=stream) as unzipped,
        tarfile.open(mode="r|", fileobj=unzipped) as tar,
    ):
        for entry in tar:
            file = tar.extractfile(entry)
            if end is not None or file is None:
                raise ValueError("something follows its end")
            if entry.name == END:
                end = json.loads(file.read())
                continue
            reading = _Digesting(file)
            yield Member(entry.name, entry.size, entry.mode, entry.uname, reading)
            reading.finish()
            digest.update(f"{entry.name}\0{reading.digest}\n".encode())
            count += 1
        while unzipped.read(_BLOCK):  # to the end, which age proves to be the end
            pass
    if end is None or (end["members"], end["digest"]) != (count, digest.hexdigest()):
        raise ValueError("its end is missing, or is another one's")


@contextmanager
def _opened(path: Path, identities: Sequence[Identity]) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        encrypted = file.read(4) == b"age-"
        file.seek(0)
        if not encrypted:
            yield file
            return
        reading, writing = os.pipe()

        def decrypt() -> None:
            with os.fdopen(writing, "wb", _BLOCK) as pipe:
                pyrage.decrypt_io(file, pipe, identities)

        pumping = _Thread(decrypt)
        try:
            with os.fdopen(reading, "rb", _BLOCK) as stream:
                yield stream
        except (tarfile.TarError, EOFError, ValueError):
            pumping.join()  # this raises its own error first
            raise
        except BaseException:
            pumping.join(silent=True)
            raise
        pumping.join()


class _Thread:
    """A thread that pumps between a pipe and a file; `join` raises its error."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._error: BaseException | None = None

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def join(self, silent: bool = False) -> None:
        self._thread.join()
        if self._error and not silent:
            raise self._error


class Readable(Protocol):
    """A readable binary file, reduced to the methods that the archive code calls."""

    def read(self, size: int = -1, /) -> bytes: ...


class _Digesting:
    """A file whose content is hashed as it is read."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        octets = self._file.read(size)
        self._sha256.update(octets)
        return octets

    def finish(self) -> None:
        while self.read(_BLOCK):
            pass

    @property
    def digest(self) -> str:
        return self._sha256.hexdigest()
