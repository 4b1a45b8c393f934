"""Provides the content of the sound files for calls, even on a node without the synthesis libraries.

The files of the included profiles come with idtone. Next to an imported profile is a list of its files' digests, which
`sha256sum -c` can read too. The files of all other profiles are synthesized.
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
from .profile_library import SHIPPED, ProfileLibrary

if TYPE_CHECKING:
    from .making.formats import SoundFormat

_HEAD: Final = "# sound files of idtone, encoders 1"
"""First line of a digest list. Increase its number when a change of the encoders changes their output."""


class SoundFileContents:
    """The content of the sound files for a library's profiles. `directory` is the files' folder."""

    def __init__(self, directory: Path, library: ProfileLibrary) -> None:
        self._directory = directory
        self._library = library
        self._listed: dict[str, Mapping[str, str]] = {}

    def content(self, profile: Profile, sound_format: SoundFormat) -> bytes:
        """The bytes of one file. Raises ToneError if it must be synthesized but cannot be."""
        name = f"{profile.id}{sound_format.extension}"
        source = self._library.source(profile.id)
        if source == SHIPPED:
            return (resources.files("idtone.config") / "sounds" / name).read_bytes()
        if profile.id not in self._listed:
            self._listed[profile.id] = read_digest_list(Path(source))
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
                list=digest_list_path(Path(source)),
            ) from error
        return encode(profile, sound_format)


def available_encoder() -> Callable[[Profile, SoundFormat], bytes] | None:
    """A function that creates the content of a file, or None if the synthesis libraries are missing."""
    try:
        from .making.encoders import encode
    except ModuleNotFoundError:
        return None
    return encode


def digest_list_path(profile_file: Path) -> Path:
    """The path to a profile's digest list."""
    return profile_file.with_suffix(".sha256")


def digest_list_text(digests: Mapping[str, str]) -> str:
    """The text of a digest list. `digests` maps the names of profile and sound files to their digests."""
    return "".join(f"{line}\n" for line in (_HEAD, *(f"{sha256}  {name}" for name, sha256 in digests.items())))


def read_digest_list(profile_file: Path) -> Mapping[str, str]:
    """The digests by file name; empty if the list is missing, unreadable or older than the profile's file."""
    try:
        head, *lines = digest_list_path(profile_file).read_text("utf-8").splitlines() or [""]
        digests = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
        as_listed = head == _HEAD and digests.get(profile_file.name) == sha256_of(profile_file)
    except (OSError, UnicodeDecodeError):
        return {}
    return digests if as_listed else {}
