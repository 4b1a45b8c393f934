"""Opens recordings, and defines the limits and notices that all their readers share.

Only regular files are opened, without blocking.
"""

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from idtone.core.errors import RecordingError
from idtone.core.translation import Message

LONGEST_S: Final = 4 * 3600.0
"""Default maximum duration of a leg, in seconds."""
LARGEST_SAMPLES: Final = 1 << 29
"""Maximum number of samples in all legs of a recording together: 2 GiB, or 18 hours of one leg at 8 kHz."""

Notice = Callable[[str], object]
"""A function that receives a sentence about each unreadable part of an otherwise readable recording."""
warn: Final[Notice] = logging.getLogger(__name__).warning


def open_recording(path: Path) -> BinaryIO:
    """The file, opened at its start. Raises RecordingError if it is empty, unreadable or not a regular file.

    A FIFO or device is rejected without waiting for its other end.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise RecordingError(
            "{path}: cannot be opened: {reason}. Check the path and its permissions", path=path, reason=error.strerror
        ) from error
    except ValueError as error:
        raise RecordingError("{path!r}: is not a valid path: {error}", path=str(path), error=error) from error
    file = os.fdopen(descriptor, "rb") if stat.S_ISREG((status := os.fstat(descriptor)).st_mode) else None
    if file is None:
        os.close(descriptor)
        kind = Message("a folder") if stat.S_ISDIR(status.st_mode) else Message("a pipe or a device")
        raise RecordingError("{path}: is {kind}, not a file. Name a recording", path=path, kind=kind)
    if status.st_size == 0:
        file.close()
        raise RecordingError("{path}: is empty. Name a file that holds a recording", path=path)
    return file


def beginning_of(file: BinaryIO) -> bytes:
    """The first 16 bytes of the file.

    The file position stays unchanged, because libraries read the file through its descriptor.
    """
    return os.pread(file.fileno(), 16, 0)
