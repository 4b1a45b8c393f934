from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from idtone.errors import RecordingError
from idtone.tones.recordings import ffmpeg_decoding
from idtone.tones.recordings.files import read_file
from idtone.tones.recordings.opening import open_recording


def make(ffmpeg: Path, target: Path, *options: str, sample_rate_hz: int = 16_000) -> None:
    source = f"sine=frequency=400:sample_rate={sample_rate_hz}:duration=1"
    command = [str(ffmpeg), "-nostdin", "-v", "error", "-f", "lavfi", "-i", source, *options, f"file:{target}"]
    subprocess.run(command, check=True)


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
def test_formats_that_only_ffmpeg_reads(
    tmp_path: Path, ffmpeg: Path, name: str, options: tuple[str, ...], sample_rate_hz: int
) -> None:
    path = tmp_path / name
    make(ffmpeg, path, *options)
    legs = read_file(path, notice=pytest.fail)
    assert [leg.name for leg in legs] == (["left", "right"] if "-ac" in options else ["mono"])
    assert legs[0].sample_rate_hz == sample_rate_hz
    assert legs[0].duration_ms == pytest.approx(1000, abs=150)
    # Two channels share the power of one.
    level = 0.125 if len(legs) == 1 else 0.125 / np.sqrt(2)
    assert np.sqrt(2) * np.std(legs[0].samples[4000:12_000]) == pytest.approx(level, rel=0.05)


@pytest.mark.parametrize("name", ["-y", "http:", "concat:a|b", "%03d", "a.ts", "a.hls"])
def test_a_file_name_is_never_an_option_or_address(
    tmp_path: Path, ffmpeg: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(ffmpeg, tmp_path / "a.m4a")
    (tmp_path / "a.m4a").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (leg,) = read_file(Path(name), notice=pytest.fail)
    assert leg.duration_ms == pytest.approx(1000, abs=150)


def test_the_width_of_g726(tmp_path: Path, ffmpeg: Path) -> None:
    for kbps in (16, 40):
        path = tmp_path / f"a.g726-{kbps}"
        make(ffmpeg, path, "-c:a", "g726le", "-b:a", f"{kbps}k", "-f", "g726le", sample_rate_hz=8000)
        (leg,) = read_file(path)
        assert leg.duration_ms == pytest.approx(1000, abs=20)
        assert np.sqrt(2) * np.std(leg.samples[2000:6000]) == pytest.approx(0.125, rel=0.1)


@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat", "list.mpd", "list.sdp", "list.mp4"])
def test_a_playlist_reaches_no_other_file(tmp_path: Path, ffmpeg: Path, name: str) -> None:
    make(ffmpeg, tmp_path / "a.m4a")
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 8000)
    for content in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\n{tmp_path / 'a.m4a'}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{tmp_path / 'a.wav'}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(RecordingError, match="cannot be read by libsndfile or ffmpeg") as caught:
            read_file(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_text_is_not_a_recording(tmp_path: Path, ffmpeg: Path) -> None:
    assert str(ffmpeg)
    path = tmp_path / "a.m4a"
    path.write_text("These are words.\n" * 100)
    with pytest.raises(RecordingError) as caught:
        read_file(path)
    assert str(caught.value) == (
        f"{path}: cannot be read by libsndfile or ffmpeg (Invalid data found when processing input)"
    )


def test_without_ffmpeg_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.m4a").write_bytes(b"no audio")
    with pytest.raises(RecordingError, match=r"reading \.m4a needs the program ffmpeg.*Install the package ffmpeg"):
        read_file(tmp_path / "a.m4a")


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A script as ffmpeg, and a file for it."""
    ffmpeg, path = tmp_path / "ffmpeg", tmp_path / "a.xyz"
    ffmpeg.write_text(f"#!/bin/sh\n{script}\n")
    ffmpeg.chmod(0o755)
    monkeypatch.setattr(ffmpeg_decoding, "program", lambda _: ffmpeg)
    path.write_bytes(b"no audio")
    return path


def test_ffmpegs_time_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path, monkeypatch, "exec sleep 60")
    monkeypatch.setattr(ffmpeg_decoding, "DEADLINE_S", 0.2)
    with pytest.raises(RecordingError, match=r"took ffmpeg longer than 0\.2 s"):
        read_file(path)


def test_ffmpegs_output_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path, monkeypatch, "exec cat /dev/zero")
    with open_recording(path) as file, pytest.raises(RecordingError, match="more samples than are read at once"):
        ffmpeg_decoding.decode(path, file, (), longest_s=1, largest=100_000)


def test_ffmpegs_message_becomes_one_short_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(
        tmp_path, monkeypatch, r"yes 'a complaint' | head -c 300000 >&2; printf 'x: \033[31mlast\tone.\n' >&2; exit 1"
    )
    with pytest.raises(RecordingError, match=r"\(\[31mlast one\)$"):
        read_file(path)


def test_ffmpeg_without_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path, monkeypatch, "exit 1")
    with pytest.raises(RecordingError, match=r"libsndfile or ffmpeg \(no reason given\)$"):
        read_file(path)


def test_damage_in_the_middle_is_reported(tmp_path: Path, ffmpeg: Path) -> None:
    assert str(ffmpeg)
    path = tmp_path / "a.flac"
    noise = np.random.default_rng(1).normal(0, 0.1, 80_000)
    soundfile.write(path, noise, 8000, format="FLAC", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    told: list[str] = []
    (leg,) = read_file(path, notice=told.append)
    assert 40_000 < len(leg.samples) <= 80_000
    assert len(told) == 1
    assert told[0].startswith(f"{path}: is damaged, parts may be missing or shifted: ")


def test_g722_of_another_encoder(tmp_path: Path, ffmpeg: Path) -> None:
    path = tmp_path / "a.g722"
    make(ffmpeg, path, "-c:a", "g722")
    (leg,) = read_file(path)
    assert (leg.sample_rate_hz, leg.duration_ms) == (16_000, pytest.approx(1000, abs=1))
    assert np.sqrt(2) * np.std(leg.samples[4000:12_000]) == pytest.approx(0.125, rel=0.02)
