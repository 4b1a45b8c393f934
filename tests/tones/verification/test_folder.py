from __future__ import annotations

import csv
import os

import numpy as np
import pytest
import soundfile

from idtone.errors import UsageError
from idtone.tones.profile_library import load_library
from idtone.tones.verification.folder import COLUMNS, check, check_all, files_of, rows, write_csv

from .legs import leg

NOTICE, SAMPLE = load_library()["notice"], load_library()["sample"]


@pytest.fixture
def folder(tmp_path):
    """A recording with the sample, one with it on one of two legs, one with another sound, and a text file."""
    home = tmp_path / "recordings"
    (home / "2026").mkdir(parents=True)
    (home / ".hidden").mkdir()
    soundfile.write(home / "a.wav", leg(SAMPLE), 8000)
    both = np.stack([leg(NOTICE), leg(NOTICE)], axis=1)
    both[:, 1] = np.resize(leg(SAMPLE), len(both))
    soundfile.write(home / "2026" / "b.wav", both, 8000)
    soundfile.write(home / "c.wav", leg(NOTICE), 8000)
    (home / "d.wav").write_bytes(b"no sound")
    (home / ".hidden" / "e.wav").write_bytes(b"")
    return home


def test_files_come_in_order_without_hidden_ones(folder):
    assert [str(path.relative_to(folder)) for path in files_of(folder)] == ["2026/b.wav", "a.wav", "c.wav", "d.wav"]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no files"):
        files_of(tmp_path)


def test_every_leg_is_verified(folder):
    checked = check(folder / "2026" / "b.wav", SAMPLE)
    assert [(name, str(report.verdict)) for name, report in checked.reports] == [
        ("left", "absent"),
        ("right", "conforms"),
    ]


def test_several_processes_give_the_same_results_as_one(folder):
    paths = files_of(folder)
    together = list(check_all(paths, SAMPLE, 2))
    assert [each.path for each in together] == paths
    assert together[:3] == [check(path, SAMPLE) for path in paths[:3]]
    assert together[3].error is not None


def test_an_unreadable_file_has_a_row_of_its_own(folder):
    (row,) = rows(check(folder / "d.wav", SAMPLE))
    assert row["verdict"] == "unreadable"
    assert "d.wav" in row["reason"]


def test_the_table_is_written_as_csv(folder, tmp_path):
    out = tmp_path / "out.csv"
    write_csv(out, [check(path, SAMPLE) for path in files_of(folder)])
    with out.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == COLUMNS
    assert [row["verdict"] for row in table] == ["absent", "conforms", "conforms", "absent", "unreadable"]
    assert float(table[1]["start_ms"]) == pytest.approx(700, abs=2)
    assert table[0]["start_ms"] == ""


def test_a_csv_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        write_csv(tmp_path / "taken", [])
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_file_name_that_is_not_text_is_written(tmp_path):
    name = tmp_path / os.fsdecode(b"bad\xff.wav")
    soundfile.write(tmp_path / "good.wav", leg(SAMPLE), 8000)
    (tmp_path / "good.wav").rename(name)
    write_csv(tmp_path / "out.csv", [check(name, SAMPLE)])
    assert "bad\\udcff.wav" in (tmp_path / "out.csv").read_text(encoding="utf-8")
