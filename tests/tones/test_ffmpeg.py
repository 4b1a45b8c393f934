import subprocess
import sys

import pytest

from idtone.core.errors import ToneError
from idtone.tones import ffmpeg as programs
from idtone.tones.making.encoders import encode
from idtone.tones.making.formats import FORMATS
from lab.tones.error_text import error_text
from lab.tones.profiles import make_profile, tone

POOR = "echo ' A....D g722   G.722 ADPCM'"
BROKEN = f'[ "$2" = -encoders ] && {{ {POOR}; exit; }}\necho "disk full" >&2\nexit 1'


@pytest.mark.parametrize(
    ("script", "name", "says"),
    [
        (POOR, "spx", "writing .spx needs ffmpeg's encoder libspeex, which "),
        ("exit 1", "g722", "does not list its encoders"),
        (BROKEN, "g722", "encoding with g722 failed: disk full"),
    ],
)
def test_an_ffmpeg_that_cannot_or_fails_is_reported_and_leaves_no_file(tmp_path, monkeypatch, script, name, says):
    program, scratch = tmp_path / "bin" / "ffmpeg", tmp_path / "scratch"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    scratch.mkdir()
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert says in error_text(ToneError, encode, make_profile(tone(600)), FORMATS[name])
    assert not list(scratch.iterdir())
    if script == POOR:
        assert programs.encoder_program("g722", "writing .g722") == program


def test_the_search_path_may_be_unset():
    script = "from idtone.tones import ffmpeg; ffmpeg._pydub()"
    subprocess.run([sys.executable, "-c", script], env={}, check=True, timeout=60)
