from __future__ import annotations

import pytest

from .evidence import MemoryEvidence


@pytest.fixture
def evidence() -> MemoryEvidence:
    return MemoryEvidence()
