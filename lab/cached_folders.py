"""Folders that are created once in a run, by the first test that needs them, perhaps in another worker."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .ledger_copies import copy_ledger


def cached_folder(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that `make` has filled. Tests must not change it."""
    with _alone(factory, name) as kept:
        made = kept.with_suffix(".made")
        if not made.exists():
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir()
            make(kept)
            made.touch()
        return kept


def fill_from_cache(factory: pytest.TempPathFactory, name: str, folder: Path, make: Callable[[], object]) -> None:
    """Fill `folder` with the result of `make`, for a test that changes it.

    `make` runs only once, and later tests get a copy. So the content must not contain its own path.
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
    """Context with the path of a folder that no other worker creates meanwhile."""
    own = factory.getbasetemp()
    kept = (own.parent if own.name.startswith("popen-") else own) / f"kept-{name}"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield kept
