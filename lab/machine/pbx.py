"""An Asterisk that runs in a machine as the machine's user `asterisk`.

It has no part of idtone before `idtone setup`.
"""

import shlex
from dataclasses import replace
from pathlib import Path

from lab.asterisk import Asterisk
from lab.asterisk_installation import AsteriskInstallation
from lab.site import BARE

from .machine import Machine

SOUNDS = Path("/var/lib/asterisk/sounds/idtone")
_AS_ASTERISK = ("setpriv", "--reuid=asterisk", "--regid=asterisk", "--clear-groups", "--pdeathsig=KILL")
"""Command prefix.

Asterisk ends with the Python process that started it, as the machine does, although it is not one of the machine's
processes.
"""
_PROGRAM = "usr/sbin/asterisk"


class PbxInMachine(Asterisk):
    def __init__(self, installation: AsteriskInstallation, scratch: Path, machine: Machine) -> None:
        # It uses only the machine's files, so the lab can end it by its process id.
        inside = [*machine.inside("mount"), *_AS_ASTERISK, *installation.command]
        super().__init__(replace(installation, command=inside), scratch, site=BARE)  # the machine has its own users
        self.machine = machine
        self.sounds = SOUNDS
        program = machine.root / _PROGRAM
        program.write_text(f'#!/bin/sh\nexec {shlex.join(installation.command)} "$@"\n')
        program.chmod(0o755)

    def _write_configuration(self) -> None:
        self._write_files()
        self.machine.run("chown", "-R", "asterisk:asterisk", self.scratch)

    def _files(self) -> dict[str, str]:
        files = super()._files()
        del files["ari.conf"]
        return files | {
            "http.conf": f"[general]\nbindport = {self.http_port}\n",
            "extensions.conf": files["extensions.conf"].removeprefix("#include idtone.conf\n"),
        }
