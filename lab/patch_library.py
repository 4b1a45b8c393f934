"""Patches a library for one module only. Other threads of the process continue to use the real library."""

from types import ModuleType, SimpleNamespace

import pytest


def patch_library(monkeypatch: pytest.MonkeyPatch, module: ModuleType, library: str, **functions: object) -> None:
    """Replace functions of `library` for `module` until the test ends.

    `library` is the name under which the module imports it.
    """
    monkeypatch.setattr(module, library, SimpleNamespace(**vars(getattr(module, library)) | functions))
