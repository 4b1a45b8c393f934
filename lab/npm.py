"""npm packages for the lab, in the user's cache. None of them is part of idtone."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from .debian_archive import PackagesUnavailable
from .unpacked_packages import cache_directory, exclusive_lock, print_progress


def installed(package: str) -> Path:
    """A folder in which Node finds this package. `package` includes the version. Raises PackagesUnavailable."""
    cache = cache_directory(os.environ, print_progress)
    kept = cache / re.sub(r"[^\w.]+", "-", f"npm-{package}")
    with exclusive_lock(cache / "npm.lock", "npm", print_progress):
        if not (kept / "complete").exists():
            print_progress(f"lab: fetching {package} from npm …")
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            (kept / "package.json").write_text("{}")
            run(["install", "--silent", "--no-audit", "--no-fund", package], kept)
            (kept / "complete").touch()
    return kept


def run(arguments: list[str], folder: Path) -> str:
    """Run npm in a folder and return its output. Raises PackagesUnavailable."""
    if not (npm := shutil.which("npm")):
        raise PackagesUnavailable("there is no npm on this machine")
    done = subprocess.run(
        [npm, *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PackagesUnavailable(f"npm {' '.join(arguments)} fails: {done.stderr.strip()[-500:]}")
    return done.stdout
