"""Finds an Asterisk for the lab: the machine's own, or Debian's, which is unpacked in the user's cache and run there.

    python -m tests.lab.bootstrap     prints its path

It needs neither root nor a container and installs nothing. Standard library only.
"""

from __future__ import annotations

import configparser
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import debian, trees
from .debian import PackagesUnavailable, Progress

OVERRIDE: Final = "LAB_ASTERISK"
"""Environment variable: the asterisk program to use, with precedence over all others."""
OLDEST: Final = 20
SUITES: Final = ("forky", "sid")
"""Debian releases that have the package, the more stable first. Debian 13 does not have it."""

SYSTEM_PATH: Final = ("/usr/sbin", "/usr/local/sbin")
"""Folders where asterisk is installed, and which are not in every user's PATH."""

_NEEDED_MODULE: Final = "res_ari.so"
_REMEDY: Final = f"Install Asterisk {OLDEST} or newer and, if it is not in PATH, set {OVERRIDE} to its program"


class AsteriskMissing(Exception):
    """There is no usable Asterisk, and fetching one failed; the text says what to do."""


@dataclass(frozen=True, slots=True)
class AsteriskInstallation:
    """An Asterisk that starts: `command`, followed by Asterisk's own arguments, runs it."""

    command: list[str]
    module_directory: Path
    data_directory: Path
    version: str
    origin: str
    """Its origin as text: "/usr/sbin/asterisk", "Debian forky, unpacked in …"."""


def find_or_get(
    progress: Progress = lambda line: print(line, file=sys.stderr, flush=True),
    environment: Mapping[str, str] = os.environ,
) -> AsteriskInstallation:
    """The Asterisk of this machine, or a fetched one. Raises AsteriskMissing.

    An Asterisk that the user names must be usable; an installed one that is too old is skipped.
    """
    if named := environment.get(OVERRIDE):
        return _installed(Path(named))
    search_path = os.pathsep.join((environment.get("PATH", os.defpath), *SYSTEM_PATH))
    if program := shutil.which("asterisk", path=search_path):
        try:
            return _installed(Path(program))
        except AsteriskMissing as reason:
            progress(f"lab: passing over {program}: {reason}")
    return _fetched(cache_directory(environment, progress), progress)


def cache_directory(environment: Mapping[str, str], progress: Progress) -> Path:
    """The folder that keeps unpacked trees between runs: in the user's cache, or a private temporary folder."""
    home = environment.get("HOME")
    cache = environment.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else None)
    if cache:
        directory = Path(cache) / "idtone"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=directory).close()
        except OSError as error:
            progress(f"lab: cannot keep Asterisk in {directory} ({error.strerror}); using a temporary folder")
        else:
            return directory
    directory = Path(tempfile.gettempdir()) / f"idtone-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        raise AsteriskMissing(
            f"{directory} belongs to another user. Remove it, or set XDG_CACHE_HOME to your own folder"
        )
    return directory


def _installed(program: Path) -> AsteriskInstallation:
    """An installed program. Its folders come from its configuration, or are the usual ones of builds."""
    version = _version_of([str(program)])
    if version is None:
        raise AsteriskMissing(f"{program} does not start. {_REMEDY}")
    if _major(version) < OLDEST:
        raise AsteriskMissing(f"{program} is Asterisk {version}. {_REMEDY}")
    directories = _configured_directories(Path("/etc/asterisk/asterisk.conf"))
    prefix = program.resolve().parent.parent
    modules = _first_with(
        _NEEDED_MODULE,
        directories.get("astmoddir"),
        *(prefix / lib / "asterisk/modules" for lib in (f"lib/{_multiarch()}", "lib", "lib64")),
    )
    data = _first_with("rest-api", directories.get("astdatadir"), prefix / "share/asterisk", Path("/var/lib/asterisk"))
    if modules is None or data is None:
        raise AsteriskMissing(f"{program} has no ARI: {_NEEDED_MODULE} or its rest-api folder is missing. {_REMEDY}")
    return AsteriskInstallation([str(program)], modules, data, version, str(program))


