"""Runs `idtone` in a child of a process that has already imported its modules.

The child is a complete process with its own files, signals and end. It starts faster than the installed command, which
spends most of a second on imports. The start of the installed command is covered by `tests/core/test_loading.py`, the
tutorial, `idtone setup` and the supervisor for the unit file.
"""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from .asterisk import IDTONE
from .become_user import Identity

PRELOADED: Final = (
    "idtone.cli",
    "idtone.service.commands",
    "idtone.registry.trust.publication_client",
    "idtone.office.commands.desk",
    "lab.frozen_modules",
)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*PRELOADED])


def idtone(_: list[str]) -> None:
    from idtone import cli  # the child has already imported this module

    cli.main()


class Forked:
    """A running `idtone` with the interface of `subprocess.Popen`.

    `words` are its arguments. Standard output and error are appended to the file `log`. `run` is a function at module
    level that gets the arguments. `identity` is the user that the process becomes.
    """

    def __init__(
        self,
        words: Sequence[str],
        log: str,
        environment: Mapping[str, str],
        run: Callable[[list[str]], None] = idtone,
        identity: Identity | None = None,
    ) -> None:
        arguments = (run, words, log, dict(environment), identity)
        self._process = _context.Process(target=_run, args=arguments, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired([str(IDTONE)], timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(
    run: Callable[[list[str]], None],
    words: Sequence[str],
    log: str,
    environment: Mapping[str, str],
    identity: Identity | None,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for path, way, descriptors in ((os.devnull, os.O_RDONLY, (0,)), (log, os.O_WRONLY | os.O_APPEND, (1, 2))):
        opened = os.open(path, way)
        for descriptor in descriptors:
            os.dup2(opened, descriptor)
        os.close(opened)
    if identity:
        identity.assume()
    sys.argv = [str(IDTONE), *words]
    try:
        run([*words])
    finally:
        logging.shutdown()  # an interpreter does this at its end, but a child of multiprocessing does not
