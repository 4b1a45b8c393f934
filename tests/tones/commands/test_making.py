from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from idtone.errors import DocumentError, IdtoneError, ToneError, UsageError
from idtone.tones.commands import app
from idtone.tones.formats import FORMATS

OWN = "id: own\ntitle: 'Own [bold]'\nlevel_dbm0: -16\nsegments: [{frequencies_hz: [400, 500, 600], on_ms: 100}]\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings with a folder that holds one profile of the operator's own."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "own.yaml").write_text(OWN)
    path = tmp_path / "idtone.yaml"
    path.write_text(f"sounds: {{profiles: {tmp_path}/profiles}}\n")
    return path


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, IdtoneError):
        raise result.exception
    return result


def test_list_names_every_profile(config: Path) -> None:
    result = run("list", "-c", config)
    assert result.exit_code == 0
    for text in ("notice", "sample", "own", "Own [bold]", "560 ms", "shipped"):
        assert text in result.stdout


def test_list_as_json(config: Path) -> None:
    listed = json.loads(run("list", "--json", "-c", config).stdout)
    assert [entry["id"] for entry in listed] == ["notice", "sample", "own"]
    assert listed[2] == {
        "id": "own",
        "title": "Own [bold]",
        "standard": False,
        "duration_ms": 100.0,
        "source": str(config.parent / "profiles" / "own.yaml"),
    }


def test_show_tells_plan_picture_and_tone_string(config: Path) -> None:
    shown = run("show", "notice", "-c", config).stdout
    for text in ("一般通知音", "-16 dBm0", "260 ms", "584 Hz", "██", "!730/220,!0/40,!584/300", "without the ramps"):
        assert text in shown
    assert "Warning" not in shown


def test_show_reads_a_file_and_warns(config: Path) -> None:
    shown = run("show", config.parent / "profiles" / "own.yaml").stdout
    assert "400 + 500 + 600 Hz" in shown
    assert "cannot be written as a tone string" in shown
    assert "Warning: this could be taken for Japanese dial" in shown


def test_show_as_json(config: Path) -> None:
    shown = json.loads(run("show", "own", "--json", "-c", config).stdout)
    assert shown["segments"][0]["frequencies_hz"] == [400, 500, 600]
    assert shown["asterisk"]["tones"] is None
    assert len(shown["resembles"]) == 1


def test_generate_writes_all_formats_and_their_checksums(tmp_path: Path, config: Path) -> None:
    result = run("generate", "sample", "-o", tmp_path / "out", "-c", config)
    assert result.exit_code == 0
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    assert [Path(path).name for _, path in lines] == [f"sample.{name}" for name in FORMATS]
    for digest, path in lines:
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == digest


def test_generate_as_json(tmp_path: Path, config: Path) -> None:
    arguments = ("generate", "sample", "-o", tmp_path, "--format", "sln16, ulaw,ulaw", "--json", "-c", config)
    first, again = (json.loads(run(*arguments).stdout) for _ in range(2))
    assert [entry["format"] for entry in first] == ["sln16", "ulaw"]
    assert [entry["written"] for entry in first + again] == [True, True, False, False]
    assert first[0]["file"] == str(tmp_path / "sample.sln16")
    assert first[0]["sample_rate_hz"] == 16000


def test_generate_from_a_tone_string(tmp_path: Path) -> None:
    tones = ("--tones", "600/100,0/100", "--name", "pu-pu", "--repeat", 2, "--level", -20)
    run("generate", *tones, "-o", tmp_path, "--format", "sln")
    assert (tmp_path / "pu-pu.sln").stat().st_size == 2 * 8 * 400


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("generate", "nothing"), UsageError, "there are notice, sample, own"),
        (("show", "nothing"), UsageError, "there are notice, sample, own"),
        (("show", "./absent.yaml"), DocumentError, "cannot be read"),
        (("generate", "sample", "--format", "mp3"), UsageError, "there are wav, wav16, sln"),
        (("generate", "sample", "--format", ""), UsageError, "there are wav, wav16, sln"),
        (("generate",), UsageError, "name one thing to generate"),
        (("generate", "sample", "--tones", "600/100"), UsageError, "name one thing to generate"),
        (("generate", "--tones", "600"), ToneError, "has no end"),
        (("generate", "--tones", "600/100", "--level", "nan"), DocumentError, "level_dbm0"),
        (("generate", "--tones", "600/100", "--name", "../x"), DocumentError, "cannot name a sound file"),
    ],
)
def test_wrong_use_is_told(
    tmp_path: Path, config: Path, arguments: tuple[str, ...], error: type[Exception], says: str
) -> None:
    output = ("-o", tmp_path / "out") if arguments[0] == "generate" else ()
    with pytest.raises(error, match=says):
        run(*arguments, *output, "-c", config)
    assert not (tmp_path / "out").exists()
