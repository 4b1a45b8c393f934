from __future__ import annotations

import subprocess
import sys

import pytest

from idtone.errors import ToneError
from idtone.tones import ffmpeg as programs
from idtone.tones.making.encoders import encode
from idtone.tones.making.formats import FORMATS, Ffmpeg

from .profiles import make, tone

FFMPEGS = [name for name, each in FORMATS.items() if isinstance(each.encoding, Ffmpeg)]


@pytest.mark.parametrize("name", FFMPEGS)
def test_without_ffmpeg_the_error_names_the_program_and_its_package(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToneError, match=rf"writing \.{name} needs the program ffmpeg.*Install the package ffmpeg"):
        encode(make(tone(600)), FORMATS[name])


def test_an_ffmpeg_without_the_encoder_is_reported(tmp_path, monkeypatch):
    poor = tmp_path / "ffmpeg"
    poor.write_text("#!/bin/sh\necho ' A....D g722   G.722 ADPCM'\n")
    poor.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToneError, match=r"writing \.spx needs ffmpeg's encoder libspeex, which .*does not have"):
        encode(make(tone(600)), FORMATS["spx"])
    assert programs.encoder_program("g722", "writing .g722") == poor


def test_an_ffmpeg_that_fails_is_reported(tmp_path, monkeypatch):
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToneError, match="does not list its encoders"):
        encode(make(tone(600)), FORMATS["g722"])


def test_a_failing_encoder_gives_ffmpegs_message_and_no_file(tmp_path, monkeypatch):
    broken = tmp_path / "bin" / "ffmpeg"
    broken.parent.mkdir()
    broken.write_text(
        '#!/bin/sh\n[ "$2" = -encoders ] && { echo " A....D g722  x"; exit; }\necho "disk full" >&2\nexit 1\n'
    )
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent))
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    with pytest.raises(ToneError, match="encoding with g722 failed: disk full"):
        encode(make(tone(600)), FORMATS["g722"])
    assert not list((tmp_path / "scratch").iterdir())


def test_the_search_path_may_be_unset():
    script = "from idtone.tones import ffmpeg; ffmpeg._pydub()"
    subprocess.run([sys.executable, "-c", script], env={}, check=True, timeout=60)
