"""Changes of a library for one module alone, while other threads of the process use the library itself."""

from types import ModuleType, SimpleNamespace

import pytest


def patch_library(monkeypatch: pytest.MonkeyPatch, module: ModuleType, library: str, **functions: object) -> None:
    """Make `module` find these functions in `library`, which it imports by this name, until the test ends."""
    monkeypatch.setattr(module, library, SimpleNamespace(**vars(getattr(module, library)) | functions))
