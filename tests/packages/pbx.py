"""An Asterisk that runs in a machine, as Asterisk's user there, with the hook that the installed idtone exports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.lab.asterisk import Asterisk
from tests.lab.bootstrap import AsteriskInstallation

from .machine import Machine

SOUNDS = Path("/var/lib/asterisk/sounds/idtone")
_AS_ASTERISK = ("setpriv", "--reuid=asterisk", "--regid=asterisk", "--clear-groups")


class PbxInMachine(Asterisk):
    def __init__(self, installation: AsteriskInstallation, scratch: Path, machine: Machine) -> None:
        # Of the machine it has only the files, so the lab can end it by its process id.
        inside = [*machine.inside("mount"), *_AS_ASTERISK, *installation.command]
        super().__init__(replace(installation, command=inside), scratch)
        self.machine = machine
        self.sounds = SOUNDS

    def _write_configuration(self) -> None:
        super()._write_configuration()
        self.machine.run("idtone", "dialplan", "export", self.etc)
        self.machine.run("chown", "-R", "asterisk:asterisk", self.scratch)
