"""Runs long reads in low-priority processes, so that they do not slow down the pages.

A process is killed when its visitor leaves or its time is up. After a successful read, it waits for the next one. The
processes are forked by a server process that has imported only the modules needed for reads. A fork therefore takes
about 10 ms, compared with half a second for a new Python process. (The multiprocessing server imports the program's
main module in each process.)
"""

import gc
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, TypeVar

from idtone.core.errors import IdtoneError, LedgerError

R = TypeVar("R")
LOOK_EVERY_S: Final = 0.02
"""Interval between checks whether the visitor is still connected, in seconds."""
FORKED_WITHIN_S: Final = 30.0
"""Time limit for a fork, in seconds.

If it is exceeded, the server is killed, and the next read starts another one, which takes a second or two.
"""
END_WITHIN_S: Final = 2.0
"""Time that the server has to exit, in seconds, before it is killed."""
LINGERS_S: Final = 5.0
"""Seconds after its time limit at which a read ends itself, in case the console has died."""
IDLE: Final = 10
"""Maximum number of idle processes, equal to the maximum number of busy ones.

Starting another process takes about 10 ms.
"""
IDLE_OCTETS: Final = 100_000_000
"""Resident memory in bytes above which a process exits after its read."""
READS: Final = ("idtone.console.long_reads", "idtone.console.access.passwords")
"""Modules whose functions run in these processes."""
_console: Connection | None = None
"""Connection to the console, set only in read processes."""


@dataclass(frozen=True, slots=True)
class _Process:
    """A process for reads of one `kind`.

    A process that has read a stranger's pack never receives a password. `handle` is its pidfd, which always refers to
    this process.
    """

    connection: Connection
    handle: int
    kind: str

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)

    def close(self) -> None:
        self.kill()
        os.close(self.handle)
        self.connection.close()


class ReadEndedError(LedgerError):
    """A read exceeded its time or memory limit."""


def ignore_used_time(_: float) -> None:
    """Ignore a read's processor time."""


class ReadProcesses:
    """The server and the processes that it forks. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._idle: list[_Process] = []
        self._busy: set[_Process] = set()

    def begin(self) -> None:
        """Start the server now so that the first read need not wait for it."""
        with self._lock:
            self._begin()

    def _begin(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        if self._control is not None and self._server is not None and self._server.poll() is None:
            return self._control, self._server
        self._close_control()
        self._control, theirs = socket.socketpair()
        program = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
        with theirs:
            self._server = subprocess.Popen([sys.executable, "-c", program], stdin=theirs.fileno())  # noqa: S603
        return self._control, self._server

    def _close_control(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control = None

    def end(self) -> None:
        """Stop the server. Reads in progress raise LedgerError."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()
            for each in self._busy:
                each.kill()
            self._close_control()
            if self._server is not None:
                _end(self._server)
            self._server = None

    def run(
        self,
        do: Callable[..., R],
        *given: Any,
        kind: str,
        nice: int,
        mib: int,
        within_s: float,
        is_gone: Callable[[], bool],
        is_awaited: Callable[[], bool],
        processor_s: float = 0.0,
        tell_used_s: Callable[[float], object] = ignore_used_time,
    ) -> R:
        """Run `do` in a process and return its result. Blocks.

        The process must be able to import `do` by name, and receives `given` through a pipe. All reads of a `kind` must
        use the same `nice` and memory limit `mib`.

        `tell_used_s` receives the processor time used by `do`. If the process was killed and could not report that, it
        receives the elapsed time instead, which is longer.

        Raises ConnectionAbortedError when `is_gone` returns True, ReadEndedError after `within_s` or after
        `processor_s` of processor time (0 for no limit), and LedgerError if the process dies. Errors raised by `do`
        propagate.
        """
        process, may_stay = self._process(kind, nice, mib), False
        began_s, used_s = time.monotonic(), None
        until_s = began_s + within_s
        connection = process.connection
        try:
            connection.send((do, given, within_s, processor_s))
            was_awaited = False
            while not connection.poll(LOOK_EVERY_S):
                if is_gone():
                    raise ConnectionAbortedError
                if time.monotonic() >= until_s:
                    raise ReadEndedError(
                        "The work took longer than {seconds} s, and was ended.", seconds=round(within_s)
                    )
                if not was_awaited and is_awaited():
                    was_awaited = True
                    with suppress(BrokenPipeError):  # the process has just ended
                        connection.send(None)
            result, used_s, may_stay = connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            raise _died() from error
        finally:
            self._put_back(process, may_stay)
            tell_used_s(time.monotonic() - began_s if used_s is None else used_s)
        if isinstance(result, BaseException):
            raise result
        return result  # type: ignore[no-any-return]

    def _process(self, kind: str, nice: int, mib: int) -> _Process:
        """An idle or new process. Raises LedgerError if the server has died."""
        with self._lock:
            for each in self._idle:
                if each.kind == kind:
                    self._idle.remove(each)
                    self._busy.add(each)
                    return each
        try:
            process = self._forked(kind, nice, mib)
        except (OSError, EOFError) as error:  # the server has died, and the next read starts another one
            raise _died() from error
        with self._lock:
            self._busy.add(process)
        return process

    def _forked(self, kind: str, nice: int, mib: int) -> _Process:
        """A new process, forked by the server. Raises OSError, EOFError."""
        ours, theirs = socket.socketpair()
        with ExitStack() as failing:
            connection = failing.enter_context(Connection(ours.detach()))
            with theirs, self._lock:
                control, server = self._begin()
                socket.send_fds(control, [b"f"], [theirs.fileno()])
            if not connection.poll(FORKED_WITHIN_S):
                server.kill()
                server.wait()
                raise TimeoutError
            pid = connection.recv()
            connection.send((nice, mib))
            process = _Process(connection, os.pidfd_open(pid), kind)
            failing.pop_all()
        return process

    def _put_back(self, process: _Process, may_stay: bool) -> None:
        with self._lock:
            self._busy.remove(process)
            if may_stay and self._control is not None:
                self._idle.append(process)
                process = self._idle[0]
                if len(self._idle) <= IDLE:
                    return
                self._idle.remove(process)
        process.close()


