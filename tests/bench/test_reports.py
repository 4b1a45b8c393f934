"""The bench's reports are real ones, and its commands find them."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

from bench.reports import commands, make_reports, run
from lab.office.desk.reports.members import NUMBER, Members, authority


def test_each_command_finds_what_was_filled_in(tmp_path: Path, monkeypatch):
    members = Members(authority(tmp_path / "authority"))
    one = make_reports(members, 40, datetime.now(UTC))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{NUMBER}\n"))
    said = {name: json.loads(run(words)) for name, (words, _) in commands(members.desk.folder, one).items()}
    assert len(said["list the newest 50"]) == 40
    assert len(said["list the reports about a number"]) == 1
    assert len(said["list who is late"]) == 2
    assert said["count"]["total"] == 40
    assert (said["show one"]["id"], said["show one"]["stage"]) == (one, "closed")
