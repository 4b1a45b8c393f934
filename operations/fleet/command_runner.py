"""Runs commands on this machine or, with a prefix such as ssh, on others."""

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit code and output of a command that was run.

    `status` is its exit code, or None if the command could not be started or did not finish in time.
    """

    status: int | None
    output: str = ""
    errors: str = ""


class CommandRunner(Protocol):
    """The interface through which an upgrade runs commands."""

    def run(self, command: Sequence[str], within_s: float) -> CommandResult:
        """Run a command without a shell or input, and wait for it to finish.

        Failures do not raise errors.
        """


class SubprocessRunner:
    """Runs commands as processes on this machine.

    A command that takes too long is killed together with its children.
    """

    def run(self, command: Sequence[str], within_s: float) -> CommandResult:
        try:
            process = subprocess.Popen(  # noqa: S603  the words of the operator's inventory and of ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return CommandResult(None, errors=f"{command[0]}: {getattr(error, 'strerror', None) or error}")
        try:
            output, errors = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            output, errors = process.communicate()
            return CommandResult(
                None, output, f"{errors.rstrip()}\n{command[0]}: no end within {within_s:g} s".lstrip()
            )
        except BaseException:
            _kill(process)
            process.wait()
            raise
        return CommandResult(process.returncode, output, errors)


def _kill(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
