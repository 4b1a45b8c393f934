"""Folders that the first test of a run that needs them makes; it may run in another worker."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .ledger_copies import copy_ledger


def shared_folder(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that `make` fills, and that no test changes."""
    with _alone(factory, name) as kept:
        made = kept.with_suffix(".made")
        if not made.exists():
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir()
            make(kept)
            made.touch()
        return kept


def made_once(factory: pytest.TempPathFactory, name: str, folder: Path, make: Callable[[], object]) -> None:
    """Fill `folder` with the content that `make` makes in it, for a test that changes it. The content must not contain
    its own path.
    """
    with _alone(factory, name) as kept:
        if kept.exists():
            copy_ledger(kept, folder)
        else:
            make()
            draft = kept.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(folder, draft)
            draft.rename(kept)


@contextmanager
def _alone(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """Context with the place of a folder, which no other worker makes meanwhile."""
    own = factory.getbasetemp()
    kept = (own.parent if own.name.startswith("popen-") else own) / f"kept-{name}"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield kept
