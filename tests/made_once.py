"""Folders that tests change: the first test makes what is in them, the others get copies."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, folder: Path, make: Callable[[], object]) -> None:
    """Let `folder` hold what `make` makes in it. It must name no path of its own."""
    kept = factory.getbasetemp() / f"kept-{name}"
    if kept.exists():
        shutil.copytree(kept, folder, dirs_exist_ok=True)
    else:
        make()
        shutil.copytree(folder, kept)
