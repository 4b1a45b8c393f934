"""The content of the sound files of calls. It does not need the libraries that make sounds, which a node may lack.

The files of the shipped profiles come with idtone. Beside an imported profile is a list of the digests of its files,
which `sha256sum -c` reads too. Any other sound is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from idtone.core.errors import ToneError
from idtone.core.terminal.extras import install_command

from .profile import Profile, sha256_of
from .profile_library import SHIPPED, Library

if TYPE_CHECKING:
    from .making.formats import SoundFormat

_HEAD: Final = "# sound files of idtone, encoders 1"
"""First line of a list. Its number rises if a change of the encoders changes bytes."""


class SoundContents:
    """The content of the sound files of a library's profiles. `directory` is the folder of the files."""

    def __init__(self, directory: Path, library: Library) -> None:
        self._directory = directory
        self._library = library
        self._listed: dict[str, Mapping[str, str]] = {}

    def content(self, profile: Profile, sound_format: SoundFormat) -> bytes:
        """The bytes of one file. Raises ToneError if it must be made and cannot be."""
        name = f"{profile.id}{sound_format.extension}"
        source = self._library.source(profile.id)
        if source == SHIPPED:
            return (resources.files("idtone.config") / "sounds" / name).read_bytes()
        if profile.id not in self._listed:
            self._listed[profile.id] = read_list(Path(source))
        try:
            content = (self._directory / name).read_bytes()
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() == self._listed[profile.id].get(name):
            return content
        try:
            from .making.encoders import encode
        except ModuleNotFoundError as error:
            raise ToneError(
                "{path}: is not the file that `idtone tone import` made of {source}, and {library} is not "
                "installed, which making it needs. Copy the file and the list {list} from the machine of the "
                "import, or: {command}",
                path=self._directory / name,
                source=source,
                library=error.name,
                command=install_command("sounds"),
                list=list_path(Path(source)),
            ) from error
        return encode(profile, sound_format)


def encoder_here() -> Callable[[Profile, SoundFormat], bytes] | None:
    """A function that makes the content of a file from the profile and its master; None if the libraries for that are
    missing.
    """
    try:
        from .making.encoders import encode
    except ModuleNotFoundError:
        return None
    return encode


def list_path(profile_file: Path) -> Path:
    """The list of the files of a profile."""
    return profile_file.with_suffix(".sha256")


def list_of(digests: Mapping[str, str]) -> str:
    """The text of a list. `digests` are those of the profile's file and its sound files, by name."""
    return "".join(f"{line}\n" for line in (_HEAD, *(f"{sha256}  {name}" for name, sha256 in digests.items())))


def read_list(profile_file: Path) -> Mapping[str, str]:
    """The digests by name; empty if there is no list, or if it belongs to another text of the profile."""
    try:
        head, *lines = list_path(profile_file).read_text("utf-8").splitlines() or [""]
        digests = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
        as_listed = head == _HEAD and digests.get(profile_file.name) == sha256_of(profile_file)
    except (OSError, UnicodeDecodeError):
        return {}
    return digests if as_listed else {}
