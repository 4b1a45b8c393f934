"""An operator's mistake, such as a folder in the place of a file. The service prints one line in the form of its log,
and no traceback.
"""

import json
import os
from pathlib import Path

import pytest

from lab.forked_idtone import Forked

MISTAKES = [
    # where a folder is in the place of a file, the form of the log, the problem that is named
    ("ledger/l.sqlite3", "text", "the ledger cannot be opened"),
    ("ledger/l.sqlite3.next", "text", "Is a directory"),
    ("ledger/l.sqlite3.next", "journald", "Is a directory"),
    ("ledger/key", "json", "the key cannot be read"),
    ("ledger/key.sign", "journald", "the key cannot be read"),
]


@pytest.mark.parametrize(("place", "form", "problem"), MISTAKES)
def test_a_mistake_of_the_operator_is_one_line(place: str, form: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / "registry.yaml").write_text("registry: 1")
    (tmp_path / "idtone.yaml").write_text(
        f"ari: {{url: 'http://127.0.0.1:1/ari', password: x}}\n"
        f"sounds: {{directory: {tmp_path}/sounds}}\n"
        f"registry: {{source: {tmp_path}/registry.yaml, trust: unsigned}}\n"
        f"ledger: {{url: 'sqlite:///{tmp_path}/ledger/l.sqlite3', key_file: {tmp_path}/ledger/key}}\n"
        f"log: {{format: {form}}}\nassociation: {{member: m-0001}}\n"
    )
    log = tmp_path / "log"
    log.touch()
    started = Forked(["serve", "-c", str(tmp_path / "idtone.yaml")], str(log), os.environ | {"LANGUAGE": "en"})
    assert started.wait(60) == 2
    told = log.read_text()
    assert "Traceback" not in told
    *_, last = told.splitlines()
    if form == "json":
        (last,) = [each["message"] for each in map(json.loads, told.splitlines()) if each["level"] == "crit"]
    assert problem in last
    assert f"{tmp_path}/{place}" in last
