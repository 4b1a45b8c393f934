from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from idtone.errors import ToneError, UsageError
from idtone.tones.making.encoders import encode
from idtone.tones.making.formats import FORMATS
from idtone.tones.making.sounds import PBX_FORMATS, ensure_sounds

from ..profiles import make, tone

A = make(tone(600, on_ms=100, off_ms=11), id="a")
B = make(tone(700, on_ms=100), id="b")


def test_every_profile_in_every_format(tmp_path: Path) -> None:
    directory = tmp_path / "sounds" / "idtone"
    sounds = ensure_sounds(directory, [A, B])
    assert list(sounds) == ["a", "b"]
    assert sounds["a"].stem == directory / "a"
    assert sounds["a"].duration_ms == 111
    assert {path.name for path in directory.iterdir()} == {f"{id_}.{name}" for id_ in "ab" for name in PBX_FORMATS}
    for file in sounds["a"].files:
        content = file.path.read_bytes()
        assert content == encode(A, file.sound_format)
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert file.written
        assert file.path.stat().st_mode & 0o777 == 0o644


def test_existing_files_with_the_same_content_are_not_touched(tmp_path: Path) -> None:
    ensure_sounds(tmp_path, [A], ["sln", "ulaw", "alaw"])
    os.utime(tmp_path / "a.sln", (1, 1))
    (tmp_path / "a.ulaw").unlink()
    (tmp_path / "a.alaw").write_bytes(bytes((tmp_path / "a.alaw").stat().st_size))
    (tmp_path / "foreign.sln").write_bytes(b"mine")
    (tmp_path / "a.g722").write_bytes(b"mine too")
    files = ensure_sounds(tmp_path, [A], ["sln", "ulaw", "alaw"])["a"].files
    assert [file.written for file in files] == [False, True, True]
    assert (tmp_path / "a.sln").stat().st_mtime == 1
    assert (tmp_path / "a.alaw").read_bytes() == encode(A, FORMATS["alaw"])
    assert (tmp_path / "foreign.sln").read_bytes() == b"mine"
    assert (tmp_path / "a.g722").read_bytes() == b"mine too"
    assert len(list(tmp_path.iterdir())) == 5, "no temporary file is left"


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "a.sln").symlink_to(target)
    ensure_sounds(tmp_path, [A], ["sln"])
    assert target.read_bytes() == b"precious"
    assert not (tmp_path / "a.sln").is_symlink()


def test_a_concurrent_reader_keeps_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.sln").write_bytes(b"old")
    with (tmp_path / "a.sln").open("rb") as reader:
        ensure_sounds(tmp_path, [A], ["sln"])
        assert reader.read() == b"old"


def test_a_folder_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.sln").mkdir()
    with pytest.raises(ToneError, match=r"a\.sln: cannot be written: .*Let the user that runs idtone write to"):
        ensure_sounds(tmp_path, [A], ["sln"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.sln"], "no temporary file is left"


def test_a_file_in_place_of_the_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "sounds").write_bytes(b"")
    with pytest.raises(ToneError, match="sounds: cannot be written: File exists"):
        ensure_sounds(tmp_path / "sounds", [A])


def test_an_unwritable_folder_is_a_clear_error() -> None:
    # Permissions cannot test this: tests may run as root.
    with pytest.raises(ToneError, match="/proc/idtone: cannot be written: "):
        ensure_sounds(Path("/proc/idtone"), [A])


def test_an_unknown_format_is_reported_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown format 'flac'; the formats are wav, wav16"):
        ensure_sounds(tmp_path / "new", [A], ["sln", "flac"])
    assert not (tmp_path / "new").exists()


def test_sln44_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sln44 is not written, because Asterisk plays it 6 dB too low; use sln48"):
        ensure_sounds(tmp_path, [A], ["sln44"])


def test_an_unwritable_format_is_reported_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToneError, match=r"writing \.g722 needs the program ffmpeg"):
        ensure_sounds(tmp_path / "new", [A], ["sln", "g722"])
    assert not (tmp_path / "new").exists()


def test_the_pbx_needs_no_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(ensure_sounds(tmp_path / "new", [A])["a"].files) == len(PBX_FORMATS)


LONG = make(tone(600.5, on_ms=20_000, off_ms=11), id="long")


def test_a_long_sound_has_the_same_content_as_a_short_one(tmp_path: Path) -> None:
    for expected in (True, False):
        files = ensure_sounds(tmp_path, [LONG], ["sln", "ulaw", "ogg"])["long"].files
        assert [file.written for file in files] == [expected] * 3
        for file in files:
            content = file.path.read_bytes()
            assert content == encode(LONG, file.sound_format)
            assert file.sha256 == hashlib.sha256(content).hexdigest()
            assert file.path.stat().st_mode & 0o777 == 0o644
    assert len(list(tmp_path.iterdir())) == 3, "no temporary file is left"


def test_an_interrupted_long_sound_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "long.sln").write_bytes(b"old")

    def give_up(samples: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_sounds(tmp_path, [LONG], ["sln"], give_up)
    assert [path.name for path in tmp_path.iterdir()] == ["long.sln"]
    assert (tmp_path / "long.sln").read_bytes() == b"old"


def test_a_folder_in_the_way_of_a_long_sound_is_a_clear_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "long.sln")
    (file,) = ensure_sounds(tmp_path, [LONG], ["sln"])["long"].files
    assert file.written
    assert file.path.is_file(), "a pipe is replaced, not waited for"
    (tmp_path / "long.ulaw").mkdir()
    with pytest.raises(ToneError, match=r"long\.ulaw: cannot be written: Is a directory"):
        ensure_sounds(tmp_path, [LONG], ["ulaw"])
