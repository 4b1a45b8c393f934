from __future__ import annotations

import pytest

from idtone.tones.making.sounds import Sound, ensure_sounds
from idtone.tones.profile_library import load_library

from .evidence import MemoryEvidence


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sound]:
    """The shipped sounds: `sample` has 440 ms or 22 packets, `notice` has 560 ms or 28 packets."""
    return ensure_sounds(tmp_path_factory.mktemp("sounds"), load_library().values(), ["sln"])


@pytest.fixture
def evidence() -> MemoryEvidence:
    return MemoryEvidence()
