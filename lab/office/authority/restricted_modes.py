"""Restriction of the units to modes without the set-group-ID bit."""

import os
import stat
from typing import Any

import pytest


def forbid_group_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse each chmod with the set-group-ID bit, as the system does in a unit with `RestrictSUIDSGID=yes`."""
    chmod = os.chmod

    def refusing(path: Any, mode: int, **more: Any) -> None:
        if mode & stat.S_ISGID:
            raise PermissionError(1, "Operation not permitted", str(path))
        chmod(path, mode, **more)

    monkeypatch.setattr(os, "chmod", refusing)
