"""Detects changes to the sound files on disk.

Asterisk opens the file again for each playback, and the service cannot see what Asterisk reads. When a file is changed,
the kernel sets a new change time (ctime), which no program can choose. If a file has the right content and the same
change time before and after a playback, it is therefore what Asterisk read. An unchanged file takes one `lstat()`. Only
changed files are read.
"""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from idtone.core.errors import ToneError
from idtone.core.translation import Message, joined
from idtone.tones.making.sound_files import Sound, SoundFile

RESTORE_AFTER_S: Final = 60.0
"""Time in seconds before a damaged file is made again. An operator replaces sounds in steps and then reloads the
service. Until then, calls get the notice.
"""
SETTLED_NS: Final = 50_000_000
"""Time after a change within which a second change may get the same timestamp, in nanoseconds. The kernel timestamps
changes by its tick of at most 10 ms.
"""
OPENED: Final[Mapping[str, str]] = {"ulaw": "ulaw", "alaw": "alaw", "gsm": "gsm", "g722": "sln16", "opus": "sln16"}
"""A channel's codec → the format of the sound file that Asterisk opens for it. Asterisk chooses the file that needs the
least transcoding. For other codecs, its choice is unknown.
"""
OTHERS: Final = frozenset(
    "g719 g722 g723 g723sf g726-16 g726-24 g726-32 g726-40 g729 gsm ilbc siren7 siren14 vox ogg opus spx spx16 spx32 "
    "mp3 alaw al alw pcm ulaw ul mu ulw au wav wav16 WAV wav49 raw slin "
    "sln sln12 sln16 sln24 sln32 sln44 sln48 sln96 sln192".split()
)
"""Extensions by which Asterisk finds audio files. It may prefer a file in another format to the service's: `.au` to
`.ulaw`, for example, and any file in a subfolder named after the channel's language.
"""

Stamp = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class FileState:
    """A file's state at some point in time.

    `stamp` holds the device, inode, size and change times; None if no regular file exists. `sha256` is the content's
    digest, or empty if the file cannot be read.
    """

    stamp: Stamp | None
    sha256: str

    def changed_before(self, at: datetime) -> bool:
        return self.stamp is not None and self.stamp[-1] + SETTLED_NS <= at.timestamp() * 1e9


States = Mapping[Path, FileState]


@dataclass(frozen=True, slots=True)
class PlayedFile:
    """Evidence about the file that was played.

    `format` is the format of the file that Asterisk opened, and `sha256` is its digest. Without a format, `sha256` is
    the sound's digest (`Sound.sha256`). Both are None if tones were played or the file may not be the service's own.
    """

    sha256: str | None
    format: str | None = None


