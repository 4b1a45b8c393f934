"""Which extra of idtone brings a library that a command or a setting needs and that is not installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from ..errors import UsageError
from ..translation import Message

EXTRAS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "G722": "sounds",
        "argon2": "console",
        "audioop": "sounds",
        "jinja2": "console",
        "numpy": "sounds",
        "pydub": "sounds",
        "reportlab": "office",
        "rfc3161_client": "timestamps",
        "soundfile": "sounds",
        "soxr": "sounds",
        "webauthn": "console",
        "zxcvbn": "office",
    }
)
"""Library → extra. Other extras have messages of their own, where their libraries are imported."""


def not_installed(error: ModuleNotFoundError) -> UsageError | None:
    """The error for the user; None if no extra brings the module."""
    library = (error.name or "").partition(".")[0]
    return _missing(library) if library in EXTRAS else None


def require(library: str) -> None:
    """Raises UsageError that names the extra if a library of `EXTRAS` is not installed."""
    if find_spec(library) is None:
        raise _missing(library)


def _missing(library: str) -> UsageError:
    return UsageError(
        Message(
            "this needs {library}, which is not installed: pip install 'idtone[{extra}]'",
            library=library,
            extra=EXTRAS[library],
        )
    )
