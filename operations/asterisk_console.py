"""Runs commands on Asterisk's console: `asterisk -rx COMMAND`."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from idtone.core.errors import ChangeError

TIMEOUT_S: Final = 10.0
_SYSTEM_PATH: Final = ("/usr/sbin", "/usr/local/sbin")
"""Folders in which Asterisk may be installed but that not every user has in PATH."""


class AsteriskConsole:
    """The console of the Asterisk that uses a given configuration folder."""

    def __init__(self, folder: Path) -> None:
        self._conf = folder / "asterisk.conf"

    def run(self, command: str) -> str:
        """Run a console command, and return its output.

        Raises ChangeError if Asterisk does not answer.
        """
        named = ["-C", str(self._conf)] if self._conf.exists() else []
        return self._ended(command, [*named, "-rx", command])

    def _ended(self, command: str, arguments: list[str]) -> str:
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_PATH))
        program = shutil.which("asterisk", path=path)
        if program is None:
            raise ChangeError("there is no program asterisk in PATH; run this on Asterisk's machine")
        try:
            ended = subprocess.run(  # noqa: S603  the arguments are ours
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ChangeError(
                "asterisk -rx '{command}' failed: {error}", command=command, error=type(error).__name__
            ) from error
        if ended.returncode:
            reason = ended.stderr.strip().splitlines()[-1:] or [str(ended.returncode)]
            raise ChangeError(
                "asterisk -rx '{command}' failed: {reason}; run this as root", command=command, reason=reason[0]
            )
        return ended.stdout

    def running(self) -> frozenset[str]:
        """Names of all running modules, without `.so`.

        Raises ChangeError if Asterisk does not answer.
        """
        rows = (line.split() for line in self.run("module show").splitlines())
        return frozenset(
            row[0].removesuffix(".so")
            for row in rows
            if row and ".so" in row[0] and "Running" in row and row[row.index("Running") - 1] != "Not"
        )

    def version(self) -> str | None:
        """Version of the running Asterisk, otherwise of the installed program; None if neither answers."""
        with suppress(ChangeError):
            if text := self.settings().get("Version"):
                return text
        with suppress(ChangeError):
            return self._ended("-V", ["-V"]).strip().removeprefix("Asterisk ") or None
        return None

    def process(self) -> int | None:
        """Process id of the running Asterisk; None if Asterisk does not answer."""
        with suppress(ChangeError, KeyError, OSError, ValueError):
            return int(Path(self.settings()["PID file"]).read_text())
        return None

    def settings(self) -> dict[str, str]:
        """Values that `core show settings` prints, by name, such as `Version` or `Module directory`.

        Raises ChangeError if Asterisk does not answer.
        """
        pairs = (line.partition(":") for line in self.run("core show settings").splitlines())
        return {name.strip(): value.strip() for name, _, value in pairs if value}
