import csv
import os

import numpy as np
import pytest
import soundfile

from idtone.core.errors import UsageError
from idtone.tones.verification.verify_folder import COLUMNS, recording_files, verify_file, verify_files, write_csv
from lab.tones.error_text import error_text
from lab.tones.verification.synthetic_legs import NOTICE, SAMPLE, leg

BAD = os.fsdecode(b"bad\xff.wav")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a recording of the sample, one with the sample on one of two legs, one with another sound, and a
    text file.
    """
    home = tmp_path_factory.mktemp("recordings")
    (home / "2026").mkdir(parents=True)
    (home / ".hidden").mkdir()
    soundfile.write(home / "a.wav", leg(SAMPLE), 8000)
    both = np.stack([leg(NOTICE), leg(NOTICE)], axis=1)
    both[:, 1] = np.resize(leg(SAMPLE), len(both))
    soundfile.write(home / "2026" / "b.wav", both, 8000)
    soundfile.write(home / "c.wav", leg(NOTICE), 8000)
    (home / "c.wav").rename(home / BAD)  # a name that is not text
    (home / "d.wav").write_bytes(b"no sound")
    (home / ".hidden" / "e.wav").write_bytes(b"")
    return home


def test_files_come_in_order_without_hidden_ones(folder):
    assert [str(path.relative_to(folder)) for path in recording_files(folder)] == ["2026/b.wav", "a.wav", BAD, "d.wav"]


def test_every_leg_is_verified_and_several_processes_give_the_same_as_one(folder):
    paths = recording_files(folder)
    together = list(verify_files(paths, SAMPLE, 2))
    assert [each.path for each in together] == paths
    assert together[:3] == [verify_file(path, SAMPLE) for path in paths[:3]]
    verdicts = [(name, str(report.verdict)) for name, report in together[0].reports]
    assert verdicts == [("left", "absent"), ("right", "conforms")]
    assert together[3].error is not None


def test_the_table_is_written_as_csv(folder, tmp_path):
    out = tmp_path / "out.csv"
    write_csv(out, [verify_file(path, SAMPLE) for path in recording_files(folder)])
    with out.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == COLUMNS
    assert [row["verdict"] for row in table] == ["absent", "conforms", "conforms", "absent", "unreadable"]
    assert "d.wav" in table[4]["reason"]
    assert (table[0]["start_ms"], float(table[1]["start_ms"])) == ("", pytest.approx(700, abs=2))
    assert "bad\\udcff.wav" in out.read_text(encoding="utf-8")


def test_what_cannot_be_listed_or_written_leaves_nothing(tmp_path):
    assert "holds no files" in error_text(UsageError, recording_files, tmp_path)
    (tmp_path / "taken").mkdir()
    assert "cannot be written" in error_text(UsageError, write_csv, tmp_path / "taken", [])
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
