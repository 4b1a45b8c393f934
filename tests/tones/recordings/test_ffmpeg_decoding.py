import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from idtone.core.errors import RecordingError
from idtone.tones.recordings import ffmpeg_decoding
from idtone.tones.recordings.audio_files import read_audio_file
from idtone.tones.recordings.open_recording import open_recording
from lab.tones.error_text import error_text


def make(ffmpeg, target, *options, sample_rate_hz=16_000):
    source = f"sine=frequency=400:sample_rate={sample_rate_hz}:duration=1"
    command = [str(ffmpeg), "-nostdin", "-v", "error", "-f", "lavfi", "-i", source, *options, f"file:{target}"]
    subprocess.run(command, check=True)


def level(leg):
    return np.sqrt(2) * np.std(leg.samples[len(leg.samples) // 4 : 3 * len(leg.samples) // 4])


@pytest.fixture(scope="module")
def m4a(ffmpeg, tmp_path_factory):
    path = tmp_path_factory.mktemp("ffmpeg") / "a.m4a"
    make(ffmpeg, path)
    return path


@pytest.mark.parametrize(
    ("name", "options", "sample_rate_hz"),
    [
        ("a.m4a", ("-ac", "2"), 16_000),
        ("a.wma", (), 16_000),
        ("a.webm", ("-c:a", "libopus"), 48_000),
        ("a.mka", ("-c:a", "pcm_s16le"), 16_000),
        ("a.aac", (), 16_000),
        ("a.spx", (), 16_000),
        ("a.3gp", ("-c:a", "aac"), 16_000),
    ],
)
def test_formats_that_only_ffmpeg_reads(tmp_path, ffmpeg, name, options, sample_rate_hz):
    make(ffmpeg, tmp_path / name, *options)
    legs = read_audio_file(tmp_path / name, notice=pytest.fail)
    assert [leg.name for leg in legs] == (["left", "right"] if "-ac" in options else ["mono"])
    assert legs[0].sample_rate_hz == sample_rate_hz
    assert legs[0].duration_ms == pytest.approx(1000, abs=150)
    # Two channels share the power of one.
    assert level(legs[0]) == pytest.approx(0.125 / np.sqrt(len(legs)), rel=0.05)


@pytest.mark.parametrize(
    ("name", "options", "made_hz", "read_hz"),
    [
        ("a.g726-16", ("-c:a", "g726le", "-b:a", "16k", "-f", "g726le"), 8000, 8000),
        ("a.g726-40", ("-c:a", "g726le", "-b:a", "40k", "-f", "g726le"), 8000, 8000),
        ("a.g722", ("-c:a", "g722"), 16_000, 16_000),
    ],
)
def test_headerless_files_of_another_encoder(tmp_path, ffmpeg, name, options, made_hz, read_hz):
    make(ffmpeg, tmp_path / name, *options, sample_rate_hz=made_hz)
    (leg,) = read_audio_file(tmp_path / name)
    assert (leg.sample_rate_hz, leg.duration_ms) == (read_hz, pytest.approx(1000, abs=20))
    assert level(leg) == pytest.approx(0.125, rel=0.1)


@pytest.mark.parametrize("name", ["-y", "http:", "concat:a|b", "%03d", "a.ts", "a.hls"])
def test_a_file_name_is_never_an_option_or_address(tmp_path, m4a, name, monkeypatch):
    shutil.copy(m4a, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (leg,) = read_audio_file(Path(name), notice=pytest.fail)
    assert leg.duration_ms == pytest.approx(1000, abs=150)


@pytest.mark.parametrize("name", ["list", "list.mp4"])
def test_texts_and_playlists_are_no_recordings_and_reach_no_other_file(tmp_path, m4a, name):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 8000)
    for kind, content in (
        (".m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\n{m4a}\n#EXT-X-ENDLIST\n"),
        (".ffconcat", f"ffconcat version 1.0\nfile '{tmp_path / 'a.wav'}'\n"),
        (".sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n"),
        (".m4a", "These are words.\n" * 100),
    ):
        path = tmp_path / (name if "." in name else f"{name}{kind}")
        path.write_text(content)
        (said,) = error_text(RecordingError, read_audio_file, path).splitlines()
        assert said.startswith(f"{path}: cannot be read by libsndfile or ffmpeg (")
    assert said.endswith("(Invalid data found when processing input)")


def test_without_ffmpeg_its_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.m4a").write_bytes(b"no audio")
    said = error_text(RecordingError, read_audio_file, tmp_path / "a.m4a")
    assert "reading .m4a needs the program ffmpeg" in said
    assert "Install the package ffmpeg" in said


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exec sleep 60", "took ffmpeg longer than 0.2 s"),
        ("exit 1", "libsndfile or ffmpeg (no reason given)"),
        # Its message becomes one short line.
        (r"yes 'a complaint' | head -c 300000 >&2; printf 'x: \033[31mlast\tone.\n' >&2; exit 1", "([31mlast one)"),
        ("exec cat /dev/zero", "more samples than are read at once"),
    ],
)
def test_an_ffmpeg_that_fails_hangs_or_never_ends(tmp_path, monkeypatch, script, says):
    ffmpeg, path = tmp_path / "ffmpeg", tmp_path / "a.xyz"
    ffmpeg.write_text(f"#!/bin/sh\n{script}\n")
    ffmpeg.chmod(0o755)
    path.write_bytes(b"no audio")
    monkeypatch.setattr(ffmpeg_decoding, "program", lambda _: ffmpeg)
    if "zero" in script:
        with open_recording(path) as file:
            said = error_text(
                RecordingError, ffmpeg_decoding.decode_with_ffmpeg, path, file, (), longest_s=1, largest=100_000
            )
    else:
        monkeypatch.setattr(ffmpeg_decoding, "DEADLINE_S", 0.2 if "sleep" in script else 60)
        said = error_text(RecordingError, read_audio_file, path)
    assert says in said


@pytest.mark.parametrize("damage", ["in the middle", "at the end"])
def test_a_damaged_flac_is_read_and_reported(tmp_path, ffmpeg, damage):
    path, told = tmp_path / "a.flac", []
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 80_000), 8000, format="FLAC", subtype="PCM_16")
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        content[:middle] + bytes(2000) + content[middle + 2000 :] if damage == "in the middle" else content[:-2000]
    )
    (leg,) = read_audio_file(path, notice=told.append)
    assert 40_000 < len(leg.samples) <= 80_000
    (notice,) = told
    assert notice.startswith(f"{path}: is damaged, parts may be missing or shifted: ")
