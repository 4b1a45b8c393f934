"""The year of the office, as `make demo-authority` runs it, with what it leaves in its folder."""

import json
import subprocess
import sys
from xml.etree import ElementTree

from ... import ROOT
from .office_year import WHOLESALER
from .steps import STEPS


def test_the_year_finds_what_it_should(tmp_path):
    folder = tmp_path / "year"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.authority.year", "--json", folder],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["good"], [each["step"] for each in told["steps"]]) == (True, [step.name for step in STEPS])
    pictures = sorted((folder / "pictures").iterdir())
    assert [str(picture) for picture in pictures] == [each["picture"] for each in told["steps"]]
    for picture in pictures:
        if picture.suffix == ".svg":
            ElementTree.parse(picture)  # noqa: S314  our own file
    log = (folder / "desk.log").read_text()
    assert "0362345" not in log + ended.stderr + ended.stdout, "telephone numbers are secrets"
    assert WHOLESALER in (folder / "office" / "registry.yaml").read_text()
