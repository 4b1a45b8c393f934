"""Debian's packages, unpacked in the user's cache and kept between runs.

Only one run at a time fetches them, and each run checks that the stored files are complete. This module uses only the
standard library, because it runs before anything is set up.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from . import debian_archive
from .debian_archive import PackagesUnavailable, Progress

SUITES: Final = ("trixie", "forky")
"""Debian releases with the lab's packages, most stable first."""

_MANIFEST: Final = ".complete.json"
"""File that is written last, with the number and the size of the tree's files."""


def print_progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def unpacked_tree(
    *packages: str,
    suites: Sequence[str] = SUITES,
    without: Sequence[str] = (),
    label: str = "",
    progress: Progress = print_progress,
    environment: Mapping[str, str] = os.environ,
) -> Path:
    """The folder with `packages` and their dependencies, unpacked. Raises PackagesUnavailable.

    Fetches the packages if the folder is missing or damaged. A `label` distinguishes trees of the same packages.
    """
    cache = cache_directory(environment, progress)
    named = hashlib.sha256(" ".join((*sorted(packages), *without)).encode()).hexdigest()[:8]
    kept = cache / "-".join(filter(None, ("debian", packages[0], label, named, platform.machine())))
    # A complete tree never changes, so a run does not wait for it while another tree is fetched. The user's time limit
    # may already be running.
    if suite_of(kept):
        return kept
    with exclusive_lock(cache / "packages.lock", "packages", progress):
        for leftover in cache.glob("unpacking-*"):
            shutil.rmtree(leftover)
        if suite_of(kept):
            return kept
        if kept.exists():
            progress(f"lab: {kept} is damaged; fetching it again")
            shutil.rmtree(kept)
        progress(f"lab: fetching {', '.join(packages)} from Debian …")
        unpacking = Path(tempfile.mkdtemp(prefix="unpacking-", dir=cache))
        try:
            fetched = unpacking / "tree"
            seal(fetched, debian_archive.fetch(packages, fetched, suites, without))
            fetched.rename(kept)
        finally:
            shutil.rmtree(unpacking, ignore_errors=True)
    return kept


def cache_directory(environment: Mapping[str, str], progress: Progress) -> Path:
    """The folder that keeps unpacked trees between runs: in the user's cache, or else a private temporary folder.

    Raises PackagesUnavailable if the temporary folder belongs to another user.
    """
    home = environment.get("HOME")
    cache = environment.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else None)
    if cache:
        directory = Path(cache) / "idtone"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=directory).close()
        except OSError as error:
            progress(f"lab: cannot keep packages in {directory} ({error.strerror}); using a temporary folder")
        else:
            return directory
    directory = Path(tempfile.gettempdir()) / f"idtone-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        raise PackagesUnavailable(
            f"{directory} belongs to another user. Remove it, or set XDG_CACHE_HOME to your own folder"
        )
    return directory


def command(root: Path, program: str) -> list[str]:
    """The command for a program of an unpacked tree, with the loader and libraries of the tree."""
    # Up to bullseye, the loader and some libraries are in /lib. Later releases merge this folder into /usr/lib.
    loaders = [path for lib in ("usr/lib", "lib") for path in sorted(root.glob(f"{lib}/*/ld-linux*.so.*"))]
    if not loaders:
        return [str(root / program)]
    machine = loaders[0].parent.name
    shared = [place for place in (root / "usr/lib" / machine, root / "lib" / machine) if place.is_dir()]
    # Some libraries have their own folders. An installed Debian has a link or a line in ld.so.conf for them.
    own = sorted({path.parent for place in shared for path in place.glob("*/lib*.so*")})
    folders = [*shared, *own, *{path.parent for path in root.glob("usr/lib/lib*.so*")}]
    return [str(loaders[0]), "--library-path", os.pathsep.join(map(str, folders)), str(root / program)]


def seal(tree: Path, suite: str) -> None:
    """Mark a tree as complete, with its Debian suite."""
    (tree / _MANIFEST).write_text(json.dumps({**_measure(tree), "suite": suite}))


def suite_of(tree: Path) -> str | None:
    """The Debian suite of a tree, or None if the tree is not sealed or has changed since `seal`."""
    try:
        expected = json.loads((tree / _MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(expected, dict) or expected != {**_measure(tree), "suite": expected.get("suite")}:
        return None
    return str(expected["suite"])


@contextlib.contextmanager
def exclusive_lock(lock: Path, what: str, progress: Progress) -> Iterator[None]:
    """Context that holds the lock, so that only one of several runs gets `what`. Waits for the others."""
    with lock.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"lab: another run is getting {what}; waiting for it …")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _measure(tree: Path) -> dict[str, Any]:
    """The number of regular files and their total size in bytes.

    These values reveal missing or truncated files without reading the contents.
    """
    sizes = [
        path.lstat().st_size
        for folder, _, names in os.walk(tree)
        for name in names
        if name != _MANIFEST and not (path := Path(folder, name)).is_symlink()
    ]
    return {"files": len(sizes), "bytes": sum(sizes)}


def print_found(find: Callable[[], object]) -> int:
    """Print the path that `find` returns, and return the exit code: 0, or 2 if it is not available."""
    try:
        print(find())
    except PackagesUnavailable as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    return 0
