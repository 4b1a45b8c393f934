"""Common part of all fuzz targets (`make fuzz`).

A run ends at an input that raises an exception, or that takes more than ten seconds or 2 GB. This input is kept in
build/fuzz.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import atheris

_FOUND: Final = Path("build/fuzz")


def fuzz(description: str | None, seeds: Iterable[bytes], feed: Callable[[bytes], None]) -> None:
    """Call `feed` for `--seconds` with inputs that atheris derives from the seeds. Ends the process."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--seconds", type=int, required=True)
    seconds = arguments.parse_args().seconds
    _FOUND.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            Path(corpus, f"seed-{number}").write_bytes(seed)
        options = f"-max_total_time={seconds} -timeout=10 -rss_limit_mb=2048 -max_len=8192 -print_final_stats=1".split()
        atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={_FOUND}{os.sep}", corpus], feed)
        atheris.Fuzz()
