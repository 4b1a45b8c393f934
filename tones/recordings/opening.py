"""What all readers share: regular files only, so that nothing waits; limits; and where doubts are told."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from idtone.errors import RecordingError

LONGEST_S: Final = 4 * 3600.0
"""The longest leg that is read where the caller names no other limit."""
LARGEST_SAMPLES: Final = 1 << 29
"""Samples of all legs of a recording together: 2 GiB, 18 hours of one leg at 8 kHz."""

Notice = Callable[[str], object]
"""Takes a sentence about what of a recording could not be read, although the rest could."""
warn: Final[Notice] = logging.getLogger(__name__).warning


def open_recording(path: Path) -> BinaryIO:
    """The file, at its beginning. Raises RecordingError for what is no file, is empty or may not be read.

    A FIFO or a device is refused without waiting for what is at its other end.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise RecordingError(
            f"{path}: cannot be opened: {error.strerror}. Check the path and its permissions"
        ) from error
    except ValueError as error:
        raise RecordingError(f"{str(path)!r}: cannot be the path of a file: {error}") from error
    file = os.fdopen(descriptor, "rb") if stat.S_ISREG((status := os.fstat(descriptor)).st_mode) else None
    if file is None:
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise RecordingError(f"{path}: is {kind}, not a file. Name a recording")
    if status.st_size == 0:
        file.close()
        raise RecordingError(f"{path}: is empty. Name a file that holds a recording")
    return file


def beginning_of(file: BinaryIO) -> bytes:
    """Its first 16 bytes; the file stays where it is, for the libraries that read it by its descriptor."""
    return os.pread(file.fileno(), 16, 0)
