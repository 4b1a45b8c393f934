"""Reads Asterisk's configuration files and the files that they include."""

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_FILES: Final = 500
DEEPEST: Final = 10
"""Maximum depth to which Asterisk follows includes."""
_INCLUDE: Final = re.compile(r'\s*#(?:try)?include\s+(?:"([^"]+)"|<([^>]+)>|([^\s;]+))\s*(?:;.*)?$')


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a configuration file, with its location."""

    path: Path
    number: int
    text: str


def lines_of(path: Path) -> tuple[list[Line] | None, str]:
    """Read the lines of a configuration file; (None, reason) if it cannot be read.

    The reason is empty if the file does not exist. The lines of an included file replace the #include. An #include of
    an unreadable file is kept, as is every #exec.
    """
    try:
        content = _read(path)
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, error.strerror or type(error).__name__
    return list(_expanded(path, content, path.parent, [MOST_FILES], DEEPEST)), ""


def files_like(folder: Path, pattern: str) -> tuple[list[Line] | None, str]:
    """Read the lines of all files in a folder whose names match a pattern.

    Returns (None, reason) if a file cannot be read.
    """
    found: list[Line] = []
    try:
        paths = sorted(folder.glob(pattern))
    except OSError as error:
        return None, error.strerror or type(error).__name__
    for path in paths[:MOST_FILES]:
        lines, trouble = lines_of(path)
        if trouble:
            return None, f"{path.name}: {trouble}"
        found += lines or []
    return found, ""


def text(path: Path) -> tuple[str | None, str]:
    """Read a configuration file and its included files as one text; (None, reason) if it cannot be read.

    The reason is empty if the file does not exist.
    """
    lines, trouble = lines_of(path)
    return None if lines is None else "\n".join(line.text for line in lines), trouble


def _read(path: Path) -> str:
    return path.read_text("utf-8", "surrogateescape")


def _expanded(path: Path, content: str, folder: Path, left: list[int], depth: int) -> Iterator[Line]:
    """Yield the lines of a file and of the files that it includes.

    Names in an #include are relative to `folder`, Asterisk's configuration folder. `left` is the number of files that
    may still be read.
    """
    for number, line in enumerate(content.splitlines(), 1):
        included = _INCLUDE.match(line)
        files = _included(folder, "".join(filter(None, included.groups())), left) if included and depth > 1 else None
        if files is None:
            yield Line(path, number, line)
        else:
            for one, inner in files:
                yield from _expanded(one, inner, folder, left, depth - 1)


def _included(folder: Path, name: str, left: list[int]) -> list[tuple[Path, str]] | None:
    """Paths and texts of the files that an #include names; None if one cannot be read.

    `name` may be a pattern.
    """
    paths = [Path(found) for found in sorted(glob.glob(str(folder / name)))]
    left[0] -= len(paths)
    if not paths or left[0] < 0:
        return None
    try:
        return [(path, _read(path)) for path in paths]
    except OSError:
        return None
