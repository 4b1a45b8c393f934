import json

import pytest

from bench import tones


def test_every_way_makes_the_same_length(tmp_path):
    path = tmp_path / "x"
    for name, profile in tones.profiles(3.6).items():
        tones.write_ours(profile, path)
        assert path.stat().st_size == pytest.approx(3.6 * 8000 * 2, abs=20), name
    tones.copy_to_file(memoryview(b"12" * 1_000_000), path)
    assert path.stat().st_size == 2_000_000


def test_what_is_not_here_says_so_and_the_rest_is_timed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    tones.main(["--seconds", "3.6", "--repeats", "1"])
    assert capsys.readouterr().out.count("not here") == 2
    tones.main(["--seconds", "1", "--repeats", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found[tones.BASELINE]["of_memcpy"] == 1
    assert found["1234.567 Hz"]["times_real_time"] > 1
