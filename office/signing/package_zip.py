"""Reads and writes packages for key holders as ZIP files."""

import io
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from idtone.core.errors import UsageError
from idtone.core.files import reading

from ..authority.edition import Edition, read_edition
from ..site.site_package import FOLDER, STATEMENT, SitePackage, is_site_package, read_site_package

LIMIT: Final = 100_000_000
"""Maximum size of a package in bytes, packed or unpacked."""
_MOST_FILES: Final = 10_000
_PARTS: Final = ("before", "after", "roots", FOLDER)


def read_package_zip(octets: bytes, name: Path) -> Edition | SitePackage:
    """Read a package from a ZIP file.

    Raises UsageError if the file is not a package ZIP, or TrustError if the package is damaged. Error messages show
    `name`.
    """
    with tempfile.TemporaryDirectory(prefix="idtone-") as scratch:
        folder = Path(scratch) / "package"
        unpack(io.BytesIO(octets), folder, name)
        package = package_folder(folder)
        return read_site_package(package, name) if is_site_package(package) else read_edition(package, name)


def read_copy(path: Path) -> Edition | SitePackage:
    """Read a copy of a package from a folder or from the ZIP file that `idtone-sign` returns.

    Raises UsageError if it is not a package, or TrustError if the package is damaged.
    """
    if path.is_dir():
        return read_site_package(path) if is_site_package(path) else read_edition(path)
    with reading(path, UsageError):
        octets = path.read_bytes()
    return read_package_zip(octets, path)


def add_signatures(octets: bytes, package: Edition | SitePackage) -> bytes:
    """Copy of a ZIP file with the package's new signatures added."""
    made = io.BytesIO()
    signed: dict[tuple[str, ...], bytes]
    if isinstance(package, SitePackage):
        signed = {(FOLDER, STATEMENT): package.statement.to_bytes()}
    else:
        signed = {("after", "metadata", f"{name}.json"): draft.to_bytes() for name, draft in package.metadata.items()}
    with zipfile.ZipFile(io.BytesIO(octets)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if not entry.is_dir():
                parts = PurePosixPath(entry.filename).parts
                again = signed.get(parts[-3:]) or signed.get(parts[-2:])
                new.writestr(entry.filename, old.read(entry) if again is None else again)
    return made.getvalue()


def unpack(signed: Path | BinaryIO, folder: Path, name: Path) -> None:
    """Unpack a package ZIP into a folder. Raises UsageError if the file is not a package ZIP."""
    unfit = UsageError("{file}: is not the ZIP of a package, or is damaged; ask for the package again", file=name)
    try:
        with zipfile.ZipFile(signed) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > _MOST_FILES or sum(entry.file_size for entry in entries) > LIMIT:
                raise UsageError("{file}: is larger than any package; ask for the package again", file=name)
            for entry in entries:
                inner = PurePosixPath(entry.filename)
                # Windows would read a colon as a drive, or as a second stream of a file.
                if inner.is_absolute() or ".." in inner.parts or {"\\", ":"} & {*entry.filename} or not inner.parts:
                    raise unfit
                path = folder / inner
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as packed:
                    octets = packed.read(entry.file_size + 1)
                if len(octets) > entry.file_size:
                    raise unfit
                path.write_bytes(octets)
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError) as error:
        raise unfit from error


def package_folder(folder: Path) -> Path:
    """The package's folder inside `folder`, because a ZIP may contain the files directly or in one folder."""
    inside = list(folder.iterdir()) if folder.is_dir() else []
    return inside[0] if len(inside) == 1 and inside[0].name not in _PARTS else folder