def _fetched(cache: Path, progress: Progress) -> AsteriskInstallation:
    with trees.alone(cache / "asterisk.lock", "Asterisk", progress):
        for leftover in cache.glob("fetching-*"):
            shutil.rmtree(leftover)
        for tree in sorted(cache.glob(f"asterisk-*-{platform.machine()}")):
            if (found := _unpacked(tree)) is not None:
                return found
            progress(f"lab: {tree} is damaged; fetching it again")
            shutil.rmtree(tree)
        progress("lab: no Asterisk here; fetching Debian's, about 80 MB to download and 270 MB unpacked …")
        fetching = Path(tempfile.mkdtemp(prefix="fetching-", dir=cache))
        try:
            return _fetch(fetching / "tree", cache, progress)
        except PackagesUnavailable as error:
            raise AsteriskMissing(f"No Asterisk for the lab: {error}\n{_REMEDY}") from error
        finally:
            shutil.rmtree(fetching, ignore_errors=True)


def _fetch(tree: Path, cache: Path, progress: Progress) -> AsteriskInstallation:
    suite = debian.fetch(["asterisk"], tree, SUITES)
    version = _version_of(_command_in_place(tree))
    if version is None:
        raise PackagesUnavailable(f"the Asterisk of Debian {suite} does not start on this machine")
    trees.seal(tree, suite)
    kept = cache / f"asterisk-{version}-{platform.machine()}"
    tree.rename(kept)
    found = _unpacked(kept)
    if found is None:
        raise PackagesUnavailable(f"the Asterisk unpacked in {kept} does not start")
    progress(f"lab: Asterisk {found.version}, {found.origin}")
    return found


def _unpacked(tree: Path) -> AsteriskInstallation | None:
    """The tree as an installation; None where it is damaged or its Asterisk does not start."""
    suite = trees.suite_of(tree)
    if suite is None:
        return None
    command = _command_in_place(tree)
    version = _version_of(command)
    module = next(tree.glob(f"usr/lib/**/asterisk/modules/{_NEEDED_MODULE}"), None)
    if version is None or module is None:
        return None
    origin = f"Debian {suite}, unpacked in {tree}"
    return AsteriskInstallation(command, module.parent, tree / "usr/share/asterisk", version, origin)


def _command_in_place(tree: Path) -> list[str]:
    """The command with the tree's own loader and libraries, independent of the machine's libraries."""
    loaders = sorted(tree.glob("usr/lib/*/ld-linux*.so.*"))
    if not loaders:
        return [str(tree / "usr/sbin/asterisk")]
    loader = loaders[0]
    return [str(loader), "--library-path", str(loader.parent), str(tree / "usr/sbin/asterisk")]


def _version_of(command: list[str]) -> str | None:
    """The version that Asterisk prints, without the packager's suffix; None if it does not start."""
    try:
        done = subprocess.run(
            [*command, "-V"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"Asterisk (?:certified/|certified-|GIT-)?(\d+(?:\.\d+)*)", done.stdout)
    return found[1] if found and done.returncode == 0 else None


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _configured_directories(path: Path) -> dict[str, Path]:
    """`[directories]` of an asterisk.conf; empty if the file cannot be read."""
    parser = configparser.ConfigParser(
        delimiters=("=>", "="),
        comment_prefixes=(";",),
        inline_comment_prefixes=(";",),
        strict=False,
        interpolation=None,
    )
    try:
        # In the sample file the section is a template, "[directories](!)", with the compiled-in folders.
        parser.read_string(re.sub(r"^(\[\w+\])\(!\)", r"\1", path.read_text(), flags=re.MULTILINE))
    except (OSError, configparser.Error):
        return {}
    return {key: Path(value) for key, value in parser["directories"].items()} if "directories" in parser else {}


def _first_with(name: str, *directories: Path | None) -> Path | None:
    return next((directory for directory in directories if directory and (directory / name).exists()), None)


def _multiarch() -> str:
    return f"{platform.machine()}-linux-gnu"


def main() -> int:
    """Find or fetch Asterisk and print its path."""
    try:
        found = find_or_get()
    except AsteriskMissing as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    print(f"Asterisk {found.version}: {found.origin}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
