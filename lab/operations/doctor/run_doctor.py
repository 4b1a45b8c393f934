"""Runs `idtone doctor` on a PBX, returns its findings, and changes files for it."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from idtone.cli import app
from idtone.operations.doctor.findings import TOPICS
from lab.asterisk import IDTONE
from lab.lab import SUSPENDED
from lab.service import Service

Findings = dict[str, dict[str, Any]]
OF_THE_MACHINE = {
    "clock-synchronised", "watchdog", "name-own", "registry-trust", "emergency-trunks", "sound-codecs", "lines",
    "ledger-retention", "backup",
}  # fmt: skip
"""Topics that the lab cannot control, or does not meet on purpose.

Its registry is unsigned. Its settings have no trunk, no table of lines, no retention of numbers and no backup. One
endpoint has a codec without a transcoder.
"""


def run(service: Service, *arguments: str, prefix: tuple[str, ...] = (), **settings: str | Path) -> tuple[int, str]:
    """Run the doctor, and return its exit code and standard output.

    `settings` are environment variables. Asserts that no number is printed. The command runs in this process, which is
    faster. With a `prefix`, it runs in a separate process.
    """
    command = ["doctor", "-c", str(service.settings), *arguments]
    told = {"COLUMNS": "200"} | {f"IDTONE_{name}": str(value) for name, value in settings.items()}
    others = [name for name in os.environ if name.startswith("IDTONE_")]
    if prefix:
        environment = {name: value for name, value in os.environ.items() if name not in others}
        ended = subprocess.run(
            [*prefix, IDTONE, *command], capture_output=True, text=True, check=False, timeout=60, env=environment | told
        )
        code, stdout, stderr = ended.returncode, ended.stdout, ended.stderr
    else:
        result = CliRunner().invoke(app, command, env=dict.fromkeys(others) | told)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        code, stdout, stderr = result.exit_code, result.stdout, result.stderr
    for output in (stdout, stderr):
        assert SUSPENDED.lstrip("0") not in output
        assert not re.search(r"(?<![\da-f.])(?:\+?81|0)[1-9]\d{8,9}(?![\da-f])", output), output
    assert stderr == "", stderr
    return code, stdout


def examine(service: Service, *arguments: str, prefix: tuple[str, ...] = (), **settings: str | Path) -> Findings:
    code, output = run(service, "--json", *arguments, prefix=prefix, **settings)
    findings = {finding["id"]: finding for finding in json.loads(output)}
    assert list(findings) == list(TOPICS)
    for finding in findings.values():
        assert finding.keys() == {"id", "looked_at", "state", "found", "why", "remedy"}
        assert finding["found"]
        assert finding["why"]
        assert bool(finding["remedy"]) == (finding["state"] != "good"), finding
        assert "crashed" not in finding["found"], finding
    assert code == (1 if any(finding["state"] == "bad" for finding in findings.values()) else 0)
    return findings


def modules_conf(*names: str) -> dict[str, str]:
    return {"modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in names)}


@contextmanager
def edited_file(path: Path, change: Callable[[str], str] | None) -> Iterator[None]:
    """Context in which a file is changed or removed. Afterwards the file has its old content, time and mode."""
    kept = path.with_name(f"{path.name}.kept")
    shutil.copy2(path, kept)
    try:
        if change is None:
            path.unlink()
        else:
            path.write_bytes(change(path.read_bytes().decode("latin-1")).encode("latin-1"))
        yield
    finally:
        kept.replace(path)
