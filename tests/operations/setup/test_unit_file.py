"""The systemd units that setup adapts to a machine."""

import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from idtone.operations.setup.unit_file import unit_file, unit_word

SHIPPED = (resources.files("idtone.config") / "idtone-registry.service").read_text("utf-8")


def test_paths_with_spaces_stay_one_word(tmp_path: Path) -> None:
    """Otherwise systemd would start the command with other arguments, and ignore the second half of a path."""
    config = Path("/etc/my pbx/100% $HOME/idtone.yaml")
    text = unit_file(SHIPPED, Path("/bin/true"), config, "root", "root", Path("/srv/our sounds"))
    lines = text.splitlines()
    command = next(line for line in lines if line.startswith("ExecStart="))
    assert command.endswith(' -c "/etc/my pbx/100%% $$HOME/idtone.yaml"')
    assert 'ReadWritePaths="-/srv/our sounds"' in lines
    if shutil.which("systemd-analyze") is None:
        pytest.skip("SKIPPED: this machine has no systemd-analyze")
    unit = tmp_path / "idtone-registry.service"
    unit.write_text(text.replace("ExecStart=/bin/idtone", "ExecStart=/bin/true"))
    said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "idtone-registry.service:" not in said.stderr


def test_an_ordinary_path_stays_as_it_is() -> None:
    text = unit_file(
        SHIPPED, Path("/usr/local/bin/idtone"), Path("/etc/idtone/idtone.yaml"), "idtone", "asterisk",
        Path("/var/lib/asterisk/sounds/idtone"),
    )  # fmt: skip
    assert text == SHIPPED
    assert unit_word(Path("/srv/ledger")) == "/srv/ledger"
