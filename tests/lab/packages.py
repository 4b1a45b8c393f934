"""Programs, libraries and sounds of Debian for the lab, unpacked beside the user's caches and used in place.

    python -m tests.lab.packages     prints where ffmpeg is

No root, no container, nothing installed. Standard library only.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from . import debian, trees
from .bootstrap import cache_directory
from .debian import PackagesUnavailable, Progress

SUITES: Final = ("trixie", "forky")
"""Debian releases that have what the lab asks for, the steadier first."""
FFMPEG_ENCODERS: Final = frozenset(("aac", "g722", "g726le", "libmp3lame", "libopus", "libspeex"))
"""What an ffmpeg must be able to write, else it is passed over."""
FFMPEG_WITHOUT: Final = ("fonts-*", "libllvm*", "libz3-*", "mesa-*", "shared-mime-info", "xkb-data")
"""What its libraries can draw and show with, which nobody does here: a third of the download."""

_MACHINES_OWN: Final = (
    "ld-linux*",
    "libc.so*",
    "libm.so*",
    "libpthread.so*",
    "libdl.so*",
    "librt.so*",
    "libresolv.so*",
)
"""The C library, of which a process can have one."""


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def tree(
    *packages: str,
    without: Sequence[str] = (),
    progress: Progress = tell,
    environment: Mapping[str, str] = os.environ,
) -> Path:
    """The folder in which `packages` and what they depend on lie unpacked; fetched where it is not there or damaged.

    Raises PackagesUnavailable.
    """
    cache = cache_directory(environment, progress)
    named = hashlib.sha256(" ".join((*sorted(packages), *without)).encode()).hexdigest()[:8]
    kept = cache / f"debian-{packages[0]}-{named}-{platform.machine()}"
    with trees.alone(cache / "packages.lock", "Debian's packages", progress):
        for leftover in cache.glob("unpacking-*"):
            shutil.rmtree(leftover)
        if trees.suite_of(kept):
            return kept
        if kept.exists():
            progress(f"lab: {kept} is damaged; fetching it again")
            shutil.rmtree(kept)
        progress(f"lab: fetching {', '.join(packages)} from Debian …")
        unpacking = Path(tempfile.mkdtemp(prefix="unpacking-", dir=cache))
        try:
            fetched = unpacking / "tree"
            suite = debian.fetch(packages, fetched, SUITES, without)
            trees.seal(fetched, suite)
            fetched.rename(kept)
        finally:
            shutil.rmtree(unpacking, ignore_errors=True)
    return kept


def command(root: Path, program: str) -> list[str]:
    """What starts a program of an unpacked tree: the tree's own loader with the tree's own libraries."""
    loaders = sorted(root.glob("usr/lib/*/ld-linux*.so.*"))
    if not loaders:
        return [str(root / program)]
    # Some libraries lie in folders of their own, where an installed Debian has a link or a line of ld.so.conf.
    folders = [loaders[0].parent, *sorted({path.parent for path in loaders[0].parent.glob("*/lib*.so*")})]
    return [str(loaders[0]), "--library-path", os.pathsep.join(map(str, folders)), str(root / program)]


def library(package: str, name: str, progress: Progress = tell) -> ctypes.CDLL:
    """A shared library of Debian, loaded into this process, such as `libbcg729.so.0` of `libbcg729-0`.

    Raises PackagesUnavailable, also where it does not go with the machine's own C library.
    """
    root = tree(package, progress=progress)
    waiting = [
        path
        for path in sorted(root.glob("usr/lib/*/lib*.so.*"))
        if not any(path.match(pattern) for pattern in _MACHINES_OWN)
    ]
    refusals: list[str] = []
    # Each can be loaded once those are that it needs: the process then finds them by their names.
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


def find_or_get_ffmpeg(progress: Progress = tell, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder to put into PATH for an ffmpeg that writes what the lab needs: the machine's own, or Debian's.

    Raises PackagesUnavailable.
    """
    installed = shutil.which("ffmpeg", path=environment.get("PATH", os.defpath))
    if installed and not (missing := FFMPEG_ENCODERS - _encoders([installed])):
        return Path(installed).parent
    if installed:
        progress(f"lab: passing over {installed}: it cannot write {', '.join(sorted(missing))}")
    root = tree("ffmpeg", without=FFMPEG_WITHOUT, progress=progress, environment=environment)
    if missing := FFMPEG_ENCODERS - _encoders(command(root, "usr/bin/ffmpeg")):
        raise PackagesUnavailable(
            f"the ffmpeg in {root} does not start or cannot write {', '.join(sorted(missing))}. Install ffmpeg"
        )
    # Beside the tree, which is sealed; written anew each time, since the tree may have moved with its folder.
    folder = root.with_name(f"{root.name}.bin")
    folder.mkdir(exist_ok=True)
    for program in ("ffmpeg", "ffprobe"):
        write_script(folder / program, command(root, f"usr/bin/{program}"))
    return folder


def faketime() -> Path:
    """The library that, preloaded, tells a process another time of day. Raises PackagesUnavailable."""
    return next(tree("libfaketime").glob("usr/lib/*/faketime/libfaketime.so.1"))


def _encoders(ffmpeg: Sequence[str]) -> set[str]:
    """The names of all encoders; empty if it does not start."""
    try:
        listing = subprocess.run(
            [*ffmpeg, "-hide_banner", "-encoders"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return set()
    return {line.split()[1] for line in listing.splitlines() if len(line.split()) > 2}


def write_script(path: Path, started: Sequence[str]) -> None:
    """A program by this name that is started so, with further arguments."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(f'#!/bin/sh\nexec {shlex.join(started)} "$@"\n')
        os.fchmod(file.fileno(), 0o755)
    os.replace(temporary, path)


def main() -> int:
    """Get ffmpeg and say where it is."""
    try:
        print(find_or_get_ffmpeg())
    except PackagesUnavailable as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
