"""Compiles a registry, or a list of numbers that never originate, in a separate process:

    python -m idtone.registry.registry_compiler ROLE FILE COMPILED

Exit 0: COMPILED was written. 1: the file has faults; they are on standard output as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final, TypeVar

from idtone.core.documents import read_text
from idtone.core.errors import DocumentError, Fault, TrustError
from idtone.core.files import replace_durably
from idtone.core.translation import Message

from . import compiled_registry as registry_form
from . import never_originating as never_originating_form
from .compiled_registry import Compiled, compiled
from .never_originating import NeverOriginating, compiled_never_originating
from .parsers import parse_never_originates, parse_registry
from .trust import tuf_roles

Ready = TypeVar("Ready")

LARGE: Final = 1_000_000
"""Octets. Reading a smaller registry takes less time than starting a process."""
WITHIN_S: Final = 120.0
FAULTS: Final = 1


def compile_in_process(registry: Path, name: str) -> Compiled:
    """The registry in a verified file, compiled now or earlier, beside the file. The faults show `name` as the file.

    Raises DocumentError with every fault, TrustError where it cannot be compiled.
    """
    return _in_process(tuf_roles.REGISTRY, registry, name, registry_form.unpack)


def never_originating_in_process(path: Path, name: str) -> NeverOriginating:
    """The numbers that never originate, compiled as `compile_in_process` does it."""
    return _in_process(tuf_roles.NEVER_ORIGINATES, path, name, never_originating_form.unpack)


def _in_process(role: str, registry: Path, name: str, unpack: Callable[[bytes], Ready]) -> Ready:
    beside = registry.with_suffix(".compiled")
    try:
        return unpack(beside.read_bytes())
    except (FileNotFoundError, TrustError):
        pass  # not yet, or by another version
    command = [sys.executable, "-m", __name__, role, str(registry), str(beside)]
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
    role, path, beside = arguments
    os.nice(10)  # calls come first
    try:
        octets = _COMPILERS[role](read_text(Path(path)), path)
    except DocumentError as error:
        json.dump([asdict(fault) for fault in error.faults], sys.stdout)
        return FAULTS
    owner = Path(beside).parent.stat().st_uid if os.geteuid() == 0 else -1  # the service's, as all in its folder
    replace_durably(Path(beside), octets, owner=owner)
    return 0


def _registry(text: str, name: str) -> bytes:
    return registry_form.pack(compiled(parse_registry(text, name)))


def _never_originating(text: str, name: str) -> bytes:
    document = parse_never_originates(text, name)
    return never_originating_form.pack(compiled_never_originating(document.never_originates, document.issued))


_COMPILERS: Final = {tuf_roles.REGISTRY: _registry, tuf_roles.NEVER_ORIGINATES: _never_originating}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
