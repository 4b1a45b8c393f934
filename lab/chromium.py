"""Chromium and its driver for the lab: the machine's own, or Debian's, unpacked in the user's cache.

    python -m lab.chromium     prints both paths

The search needs neither root nor a container, and installs nothing. This module uses only the standard library. Pages
are shown in the font of `idtone.core.paper` so that they look the same everywhere, also in Japanese.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .debian_archive import PackagesUnavailable, Progress
from .unpacked_packages import print_progress, unpacked_tree

WITHOUT: Final = (
    "adwaita-*", "dbus*", "dconf-*", "fontconfig", "gtk-*", "hicolor-*", "libgtk-*", "libllvm*", "libz3-*", "mesa-*",
    "perl*", "systemd*", "xdg-*",
)  # fmt: skip
"""Patterns of packages that only windows on a screen need."""
MACHINES_OWN: Final = (
    "ld-linux*", "libc.so*", "libdl.so*", "libm.so*", "libnss_*", "libpthread.so*", "libresolv.so*", "librt.so*",
)  # fmt: skip
"""Patterns of libraries that come from the machine.

Chromium restarts itself through /proc/self/exe, and so with the machine's loader. This loader needs the machine's C
library.
"""
FONTS: Final = Path(__file__).parents[1] / "core" / "paper"
"""Folder with the only fonts that the pages use."""
FONTCONFIG: Final = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
<dir>{fonts}</dir>
<cachedir>{folder}/fonts</cachedir>
</fontconfig>
"""


@dataclass(frozen=True, slots=True)
class Chromium:
    """The two programs, and the environment that they need."""

    program: Path
    driver: Path
    environment: Mapping[str, str]


def find_or_get_chromium(
    folder: Path, progress: Progress = print_progress, environment: Mapping[str, str] = os.environ
) -> Chromium:
    """Both programs, from the same source. Writes their configuration into `folder`. Raises PackagesUnavailable."""
    search_path = environment.get("PATH", os.defpath)
    installed = [shutil.which(name, path=search_path) for name in ("chromium", "chromedriver")]
    if all(installed):
        program, driver = (Path(str(path)) for path in installed)
        return Chromium(program, driver, _surroundings(folder, None, environment))
    root = unpacked_tree("chromium", "chromium-driver", without=WITHOUT, progress=progress, environment=environment)
    found = Chromium(
        root / "usr/lib/chromium/chromium", root / "usr/bin/chromedriver", _surroundings(folder, root, environment)
    )
    for started in (found.program, found.driver):
        if (reason := _refusal(started, found.environment)) is not None:
            raise PackagesUnavailable(f"{started} does not start: {reason}. Install chromium and chromium-driver")
    return found


def _surroundings(folder: Path, root: Path | None, environment: Mapping[str, str]) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    fonts = folder / "fonts.conf"
    fonts.write_text(FONTCONFIG.format(fonts=FONTS, folder=folder), "utf-8")
    found = {"PATH": environment.get("PATH", os.defpath), "HOME": str(folder), "FONTCONFIG_FILE": str(fonts)}
    if root is not None:
        found["LD_LIBRARY_PATH"] = str(_libraries(root))
    return found


def _libraries(root: Path) -> Path:
    """A folder with links to the tree's libraries, except the C library.

    The folder is beside the tree because the tree is sealed.
    """
    folder = root.with_name(f"{root.name}.lib")
    folder.mkdir(exist_ok=True)
    for library in sorted(root.glob("usr/lib/*-linux-gnu*/**/lib*.so*")):
        if not any(library.match(pattern) for pattern in MACHINES_OWN):
            with contextlib.suppress(FileExistsError):  # an earlier run or another worker has created it
                (folder / library.name).symlink_to(library)
    return folder


def _refusal(program: Path, environment: Mapping[str, str]) -> str | None:
    """The error of a program that does not start, or None if it starts."""
    try:
        done = subprocess.run(
            [program, "--version"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]


def main() -> int:
    """Find or fetch both programs and print their paths."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = find_or_get_chromium(Path(folder))
    except PackagesUnavailable as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    print(found.program, found.driver)
    return 0


if __name__ == "__main__":
    sys.exit(main())
