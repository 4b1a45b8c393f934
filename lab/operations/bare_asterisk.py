"""An Asterisk without idtone, and the commands that set it up."""

import json
import os
import pwd
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from idtone.cli import app
from idtone.operations.doctor.asterisk_modules import DIALPLAN_VIEW
from lab.asterisk import IDTONE, MODULES, Asterisk
from lab.asterisk_installation import AsteriskInstallation
from lab.operations.doctor.run_doctor import modules_conf
from lab.publication import LAB_REGISTRY, MEMBER
from lab.site import BARE

FEW_MODULES = "pbx_config app_dial bridge_simple res_timing_timerfd codec_ulaw codec_resample".split()
ALL_MODULES = modules_conf(*MODULES, *DIALPLAN_VIEW)
"""modules.conf that loads all modules.

Setup then has no modules to load, which would take seconds.
"""
EXTENSIONS = "[general]\n\n[incoming]\nexten = _X.,1,Hangup()\n"


class BareAsterisk(Asterisk):
    """An Asterisk without idtone: it has no ARI, no HTTP server, no hook and few modules."""

    def _write_configuration(self) -> None:
        self._write_files()

    def _files(self) -> dict[str, str]:
        files = super()._files()
        del files["ari.conf"], files["pjsip.conf"]
        return files | {
            "http.conf": f"[general]\n;enabled = yes\nbindport = {self.http_port}\n",
            "extensions.conf": EXTENSIONS,
            **modules_conf(*FEW_MODULES),
            **self.dialplan_files,
        }


class Pbx:
    """A bare Asterisk, and the idtone commands for it."""

    def __init__(self, asterisk: Asterisk) -> None:
        self.asterisk, self.etc, self.scratch = asterisk, asterisk.etc, asterisk.scratch
        self.config, self.sounds = self.scratch / "conf" / "idtone.yaml", self.scratch / "var" / "sounds" / "idtone"
        self.environment = {
            "IDTONE_SOUNDS_DIRECTORY": str(self.sounds),
            "IDTONE_LEDGER_URL": f"sqlite:///{self.scratch}/ledger.sqlite3",
            "IDTONE_LEDGER_KEY_FILE": str(self.scratch / "ledger.key"),
            "IDTONE_REGISTRY_CACHE": str(self.scratch / "cache"),
        }

    def run(self, *arguments: str, text: str = "") -> tuple[int, str]:
        """Run a command and return its exit code and output. Asserts that no secret is shown."""
        return self._run(arguments[0], "-c", str(self.config), *arguments[1:], text=text)

    def _run(self, *arguments: str, text: str = "") -> tuple[int, str]:
        command = [*arguments, "--asterisk-etc", str(self.etc), "--copies", str(self.scratch / "copies")]
        ended = CliRunner().invoke(app, command, input=text, env=self.environment | {"COLUMNS": "200"})
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        password = self.config.with_name("ari.password")
        secret = password.read_text().strip() if password.exists() else ""
        assert not secret or secret not in ended.output
        return ended.exit_code, ended.output

    def setup(self, *arguments: str, text: str = "") -> dict[str, Any]:
        _, output = self.run("setup", "--user", USER, "--json", *arguments, text=text)
        result: dict[str, Any] = json.loads(output)
        for change in result.get("changes", []):
            assert not change["trouble"], change
        return result

    def undo(self) -> dict[str, Any]:
        _, output = self._run("setup", "--undo", "--yes", "--json")
        undone: dict[str, Any] = json.loads(output)
        return undone

    def files(self) -> dict[str, tuple[bytes, int]]:
        return {
            str(path.relative_to(self.etc)): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
            for path in self.etc.rglob("*")
            if path.is_file()
        }

    @contextmanager
    def serving(self) -> Iterator[None]:
        log = self.scratch / "service.log"
        with log.open("wb") as output:
            service = subprocess.Popen(
                [IDTONE, "serve", "-c", self.config],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | self.environment,
            )
        try:
            deadline_s = time.monotonic() + 20
            while "ready: Asterisk" not in log.read_text():
                assert service.poll() is None, log.read_text()
                assert time.monotonic() < deadline_s, log.read_text()
                time.sleep(0.1)
            yield
        finally:
            service.terminate()
            service.wait(60)


USER = pwd.getpwuid(os.geteuid()).pw_name
NEW = ("--yes", "--registry", str(LAB_REGISTRY), "--trust", "unsigned", "--member", MEMBER)


@contextmanager
def bare_asterisk(
    installation: AsteriskInstallation, scratch: Path, files: Mapping[str, str] | None = None
) -> Iterator[Pbx]:
    """Context with a bare PBX. Its Asterisk is the program `asterisk` in PATH."""
    with pytest.MonkeyPatch.context() as patch, BareAsterisk(installation, scratch, files or {}, site=BARE) as asterisk:
        patch.setenv("PATH", asterisk.in_path(scratch))
        yield Pbx(asterisk)
