from pathlib import Path

import pytest
import soundfile

from lab.tones.verification.synthetic_legs import SAMPLE, leg

OWN = "id: own\ntitle: 'Own [bold]'\nlevel_dbm0: -16\nsegments: [{frequencies_hz: [400, 500, 600], on_ms: 100}]\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings with the operator's own folder of profiles, which has one profile."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "own.yaml").write_text(OWN)
    path = tmp_path / "idtone.yaml"
    path.write_text(f"sounds: {{profiles: {tmp_path}/profiles}}\n")
    return path


@pytest.fixture
def mono(tmp_path: Path) -> Path:
    """A recording with the sample sound after 0.7 s."""
    soundfile.write(tmp_path / "mono.wav", leg(SAMPLE), 8000)
    return tmp_path / "mono.wav"
