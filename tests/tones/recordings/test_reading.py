from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from idtone.errors import RecordingError
from idtone.tones.recordings.reading import read

from . import wire


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(wire.pcap(wire.on_wire(wire.talk(bytes(4000)))))
    assert [leg.name for leg in read(path)] == ["10.0.0.1:4000 → 10.0.0.2:4002 (PCMU)"]
    path = tmp_path / "call.pcap"
    soundfile.write(path, np.zeros(800), 8000, format="WAV")
    assert [leg.name for leg in read(path)] == ["mono"]


def test_the_limit_and_the_notices_reach_the_readers(tmp_path: Path) -> None:
    path = tmp_path / "call.pcap"
    told: list[str] = []
    other = wire.on_wire(wire.talk(bytes(4000), payload_type=3), wire.CALLED)
    path.write_bytes(wire.pcap(wire.on_wire(wire.talk(bytes(4000))) + other))
    read(path, notice=told.append)
    assert len(told) == 1
    with pytest.raises(RecordingError, match="longer than"):
        read(path, longest_s=0.49, notice=told.append)
    soundfile.write(path, np.zeros(4000), 8000, format="WAV")
    read(path, longest_s=0.5)
    with pytest.raises(RecordingError, match="longer than"):
        read(path, longest_s=0.49)
