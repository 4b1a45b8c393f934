"""Compiles a registry or a list of numbers that never originate calls in a separate process:

    python -m idtone.registry.registry_compiler ROLE FILE COMPILED

Exit 0: COMPILED was written. 3: the file has faults, which are on standard output as JSON.
"""

import fcntl
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, BinaryIO, Final, TypeVar

from idtone.core.errors import DocumentError, Fault, TrustError
from idtone.core.files import draft
from idtone.core.yaml_documents import read_text

from . import compiled_registry as registry_form
from . import never_originating as never_originating_form
from .compiled_registry import Compiled, compile_registry
from .never_originating import NeverOriginating, compiled_never_originating
from .parsers import parse_never_originates, read_large_registry
from .trust import tuf_roles

Ready = TypeVar("Ready")

LARGE: Final = 1_000_000
"""Size in octets from which a registry is compiled in another process. Smaller ones are read in less time than a
process takes to start.
"""
WITHIN_S: Final = 1800.0
"""Time limit in seconds. A registry of five million numbers takes minutes on a busy machine."""
FAULTS: Final = 3
"""Exit code for faults. It differs from 1, which Python uses for other failures."""


def compile_in_process(registry: Path, name: str) -> Compiled:
    """Compiled form of a verified registry file. Reads it from next to the file if it exists; otherwise compiles it.

    Faults refer to the file as `name`. Raises DocumentError with every fault, or TrustError if compilation fails.
    """
    return compiled_earlier(registry) or Compilation(registry).wait(name)


def is_compiled(registry: Path) -> bool:
    """True if the compiled form exists next to the file in this version's format."""
    try:
        with _beside(registry).open("rb") as file:
            return file.read(len(registry_form.MAGIC)) == registry_form.MAGIC
    except OSError:
        return False


def compiled_earlier(registry: Path) -> Compiled | None:
    """Compiled form next to the file, or None if it is missing or from another version."""
    return _earlier(registry, registry_form.unpack)


class Compilation:
    """Compiles a verified registry file in another process while this process continues."""

    def __init__(self, registry: Path) -> None:
        """Start the process. Raises TrustError if it cannot start."""
        self._process = _Process(tuf_roles.REGISTRY, registry)
        self.registry = registry

    def has_ended(self) -> bool:
        """True if the process has ended and `wait` would not block."""
        return self._process.has_ended()

    def wait(self, name: str) -> Compiled:
        """Wait for the result. Raises DocumentError with every fault, or TrustError if compilation fails."""
        return self._process.wait(name, registry_form.unpack)

    def cancel(self) -> None:
        self._process.cancel()


def never_originating_in_process(path: Path, name: str) -> NeverOriginating:
    """Numbers that never originate calls, from the compiled form next to the file or compiled now.

    Raises DocumentError with every fault, or TrustError if compilation fails.
    """
    unpack = never_originating_form.unpack
    return _earlier(path, unpack) or _Process(tuf_roles.NEVER_ORIGINATES, path).wait(name, unpack)


def _beside(registry: Path) -> Path:
    return registry.with_suffix(".compiled")


def _earlier(registry: Path, unpack: Callable[[mmap], Ready]) -> Ready | None:
    try:
        return _mapped(registry, unpack)
    except (FileNotFoundError, TrustError):
        return None  # not yet, or by another version


def _mapped(registry: Path, unpack: Callable[[mmap], Ready]) -> Ready:
    """Compiled form, read without a second copy in memory. Raises OSError or TrustError."""
    with _beside(registry).open("rb") as file:
        try:
            octets = mmap(file.fileno(), 0, access=ACCESS_READ)
        except ValueError as error:  # it is empty
            raise TrustError("this is no compiled registry") from error
    return unpack(octets)


class _Process:
    def __init__(self, role: str, registry: Path) -> None:
        self._registry = registry
        self._out, self._err = TemporaryFile("w+"), TemporaryFile("w+")  # noqa: SIM115 - `_close` closes them
        command = [sys.executable, "-m", __name__, role, str(registry), str(_beside(registry))]
        try:
            self._running = subprocess.Popen(  # noqa: S603 - our own module and our own file
                command, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err
            )
        except OSError as error:
            self._out.close()
            self._err.close()
            raise self._cannot(error) from error
        self._ends_s = monotonic() + WITHIN_S
        # A service that stops leaves no process behind.
        self._ending = weakref.finalize(self, _end, self._running, self._out, self._err)

    def has_ended(self) -> bool:
        return self._running.poll() is not None or monotonic() >= self._ends_s

    def wait(self, name: str, unpack: Callable[[mmap], Ready]) -> Ready:
        try:
            code = self._running.wait(max(0.0, self._ends_s - monotonic()))
            if code == FAULTS:
                self._out.seek(0)
                raise DocumentError(Fault(**(fault | {"file": name})) for fault in json.load(self._out))
            if code:
                self._err.seek(0)
                raise self._cannot(self._err.read().strip()[-300:])
            return _mapped(self._registry, unpack)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._cannot(error) from error
        finally:
            self.cancel()

    def cancel(self) -> None:
        self._ending()

    def _cannot(self, error: object) -> TrustError:
        return TrustError("{registry}: cannot be compiled: {error}", registry=self._registry, error=error)


def _end(running: subprocess.Popen[bytes], *files: IO[str]) -> None:
    running.kill()  # without effect if it has ended
    running.wait()
    for file in files:
        file.close()


def main(arguments: list[str]) -> int:
    role, path, beside = arguments
    os.nice(10)  # calls come first
    with Path(path).open("rb") as file:
        if _waited_for_another(file) and _earlier(Path(path), _UNPACKERS[role]) is not None:
            return 0
        try:
            parts = _COMPILERS[role](Path(path))
        except DocumentError as error:
            json.dump([asdict(fault) for fault in error.faults], sys.stdout)
            return FAULTS
        owner = Path(beside).parent.stat().st_uid if os.geteuid() == 0 else -1  # the service's, as all in its folder
        with draft(Path(beside), owner=owner) as new:
            new.file.writelines(parts)
            new.put()
    return 0


def _waited_for_another(file: BinaryIO) -> bool:
    """Lock the file. Returns True if it had to wait for another process to compile it.

    The service and `idtone registry update` may compile at the same time, but a small machine has memory for only one
    compilation. The lock ends with this process.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(file, fcntl.LOCK_EX)
        return True
    return False


def _registry(path: Path) -> Iterable[bytes | memoryview]:
    large = read_large_registry(path, str(path))
    return registry_form.pack_parts(compile_registry(large.document, large.held, large.members))


def _never_originating(path: Path) -> Iterable[bytes | memoryview]:
    document = parse_never_originates(read_text(path), str(path))
    return [never_originating_form.pack(compiled_never_originating(document.never_originates, document.issued))]


_COMPILERS: Final = {tuf_roles.REGISTRY: _registry, tuf_roles.NEVER_ORIGINATES: _never_originating}
_UNPACKERS: Final[Mapping[str, Callable[[mmap], object]]] = {
    tuf_roles.REGISTRY: registry_form.unpack,
    tuf_roles.NEVER_ORIGINATES: never_originating_form.unpack,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
