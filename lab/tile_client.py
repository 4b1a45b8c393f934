"""An independent client of C2SP tlog-tiles: Go's own code for its checksum database.

    python -m lab.tile_client     prints the program's path

Debian's Go compiles it once. Only the program is kept, in the user's cache.
"""

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from . import debian_archive
from .debian_archive import PackagesUnavailable, Progress
from .unpacked_packages import SUITES, cache_directory, exclusive_lock, print_found, print_progress

SOURCE: Final = Path(__file__).with_name("ledger") / "tiles" / "client" / "main.go"
PACKAGES: Final = ("golang-go", "golang-golang-x-mod-dev")
"""The compiler and `golang.org/x/mod/sumdb`."""
WITHOUT: Final = ("gcc-*", "libc-bin", "libc6*", "libcrypt*", "libgcc-*", "perl*", "media-types", "golang-golang-x-t*")
"""Patterns of packages that a plain Go program does not need."""


def tile_client(progress: Progress = print_progress, environment: Mapping[str, str] = os.environ) -> Path:
    """Path of the program. Raises PackagesUnavailable.

    Called with `URL VKEY`, the program prints the number of entries in the tree, or exits with 1.
    """
    return go_program("tile-client", SOURCE, PACKAGES, WITHOUT, progress, environment)


def go_program(
    name: str,
    source: Path,
    packages: Sequence[str],
    without: Sequence[str],
    progress: Progress = print_progress,
    environment: Mapping[str, str] = os.environ,
) -> Path:
    """Path of a program that Debian's Go compiles from `source`. Raises PackagesUnavailable.

    `packages` are Debian's, including Go itself.
    """
    cache = cache_directory(environment, progress)
    named = hashlib.sha256(source.read_bytes()).hexdigest()[:8]
    program = cache / f"{name}-{named}-{platform.machine()}"
    with exclusive_lock(cache / f"{name}.lock", name, progress):
        if not program.exists():
            progress(f"lab: fetching Go from Debian, and compiling {name} …")
            with tempfile.TemporaryDirectory(prefix="compiling-", dir=cache) as folder:
                _compile(Path(folder), source, packages, without).rename(program)
    return program


def _compile(scratch: Path, source: Path, packages: Sequence[str], without: Sequence[str]) -> Path:
    root = scratch / "tree"
    debian_archive.fetch(packages, root, SUITES, without)
    compilers = sorted(root.glob("usr/lib/go-*/bin/go"))
    if not compilers:
        raise PackagesUnavailable(f"{', '.join(packages)} hold no compiler")
    own = {
        "PATH": os.defpath, "HOME": str(scratch), "GOCACHE": str(scratch / "cache"), "GOTOOLCHAIN": "local",
        "GOROOT": str(compilers[-1].parents[1]), "GOPATH": str(root / "usr/share/gocode"), "GO111MODULE": "off",
        "CGO_ENABLED": "0", "GOTELEMETRY": "off",
    }  # fmt: skip
    made = scratch / "client"
    done = subprocess.run(
        [compilers[-1], "build", "-trimpath", "-ldflags", "-s -w", "-o", made, source],
        env=own,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise PackagesUnavailable(f"Go does not compile {source}: {done.stderr[-2000:]}")
    return made


def main() -> int:
    """Find or compile the client, and print its path."""
    return print_found(tile_client)


if __name__ == "__main__":
    sys.exit(main())
