"""Unpacked packages that are kept between runs. One run at a time fetches them, and a kept tree is checked for damage.

Standard library only: this runs before anything is set up.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from .debian import Progress

_MANIFEST: Final = ".complete.json"
"""Written last; holds the number and size of the tree's files."""


def seal(tree: Path, suite: str) -> None:
    """Mark a tree as complete, with the suite of Debian that it came from."""
    (tree / _MANIFEST).write_text(json.dumps({**_measure(tree), "suite": suite}))


def suite_of(tree: Path) -> str | None:
    """The suite that a tree came from; None if the tree differs from what was sealed."""
    try:
        expected = json.loads((tree / _MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(expected, dict) or expected != {**_measure(tree), "suite": expected.get("suite")}:
        return None
    return str(expected["suite"])


@contextlib.contextmanager
def alone(lock: Path, what: str, progress: Progress) -> Iterator[None]:
    """Hold the lock, so that two runs side by side fetch `what` once."""
    with lock.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"lab: another run is fetching {what}; waiting for it …")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _measure(tree: Path) -> dict[str, Any]:
    """Count and bytes of the regular files: enough to detect missing or truncated files without reading them."""
    sizes = [
        path.lstat().st_size
        for folder, _, names in os.walk(tree)
        for name in names
        if name != _MANIFEST and not (path := Path(folder, name)).is_symlink()
    ]
    return {"files": len(sizes), "bytes": sum(sizes)}
