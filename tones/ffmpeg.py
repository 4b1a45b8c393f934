"""The ffmpeg program, for the formats that libsndfile does not know."""

from __future__ import annotations

import shutil
from pathlib import Path

from idtone.errors import ToneError


def program(purpose: str) -> Path:
    """Where ffmpeg is. Raises ToneError that names what to install; `purpose` begins it: "writing .m4a"."""
    found = shutil.which("ffmpeg")
    if found is None:
        raise ToneError(f"{purpose} needs the program ffmpeg, which is not here. Install the package ffmpeg")
    return Path(found)
