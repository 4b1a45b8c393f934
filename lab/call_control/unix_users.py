"""Users of the machine for tests, such as the user of the service and that of Asterisk."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

ASTERISK_GROUP: Final = 54_321
SERVICE_USER, SERVICE_GROUP = 54_322, 54_323

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


@contextmanager
def acting_as(user: int, group: int) -> Iterator[None]:
    """Context in which this process acts as `user`, in `group` and no other group."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(group)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Context with a sounds folder as an operator creates it.

    It belongs to the service's user and Asterisk's group, and has the mode g+s.
    """
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o711)
        folder = Path(place, "sounds")
        folder.mkdir()
        os.chown(folder, SERVICE_USER, ASTERISK_GROUP)
        folder.chmod(0o2750)
        yield folder
