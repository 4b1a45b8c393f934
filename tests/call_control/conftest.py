from pathlib import Path

import pytest

from idtone.call_control import journal_reader
from idtone.call_control.journal_reader import JournalFolder
from lab.call_control.journal_helpers import new_journal


@pytest.fixture
def folder(tmp_path: Path) -> JournalFolder:
    return new_journal(tmp_path)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the reader of the journal replace and check files without pauses."""
    for name, seconds in {"POLL_S": 0.01, "GATHER_S": 0.0, "REPLACE_EVERY_S": 0.01, "SAVE_EVERY_S": 0.0}.items():
        monkeypatch.setattr(journal_reader, name, seconds)
