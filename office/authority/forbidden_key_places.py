"""Checks that no private key is stored next to a package, where it would be passed on with the package."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from idtone.core.errors import TrustError, UsageError
from idtone.core.hardware_tokens import PREFIX
from idtone.core.translation import Message

from ..site.site_package import is_site_package
from .edition import is_edition_package


def check_key_place(folder: Path) -> None:
    """Check a folder before a private key is created in it. Raises UsageError if it contains or is inside a package."""
    own = folder.resolve()
    package = _package_of((own, *own.parents, *_folders(own)))
    if package:
        raise UsageError(
            "{folder}: no place for a private key, because the package {package} goes from person to person; make "
            "the key in a folder of its holder's own computer, as ~/idtone-keys",
            folder=folder,
            package=package,
        )


def place_warnings(keys: Iterable[str | Path]) -> Iterator[Message]:
    """Warn about each private key whose folder or USB stick also contains a package."""
    for key in keys:
        own = Path(key).resolve().parent
        package = (
            None
            if str(key).startswith(PREFIX)
            else _package_of((own, *own.parents, *_folders(own), *_folders(own.parent)))
        )
        if package:
            yield Message(
                "warning: the private key {key} lies beside the package {package}, which goes from person to person; "
                "keep the key in a folder of its holder's own computer. If it has been on a stick that others had, "
                "replace it",
                key=key,
                package=package,
            )


def _package_of(folders: Iterable[Path]) -> Path | None:
    return next(filter(_is_package, folders), None)


def _is_package(folder: Path) -> bool:
    try:
        return is_edition_package(folder) or is_site_package(folder)
    except TrustError:
        return False


def _folders(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
