"""The repository under test: its files, its links and the modules of the product."""

import ast
import gc
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""Root folder of the repository."""


def files() -> list[Path]:
    """All files that git tracks or does not ignore."""
    listing = subprocess.check_output(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT
    )
    paths = [ROOT / os.fsdecode(name) for name in listing.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def links() -> list[Path]:
    """The links in `idtone/` to the top-level folders."""
    return [path for path in (ROOT / "idtone").iterdir() if path.is_symlink()]


def modules() -> list[Path]:
    """The Python files of the product. The verifier in docs/ is separate, not installed, and left out."""
    apart = [ROOT / folder for folder in ("bench", "docs", "lab", "tests", "tools")]
    return [path for path in files() if path.suffix == ".py" and not any(map(path.is_relative_to, apart))]


def parsed(source: str) -> ast.Module:
    """The syntax tree of a module's source.

    Turns the garbage collector off meanwhile. In CPython 3.11 a parse fails if another parse starts during it (issue
    106905). The collector may finalise an object that formats a traceback, and formatting starts another parse.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if was:
            gc.enable()