class SoundFiles:
    """Files of all sounds. Thread-safe.

    `restore` rewrites all files and raises ToneError if this fails.
    """

    def __init__(self, sounds: Iterable[Sound], restore: Callable[[], object] = lambda: None) -> None:
        self._sounds = tuple(sounds)
        self._restore = restore
        self._own = frozenset(file.path for sound in self._sounds for file in sound.files)
        self._names = frozenset(sound.stem.name for sound in self._sounds)
        self.changes = 0
        """How often a file was found to differ from the one that the service made."""
        self._read: dict[Path, tuple[FileState, bool]] = {}
        """Each file's state when it was last read, and whether its stamp would show a later change."""
        self._since_s: dict[Path, float] = {}
        """Damaged files, with the time (monotonic clock) at which the damage was first seen."""
        self._folders: dict[Path, tuple[int, frozenset[tuple[Path, Stamp | None]]]] = {}
        """The change time of each folder and the files in it, other than the sounds' own, that Asterisk can open
        instead.
        """
        self._first = frozenset(found for sound in self._sounds for found in self._beside_of(sound))
        for sound in self._sounds:
            self.states(sound)

    @property
    def damaged(self) -> int:
        """Number of damaged or foreign files found by the last `look`."""
        return len(self._since_s)

    def as_made(self, sound: Sound) -> States | None:
        """States of the sound's files, or None if one was changed or a foreign file was added next to them."""
        states = self.states(sound)
        if self._foreign(sound) or not all(states[file.path].sha256 == file.sha256 for file in sound.files):
            return None
        return states

    def states(self, sound: Sound) -> States:
        """Current states of the sound's files."""
        return {file.path: self._state(file) for file in sound.files}

    def played(self, sound: Sound, codec: str, began: datetime, before: States | None) -> PlayedFile | None:
        """File that was played from `began` until now, or None if a file was changed in the meantime.

        `codec` is the codec of the channel. `before` holds the states of the sound's files before the playback, or None
        if unknown.
        """
        opened = OPENED.get(codec)
        chosen = [file for file in sound.files if file.sound_format.name == opened]
        for file in chosen or sound.files:
            state = self._state(file)
            same = state == before.get(file.path) if before else state.changed_before(began)
            if state.sha256 != file.sha256 or not same:
                return None
        if self._beside_of(sound):
            return None if self._foreign(sound) else PlayedFile(None)
        return PlayedFile(chosen[0].sha256, opened) if chosen else PlayedFile(sound.sha256)

    def look(self) -> None:
        """Check all files and rewrite them if one has been damaged for `RESTORE_AFTER_S` seconds.

        Raises ToneError with the names of the damaged and foreign files.
        """
        now_s = time.monotonic()
        self._folders.clear()
        damaged = {file.path for sound in self._sounds for file in sound.files if not self._is_right(file)}
        failed: ToneError | None = None
        if any(now_s - self._since_s.get(path, now_s) >= RESTORE_AFTER_S for path in damaged):
            try:
                self._restore()
            except ToneError as error:
                failed = error
            damaged = {file.path for sound in self._sounds for file in sound.files if not self._is_right(file)}
        foreign = {path for sound in self._sounds for path in self._foreign(sound)}
        self._since_s = {path: self._since_s.get(path, now_s) for path in sorted(damaged | foreign)}
        if failed:
            raise failed
        if self._since_s:
            raise ToneError(_trouble(damaged, foreign))

    def _is_right(self, file: SoundFile) -> bool:
        return self._state(file).sha256 == file.sha256

    def _state(self, file: SoundFile) -> FileState:
        stamp = _stamp(file.path)
        known, settled = self._read.get(file.path, (None, False))
        if known and settled and known.stamp == stamp:
            return known
        state, settled = _read(file)
        self._read[file.path] = state, settled
        if known and known.sha256 == file.sha256 != state.sha256:
            self.changes += 1
        return state

    # -- further files --------------------------------------------------------------------------------------------

    def _foreign(self, sound: Sound) -> list[Path]:
        return [path for path, stamp in self._beside_of(sound) if (path, stamp) not in self._first]

    def _beside_of(self, sound: Sound) -> list[tuple[Path, Stamp | None]]:
        return [found for found in self._in(sound.stem.parent) if found[0].stem == sound.stem.name]

    def _in(self, folder: Path) -> frozenset[tuple[Path, Stamp | None]]:
        try:
            changed_ns = os.stat(folder).st_mtime_ns
        except OSError:
            return frozenset()
        known = self._folders.get(folder)
        if known and known[0] == changed_ns:
            return known[1]
        found = frozenset((path, _stamp(path)) for path in sound_files_in(folder, self._names) if path not in self._own)
        if not 0 <= time.time_ns() - changed_ns < SETTLED_NS:
            self._folders[folder] = changed_ns, found
        return found


def _trouble(damaged: Iterable[Path], foreign: Iterable[Path]) -> Message:
    parts = []
    if damaged:
        parts.append(
            Message(
                "{names}: not as the service made it, and not played; the notice replaces the sound. The service makes "
                "the file again after a minute",
                names=", ".join(map(str, sorted(damaged))),
            )
        )
    if foreign:
        parts.append(
            Message(
                "{names}: a further file of a sound, which Asterisk can prefer; the notice replaces the sound. Remove "
                "the file, or restart the service if it is yours",
                names=", ".join(map(str, sorted(foreign))),
            )
        )
    return joined("; ", parts)


def sound_files_in(folder: Path, names: Collection[str]) -> Iterator[Path]:
    """Files for the named sounds that Asterisk could open, in the folder and its subfolders.

    A subfolder may be named after a language.
    """
    entries = _listed(folder)
    places = [folder, *(folder / name for name, is_folder in entries if is_folder)]
    for place in places:
        for name, _ in entries if place is folder else _listed(place):
            stem, _, ending = name.rpartition(".")
            if stem in names and ending in OTHERS:
                yield place / name


def _listed(folder: Path) -> list[tuple[str, bool]]:
    try:
        with os.scandir(folder) as entries:
            return [(entry.name, entry.is_dir()) for entry in entries]
    except OSError:
        return []


def _stamp(path: Path) -> Stamp | None:
    try:
        return _stamp_of(os.lstat(path))
    except OSError:
        return None


def _stamp_of(status: os.stat_result) -> Stamp | None:
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read(file: SoundFile) -> tuple[FileState, bool]:
    """A file's state and whether its stamp would reveal a later change. Does not read a file of another size."""
    now_ns, stamp = time.time_ns(), _stamp(file.path)
    if stamp is None or stamp[2] != file.octets:
        return FileState(stamp, ""), True
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            digest = hashlib.sha256(opened.read(file.octets)).hexdigest()
            if stamp != _stamp_of(os.fstat(descriptor)):
                return FileState(stamp, ""), False  # it is being changed
    except OSError:
        return FileState(stamp, ""), False
    return FileState(stamp, digest), not 0 <= now_ns - stamp[-1] < SETTLED_NS