def _end(server: subprocess.Popen[bytes]) -> None:
    try:
        server.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _died() -> LedgerError:
    return LedgerError("The work ended before it was done; the log says why.")


def others_wait() -> bool:
    """True if other reads are waiting for this one to end."""
    return _console is not None and _console.poll()


def serve() -> None:
    """Entry point of the server, which forks a process for each socket from the console until the console ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they end the console, which ends this process
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, _reap)
    for name in READS:
        import_module(name)
    gc.freeze()  # memory that processes share stays shared
    control = socket.socket(fileno=os.dup(0))
    with Path(os.devnull).open() as nothing:  # a process that kept the socket would hide the server's death
        os.dup2(nothing.fileno(), 0)
    while True:
        octets, sockets, *_ = socket.recv_fds(control, 1, 1)
        if not octets:
            return
        if os.fork() == 0:
            control.close()
            _read(Connection(sockets[0]))
            return
        os.close(sockets[0])


def _reap(*_: object) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _read(connection: Connection) -> None:
    """Entry point of a forked process, which runs reads until the console ends it."""
    global _console
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.send(os.getpid())  # before lowering the priority, because the console waits for the id
    nice, mib = connection.recv()
    os.nice(nice)
    Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, the kernel kills this process first
    resource.setrlimit(resource.RLIMIT_DATA, (mib * 2**20, mib * 2**20))
    _console = connection
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the console has ended
        while True:
            asked = connection.recv()
            if asked is None:  # sent after the read had ended
                continue
            do, given, within_s, processor_s = asked
            signal.signal(signal.SIGPROF, partial(_give_up, connection, processor_s))
            signal.setitimer(signal.ITIMER_PROF, processor_s)
            signal.setitimer(signal.ITIMER_REAL, within_s + LINGERS_S)
            began_s = time.process_time()
            try:
                result = do(*given)
            except IdtoneError as error:
                result = error
            except MemoryError:
                result = ReadEndedError("The work needed more than {mib} MiB of memory.", mib=mib)
            for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
                signal.setitimer(timer, 0)
            connection.send((result, time.process_time() - began_s, _resident_octets() < IDLE_OCTETS))


def _give_up(connection: Connection, processor_s: float, *_: object) -> None:
    """Exit immediately. An exception would not suffice, because the read could catch it."""
    error = ReadEndedError(
        "The work took more than {seconds:g} s of processor time, and was ended.", seconds=processor_s
    )
    connection.send((error, processor_s, False))
    os._exit(1)


def _resident_octets() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
