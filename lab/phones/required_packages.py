"""Packages for other vendors' phones: Python packages in a separate folder of the user's cache, and npm packages.

idtone does not contain these packages, and its development does not need them. Their versions are fixed, so that
figures can be compared over time.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab.debian_archive import PackagesUnavailable
from lab.packages import write_script
from lab.unpacked_packages import cache_directory, command, exclusive_lock, print_progress, unpacked_tree

PYTHON: Final = {"pjsua2-python": "2.15.1.post1", "aiortc": "1.16.0", "aiohttp": "3.13.3"}
NPM: Final = {"jssip": "3.13.8", "tuf-js": "5.0.1", "esbuild": "0.28.2"}


def python_with(*names: str) -> Path:
    """Path of a Python with these packages. Raises PackagesUnavailable.

    It is Debian's Python 3.11, for which each package has a binary.
    """
    wanted = [f"{name}=={PYTHON[name]}" for name in names]
    debian = unpacked_tree("python3.11", "python3-pip-whl", "libstdc++6", suites=("bookworm",))
    named = hashlib.sha256(" ".join((*wanted, str(debian))).encode()).hexdigest()[:8]
    cache = cache_directory(os.environ, print_progress)
    kept = cache / f"python-{names[0]}-{named}-{platform.machine()}"
    python = kept / "python"
    with exclusive_lock(cache / "phones.lock", "phones", print_progress):
        if not (kept / "complete").exists():
            print_progress(f"lab: fetching {', '.join(wanted)} from PyPI …")
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir()
            pip = next(debian.glob("usr/share/python-wheels/pip-*.whl"))
            started = ["env", f"PYTHONHOME={debian / 'usr'}", f"PYTHONPATH={kept / 'packages'}{os.pathsep}{pip}"]
            write_script(python, [*started, *command(debian, "usr/bin/python3.11")])
            done = subprocess.run(
                [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--only-binary=:all:",
                 "--root-user-action=ignore", "--target", kept / "packages", *wanted],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise PackagesUnavailable(f"pip cannot install {', '.join(wanted)}: {done.stderr.strip()[-500:]}")
            (kept / "complete").touch()
    return python


def bundle(name: str, entry: str, variable: str, runs_in: str = "browser") -> Path:
    """Path of one script with an npm package and its dependencies. Raises PackagesUnavailable.

    The script sets `variable` in a page, or in Node.js if `runs_in` is `node`.
    """
    cache = cache_directory(os.environ, print_progress)
    kept = cache / f"npm-{name}-{NPM[name]}.js"
    with exclusive_lock(cache / "phones.lock", "phones", print_progress):
        if not kept.exists():
            if not (npm := shutil.which("npm")):
                raise PackagesUnavailable("there is no npm on this machine")
            print_progress(f"lab: fetching {name} {NPM[name]} from npm …")
            wanted = [f"{each}@{NPM[each]}" for each in (name, "esbuild")]
            with tempfile.TemporaryDirectory(dir=cache, prefix="npm-") as folder:
                Path(folder, "package.json").write_text("{}")
                _run([npm, "install", "--silent", "--no-audit", "--no-fund", *wanted], folder)
                made = Path(folder, "made.js")
                form = ["--format=iife", f"--platform={runs_in}", f"--global-name={variable}"]
                options = ["--bundle", *form, f"--outfile={made}"]
                _run(["node_modules/.bin/esbuild", f"node_modules/{name}/{entry}", *options], folder)
                made.rename(kept)
    return kept


def _run(command: Sequence[str], folder: str) -> None:
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackagesUnavailable(f"{Path(command[0]).name} failed: {done.stderr.strip()[-500:]}")
