"""Debian's programs, libraries and sounds for the lab, unpacked in the user's cache and used from there.

    python -m lab.packages     prints ffmpeg's folder

Unpacking needs neither root nor a container, and installs nothing. This module uses only the standard library.
"""

import contextlib
import ctypes
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from .debian_archive import PackagesUnavailable, Progress
from .unpacked_packages import command, print_found, print_progress, unpacked_tree

FFMPEG_ENCODERS: Final = frozenset(("aac", "g722", "g726le", "libmp3lame", "libopus", "libspeex"))
"""Encoders that an ffmpeg must have. An ffmpeg without them is skipped."""
FFMPEG_WITHOUT: Final = ("fonts-*", "libllvm*", "libz3-*", "mesa-*", "shared-mime-info", "xkb-data")
"""Patterns of dependencies for drawing and display, which are a third of the download and not used here."""

SODIUM: Final = "libsodium.so.23"

_MACHINES_OWN: Final = (
    "ld-linux*",
    "libc.so*",
    "libm.so*",
    "libpthread.so*",
    "libdl.so*",
    "librt.so*",
    "libresolv.so*",
)
"""Patterns of libraries that come from the machine: the C library, because a process can have only one."""


def library(package: str, name: str, progress: Progress = print_progress) -> ctypes.CDLL:
    """A shared library from Debian, loaded into this process, such as `libbcg729.so.0` of `libbcg729-0`.

    Raises PackagesUnavailable, also if the library does not match the machine's C library.
    """
    root = unpacked_tree(package, progress=progress)
    waiting = [
        path
        for path in sorted(root.glob("usr/lib/*/lib*.so.*"))
        if not any(path.match(pattern) for pattern in _MACHINES_OWN)
    ]
    refusals: list[str] = []
    # A library can be loaded after its dependencies, because the process then finds these by name.
    while waiting:
        refused = []
        refusals = []
        for path in waiting:
            try:
                loaded = ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
            except OSError as error:
                refused.append(path)
                refusals.append(str(error))
            else:
                if path.name == name:
                    return loaded
        if len(refused) == len(waiting):
            break
        waiting = refused
    raise PackagesUnavailable(f"{name} of {package} cannot be loaded: {'; '.join(refusals[:3])}")


def find_or_get_ffmpeg(progress: Progress = print_progress, environment: Mapping[str, str] = os.environ) -> Path:
    """A folder for PATH with an ffmpeg that has the lab's encoders: the machine's own, or Debian's.

    Raises PackagesUnavailable.
    """
    installed = shutil.which("ffmpeg", path=environment.get("PATH", os.defpath))
    if installed and not (missing := FFMPEG_ENCODERS - _encoders([installed])):
        return Path(installed).parent
    if installed:
        progress(f"lab: passing over {installed}: it cannot write {', '.join(sorted(missing))}")
    root = unpacked_tree("ffmpeg", without=FFMPEG_WITHOUT, progress=progress, environment=environment)
    if missing := FFMPEG_ENCODERS - _encoders(command(root, "usr/bin/ffmpeg")):
        raise PackagesUnavailable(
            f"the ffmpeg in {root} does not start or cannot write {', '.join(sorted(missing))}. Install ffmpeg"
        )
    # The file is beside the tree because the tree is sealed. It is written each time because the tree may have been
    # moved.
    folder = root.with_name(f"{root.name}.bin")
    folder.mkdir(exist_ok=True)
    for program in ("ffmpeg", "ffprobe"):
        write_script(folder / program, command(root, f"usr/bin/{program}"))
    return folder


def sodium() -> None:
    """Make libsodium available to this process and its children: the machine's own, or Debian's.

    Raises PackagesUnavailable.
    """
    with contextlib.suppress(OSError):
        ctypes.CDLL(SODIUM)
        return
    root = unpacked_tree("libsodium23")
    folder = root.with_name(f"{root.name}.lib")  # beside the tree, which also has a C library
    folder.mkdir(exist_ok=True)
    found = next(root.glob(f"usr/lib/*/{SODIUM}"))
    with contextlib.suppress(FileExistsError):
        (folder / SODIUM).symlink_to(found)
    ctypes.CDLL(str(folder / SODIUM))  # from now on the loader finds it by name
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, (str(folder), os.environ.get("LD_LIBRARY_PATH"))))


def faketime() -> Path:
    """Path of libfaketime, which gives a process another time when preloaded. Raises PackagesUnavailable."""
    return next(unpacked_tree("libfaketime").glob("usr/lib/*/faketime/libfaketime.so.1"))


def _encoders(ffmpeg: Sequence[str]) -> set[str]:
    """The names of all encoders, or an empty set if ffmpeg does not start."""
    try:
        listing = subprocess.run(
            [*ffmpeg, "-hide_banner", "-encoders"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return set()
    return {line.split()[1] for line in listing.splitlines() if len(line.split()) > 2}


def write_script(path: Path, started: Sequence[str]) -> None:
    """Write a script that runs the command `started`, followed by the script's own arguments."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(f'#!/bin/sh\nexec {shlex.join(started)} "$@"\n')
        os.fchmod(file.fileno(), 0o755)
    os.replace(temporary, path)


def main() -> int:
    """Find or fetch ffmpeg, and print its folder."""
    return print_found(find_or_get_ffmpeg)


if __name__ == "__main__":
    sys.exit(main())
