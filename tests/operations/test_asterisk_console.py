"""The output of Asterisk's console. A script takes the place of Asterisk."""

import os
from pathlib import Path

import pytest

from idtone.operations.asterisk_console import AsteriskConsole

MODULES = """\
Module                         Description                              Use Count  Status      Support Level
pbx_config.so                  Text Extension Configuration             0          Running              core
res_ari.so                     Asterisk RESTful Interface               0          Not Running          core
res_ari_model.so               ARI Model validators                     8          Running              core
3 modules loaded
"""
"""List of the modules of Asterisk 20.7 without ari.conf. It declined to load res_ari, but lists it."""


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsteriskConsole:
    (tmp_path / "modules").write_text(MODULES)
    (tmp_path / "settings").write_text(f"  Version:     22.10.1\n  PID file:   {tmp_path}/asterisk.pid\n")
    (tmp_path / "asterisk.pid").write_text("4711\n")
    program = tmp_path / "asterisk"
    program.write_text(
        "#!/bin/sh\ncase \"$*\" in\n-V) echo 'Asterisk GIT-22-1a2b3c4' ;;\n"
        f"*'core show settings') cat {tmp_path}/settings ;;\n*'module show') cat {tmp_path}/modules ;;\nesac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path), os.environ["PATH"])))
    return AsteriskConsole(tmp_path)


def test_a_module_that_was_declined_does_not_run(console):
    assert console.running() == {"pbx_config", "res_ari_model"}


def test_the_version_is_that_of_the_running_asterisk_or_of_the_program(console, tmp_path):
    assert console.version() == "22.10.1"
    assert console.process() == 4711
    (tmp_path / "settings").unlink()
    assert console.version() == "GIT-22-1a2b3c4"
    assert console.process() is None
