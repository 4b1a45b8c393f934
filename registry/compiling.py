"""Compiles a registry in a separate process:

    python -m idtone.registry.compiling REGISTRY COMPILED

Exit 0: COMPILED was written. 1: the registry has faults; they are on standard output as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from idtone.documents import read_text
from idtone.errors import DocumentError, Fault, TrustError
from idtone.files import replace_durably
from idtone.translation import Message

from .compiled import Compiled, compiled, pack, unpack
from .parsers import parse_registry

LARGE: Final = 1_000_000
"""Octets. Reading a smaller registry takes less time than starting a process."""
WITHIN_S: Final = 120.0
FAULTS: Final = 1


def compile_in_process(registry: Path, name: str) -> Compiled:
    """The registry in a verified file, compiled beside it before or now; `name` stands for it in the faults.

    Raises DocumentError with every fault, TrustError where it cannot be compiled.
    """
    beside = registry.with_suffix(".compiled")
    try:
        return unpack(beside.read_bytes())
    except (FileNotFoundError, TrustError):
        pass  # not yet, or by another version
    command = [sys.executable, "-m", __name__, str(registry), str(beside)]
    try:
        done = subprocess.run(  # noqa: S603 — our own module and our own file
            command, capture_output=True, text=True, timeout=WITHIN_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrustError(Message("{registry}: cannot be compiled: {error}", registry=registry, error=error)) from error
    if done.returncode == FAULTS:
        raise DocumentError(Fault(**(fault | {"file": name})) for fault in json.loads(done.stdout))
    if done.returncode:
        raise TrustError(
            Message("{registry}: cannot be compiled: {error}", registry=registry, error=done.stderr.strip()[-300:])
        )
    return unpack(beside.read_bytes())


def main(arguments: list[str]) -> int:
    registry, beside = map(Path, arguments)
    os.nice(10)  # calls come first
    try:
        document = parse_registry(read_text(registry), str(registry))
    except DocumentError as error:
        json.dump([asdict(fault) for fault in error.faults], sys.stdout)
        return FAULTS
    replace_durably(beside, pack(compiled(document)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
