"""Command-line option for the association's folder: `--folder`, IDTONE_CONSOLE_OFFICE or the settings.

The console reads the same setting and variable, so pages and commands use the same folder. The current directory is
ignored, because a command run inside a backup would change the backup instead of the registry.
"""

import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from idtone.core.errors import UsageError

SETTINGS: Final = Path("/etc/idtone-office/idtone.yaml")
"""Settings file installed by the package `idtone-office`."""
VARIABLE: Final = "IDTONE_CONSOLE_OFFICE"
"""Environment variable that overrides the setting `console.office`."""


def folder_from_settings() -> Path:
    """Read the association's folder from the settings file named in IDTONE_CONFIG, or from the package's.

    Raises UsageError if the settings name no folder, or DocumentError if they have faults.
    """
    from idtone.core.settings.settings import CONFIG, load_settings  # needed only if no folder is named

    settings = Path(os.environ.get(CONFIG) or SETTINGS)
    if (CONFIG in os.environ or settings.exists()) and (folder := load_settings(settings).console.office):
        return folder
    raise UsageError(
        "which folder is the association's? Type --folder FOLDER, or name it as console.office in {settings}",
        settings=settings,
    )


def _usable(folder: Path) -> Path:
    """Return the folder if it is missing or this account may use it. Otherwise raises UsageError.

    Root may not use another user's folder, because that user could not change files written by root.
    """
    try:
        owner, here = folder.stat().st_uid, os.geteuid()
    except FileNotFoundError:
        return folder
    except OSError as error:
        raise UsageError("{folder}: cannot be read: {reason}", folder=folder, reason=error.strerror) from error
    if owner == here or (here != 0 and os.access(folder, os.R_OK | os.X_OK)):
        return folder
    raise UsageError(
        "{folder}: belongs to the user {user}; begin the line with: {words}",
        folder=folder,
        user=_name_of(owner),
        words=f"sudo -u {_name_of(owner)}" if here else f"runuser -u {_name_of(owner)} --",
    )


def _with_registry(folder: Path) -> Path:
    """Return the folder if it contains registry.yaml or a published registry. Otherwise raises UsageError.

    A published registry alone is enough to suspend numbers.
    """
    from idtone.registry.trust import tuf_roles  # a help makes this module's options, and needs neither

    from ..authority.workspace import REPOSITORY

    usable = _usable(folder)
    if any((usable / name).exists() for name in (tuf_roles.REGISTRY_FILE, REPOSITORY)):
        return folder
    raise UsageError(
        "{folder}: has no registry.yaml; name the association's folder with --folder, or begin a registry there: "
        "idtone-office publication new-registry --folder {folder}",
        folder=folder,
    )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def _option(checked: Callable[[Path], Path]) -> Any:
    return typer.Option(
        "-f",
        "--folder",
        metavar="FOLDER",
        envvar=VARIABLE,
        default_factory=folder_from_settings,
        callback=checked,
        readable=False,  # Typer would refuse it first, without the line that works
        show_default=False,
        help="The association's folder (default: console.office of /etc/idtone-office/idtone.yaml).",
    )


FolderOption = Annotated[Path, _option(_with_registry)]
"""Option for the association's folder, which must contain a registry."""
AnyFolderOption = Annotated[Path, _option(_usable)]
"""Option for the association's folder, which need not contain a registry.

For the command that creates the registry, and commands that need only some of the folder's files.
"""
