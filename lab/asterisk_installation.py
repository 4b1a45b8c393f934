"""Finds an Asterisk for the lab: the machine's own, or Debian's, unpacked in the user's cache.

    python -m lab.asterisk_installation     prints its version and origin

The search needs neither root nor a container, and installs nothing. This module uses only the standard library.
"""

import configparser
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import unpacked_packages
from .debian_archive import PackagesUnavailable, Progress

OVERRIDE: Final = "ASTERISK"
"""Environment variable with the path of the asterisk program to use. It has precedence over all others."""
SUITE: Final = "ASTERISK_SUITE"
"""Environment variable with the Debian release whose Asterisk is used even if another one is installed."""
OLDEST: Final = 20
SUITES: Final = ("forky", "sid")
"""Debian releases with the package, most stable first. Debian 13 does not have it."""

SYSTEM_PATH: Final = ("/usr/sbin", "/usr/local/sbin")
"""Installation folders of asterisk that are not in every user's PATH."""

_NEEDED_MODULE: Final = "res_ari"
_REMEDY: Final = f"Install Asterisk {OLDEST} or newer and, if it is not in PATH, set {OVERRIDE} to its program"


class AsteriskMissing(Exception):
    """No usable Asterisk was found, and none could be fetched. The message gives the remedy."""


@dataclass(frozen=True, slots=True)
class AsteriskInstallation:
    """An Asterisk that starts. `command`, followed by Asterisk's own arguments, runs it."""

    command: list[str]
    module_directory: Path
    data_directory: Path
    version: str
    origin: str
    """Origin for display: "/usr/sbin/asterisk" or "Debian forky, unpacked in …"."""

    @property
    def is_supported(self) -> bool:
        """True if its version is new enough for idtone."""
        return _major(self.version) >= OLDEST

    def without(self, modules: Iterable[str]) -> list[str]:
        """The `modules` (names without `.so`) that this Asterisk lacks."""
        return [name for name in modules if not (self.module_directory / f"{name}.so").is_file()]


def find_or_get(
    progress: Progress = unpacked_packages.print_progress,
    environment: Mapping[str, str] = os.environ,
    oldest: int = OLDEST,
) -> AsteriskInstallation:
    """The Asterisk of this machine, or a fetched one. Raises AsteriskMissing.

    An Asterisk that the user names must be usable. An installed one that is unusable or older than `oldest` is skipped.
    """
    if named := environment.get(OVERRIDE):
        return _installed(Path(named), oldest)
    if suite := environment.get(SUITE):
        return _fetched(progress, environment, suite)
    search_path = os.pathsep.join((environment.get("PATH", os.defpath), *SYSTEM_PATH))
    if program := shutil.which("asterisk", path=search_path):
        try:
            return _installed(Path(program), oldest)
        except AsteriskMissing as reason:
            progress(f"lab: passing over {program}: {reason}")
    return _fetched(progress, environment)


def _installed(program: Path, oldest: int) -> AsteriskInstallation:
    """The installed Asterisk at `program`. Raises AsteriskMissing.

    Searches for its folders first in the configuration below its prefix, then below the prefix itself. The machine's
    configuration in /etc comes last, because it may belong to another Asterisk.
    """
    version = _version_of([str(program)])
    if version is None:
        raise AsteriskMissing(f"{program} does not start. {_REMEDY}")
    if _major(version) < oldest:
        raise AsteriskMissing(f"{program} is Asterisk {version}. {_REMEDY}")
    prefix = program.resolve().parent.parent
    own, etc = (_configured_directories(path / "etc/asterisk/asterisk.conf") for path in (prefix, Path("/")))
    modules = _first_with(
        f"{_NEEDED_MODULE}.so",
        own.get("astmoddir"),
        *(prefix / lib / "asterisk/modules" for lib in (f"lib/{_multiarch()}", "lib", "lib64")),
        etc.get("astmoddir"),
    )
    data = _first_with(
        "rest-api",
        own.get("astdatadir"),
        *(prefix / folder for folder in ("var/lib/asterisk", "share/asterisk")),
        etc.get("astdatadir"),
        Path("/var/lib/asterisk"),
    )
    if modules is None or data is None:
        raise AsteriskMissing(f"{program} has no ARI: {_NEEDED_MODULE}.so or its rest-api folder is missing. {_REMEDY}")
    return AsteriskInstallation([str(program)], modules, data, version, str(program))


def _fetched(progress: Progress, environment: Mapping[str, str], suite: str = "") -> AsteriskInstallation:
    try:
        root = unpacked_packages.unpacked_tree(
            "asterisk", suites=(suite,) if suite else SUITES, label=suite, progress=progress, environment=environment
        )
    except PackagesUnavailable as error:
        raise AsteriskMissing(f"No Asterisk for the lab: {error}\n{_REMEDY}") from error
    program = unpacked_packages.command(root, "usr/sbin/asterisk")
    version = _version_of(program)
    module = next(root.glob(f"usr/lib/**/asterisk/modules/{_NEEDED_MODULE}.so"), None)
    if version is None or module is None:
        raise AsteriskMissing(f"The Asterisk unpacked in {root} does not start. Remove the folder. {_REMEDY}")
    origin = f"Debian {unpacked_packages.suite_of(root)}, unpacked in {root}"
    return AsteriskInstallation(program, module.parent, root / "usr/share/asterisk", version, origin)


def _version_of(command: list[str]) -> str | None:
    """The version that Asterisk prints, without the packager's suffix, or None if it does not start."""
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
    """The section `[directories]` of an asterisk.conf, or an empty dict if the file cannot be read."""
    parser = configparser.ConfigParser(
        delimiters=("=>", "="),
        comment_prefixes=(";",),
        inline_comment_prefixes=(";",),
        strict=False,
        interpolation=None,
    )
    try:
        # In the sample file, this section is a template, "[directories](!)", with the compiled-in folders.
        parser.read_string(re.sub(r"^(\[\w+\])\(!\)", r"\1", path.read_text(), flags=re.MULTILINE))
    except (OSError, configparser.Error):
        return {}
    return {key: Path(value) for key, value in parser["directories"].items()} if "directories" in parser else {}


def _first_with(name: str, *directories: Path | None) -> Path | None:
    return next((directory for directory in directories if directory and (directory / name).exists()), None)


def _multiarch() -> str:
    return f"{platform.machine()}-linux-gnu"


def main() -> int:
    """Find or fetch Asterisk, and print its version and origin."""
    try:
        found = find_or_get()
    except AsteriskMissing as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    print(f"Asterisk {found.version}: {found.origin}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
