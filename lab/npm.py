"""Packages of npm for the lab, in the user's cache. None of them is a part of idtone."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from .debian import PackagesUnavailable
from .unpacked_packages import alone, cache_directory, tell


def installed(package: str) -> Path:
    """A folder in which Node finds this package, given with its version. Raises PackagesUnavailable."""
    cache = cache_directory(os.environ, tell)
    kept = cache / re.sub(r"[^\w.]+", "-", f"npm-{package}")
    with alone(cache / "npm.lock", "npm", tell):
        if not (kept / "complete").exists():
            tell(f"lab: fetching {package} from npm …")
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            (kept / "package.json").write_text("{}")
            run(["install", "--silent", "--no-audit", "--no-fund", package], kept)
            (kept / "complete").touch()
    return kept


def run(arguments: list[str], folder: Path) -> str:
    """Run npm in a folder; returns its output. Raises PackagesUnavailable."""
    if not (npm := shutil.which("npm")):
        raise PackagesUnavailable("there is no npm on this machine")
    done = subprocess.run(
        [npm, *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PackagesUnavailable(f"npm {' '.join(arguments)} fails: {done.stderr.strip()[-500:]}")
    return done.stdout
