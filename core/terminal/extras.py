"""Finds the extra of idtone that provides a missing library."""

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from idtone import __version__

from ..errors import UsageError

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
"""Library → extra. For other extras, the code that imports the library has its own message."""
PACKAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mariadb": "idtone",
        "sounds": "idtone-sounds",
        "office": "idtone-office",
        "postgresql": "idtone-office",
        "timestamps": "idtone-office",
        "token": "idtone-office",
        "console": "idtone-console",
        "openid": "idtone-console",
    }
)
"""Extra → the Debian package with its libraries."""
DEBIAN_ENVIRONMENT: Final = "/opt/venvs/idtone"
"""Folder in which the Debian packages install the program and all libraries."""


def install_command(extra: str) -> str:
    """Command that installs an extra, using apt if idtone is a Debian package and pip otherwise."""
    if sys.prefix == DEBIAN_ENVIRONMENT and extra in PACKAGES:
        return f"apt install ./{PACKAGES[extra]}_{__version__}*.deb"
    return f"pip install 'idtone[{extra}]'"


def not_installed(error: ModuleNotFoundError) -> UsageError | None:
    """Error that says how to install the missing module, or None if no extra provides it."""
    library = (error.name or "").partition(".")[0]
    return _missing(library) if library in EXTRAS else None


def require(library: str) -> None:
    """Raise UsageError that names the extra to install if the library is missing."""
    if find_spec(library) is None:
        raise _missing(library)


def _missing(library: str) -> UsageError:
    return UsageError(
        "this needs {library}, which is not installed: {command}",
        library=library,
        command=install_command(EXTRAS[library]),
    )
