"""Makes a virtual environment with pip, even if the machine's Python cannot.

    python -m lab.virtual_environment FOLDER

Debian packages `ensurepip` separately. Without it, pip comes from Debian's pip package, which is only unpacked. A
working environment of this Python is kept. This module uses only the standard library.
"""

import importlib.util
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Final

from . import debian_archive

_WHEELS: Final = "usr/share/python-wheels"
"""Folder of pip in Debian's package python3-pip-whl."""
_SAME_PYTHON_WITH_PIP: Final = "import pip, sys; sys.exit(sys.version_info[:2] != ({}, {}))"


def make(folder: Path) -> None:
    """Create the environment, or keep it if it works. Raises PackagesUnavailable if pip is not available."""
    if _works(folder):
        return
    has_pip = importlib.util.find_spec("ensurepip") is not None
    venv.create(folder, clear=True, symlinks=True, with_pip=has_pip)
    if not has_pip:
        _bring_pip(folder)


def _works(folder: Path) -> bool:
    """True if the folder's Python starts, has pip, and has the version of this Python.

    The version may differ after an upgrade.
    """
    check = _SAME_PYTHON_WITH_PIP.format(*sys.version_info[:2])
    try:
        return subprocess.run([folder / "bin/python", "-c", check], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _bring_pip(folder: Path) -> None:
    installed = sorted(Path("/", _WHEELS).glob("pip-*.whl"))
    if installed:
        _install_pip(folder, installed[-1])
        return
    with tempfile.TemporaryDirectory() as scratch:
        unpacked = Path(scratch, "pip")
        debian_archive.fetch(["python3-pip-whl"], unpacked)
        _install_pip(folder, next((unpacked / _WHEELS).glob("pip-*.whl")))


def _install_pip(folder: Path, wheel: Path) -> None:
    """Make pip's wheel install itself. The wheel is a zip file, and Python can run a module in it."""
    subprocess.run(
        [folder / "bin/python", f"{wheel}/pip", "--quiet", "install", "--no-index", "--no-deps", wheel], check=True
    )


def main() -> int:
    """Create the environment named on the command line, and return the exit code."""
    if len(sys.argv) != 2:
        print("use: python -m lab.virtual_environment FOLDER", file=sys.stderr)
        return 2
    try:
        make(Path(sys.argv[1]))
    except debian_archive.PackagesUnavailable as error:
        print(f"No pip for {sys.argv[1]}: {error}\nInstall python3-venv and try again", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
