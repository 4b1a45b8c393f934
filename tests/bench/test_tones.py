from __future__ import annotations

import json
from pathlib import Path

import pytest

from . import tones


def test_every_way_makes_the_same_length(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for (name, _), profile in tones.profiles(3.6).items():
        tones.write_ours(profile, path)
        assert path.stat().st_size == pytest.approx(3.6 * 8000 * 2, abs=20), name
    tones.copy_to_file(memoryview(b"12" * 1_000_000), path)
    assert path.stat().st_size == 2_000_000


def test_what_is_not_here_says_so_and_the_rest_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    tones.main(["--seconds", "3.6", "--repeats", "1"])
    shown = capsys.readouterr().out
    assert shown.count("not here") == 2
    assert "100%" in shown


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    tones.main(["--seconds", "1", "--repeats", "1", "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows[tones.BASELINE]["of_memcpy"] == 1
    assert rows["1234.567 Hz"]["times_real_time"] > 1
