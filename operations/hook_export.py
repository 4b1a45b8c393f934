"""`idtone dialplan export`: writes the hook to Asterisk's configuration folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idtone import dialplan
from idtone.core.errors import UsageError
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.service.hook_from_settings import hook_for
from idtone.tones.profile_library import load_library


def export(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Asterisk's configuration folder, like /etc/asterisk.")
    ],
    config: command_line.ConfigOption = None,
) -> None:
    """Write the hook, idtone.conf, to include from Asterisk's extensions.conf."""
    settings = load_settings(config)
    ours = hook_for(settings, load_library(settings.sounds.profiles))
    try:
        written = dialplan.export(directory, ours)
    except FileNotFoundError as error:
        raise UsageError(
            "{directory}: no such folder; name the folder with Asterisk's extensions.conf, or create it first",
            directory=directory,
        ) from error
    except OSError as error:
        raise UsageError(
            "{directory}: cannot be written: {reason}; run this as root, or name another folder",
            directory=directory,
            reason=error.strerror,
        ) from error
    for path in written:
        print(path)
