"""The root of the command line. The one place of the kernel that knows the rooms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idtone import dialplan
from idtone.ari_app.commands import serve
from idtone.ledger.commands import app as ledger
from idtone.registry.commands import app as registry
from idtone.tones.commands import app as tone
from idtone.tones.indications import to_asterisk
from idtone.tones.library import load_library

from . import __version__, console
from .decision import Policy
from .errors import UsageError
from .settings import load_settings

app = console.group("The identification sound (識別音) on forwarded calls: licensed, heard and recorded.")
hook = console.group("The hook in Asterisk's dialplan.")

app.command()(serve)
app.add_typer(tone, name="tone")
app.add_typer(registry, name="registry")
app.add_typer(ledger, name="ledger")
app.add_typer(hook, name="dialplan")


@hook.callback()
def _hook() -> None:
    """Typer makes a group of one command that command itself, unless there is a callback."""


@hook.command()
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; made where it is missing.")],
    config: console.ConfigOption = None,
) -> None:
    """Write the hook, idtone.conf, to include from Asterisk's extensions.conf."""
    settings = load_settings(config)
    notice = load_library(settings.sounds.profiles).named(Policy().notice_profile)
    tones = dialplan.Notice(to_asterisk(notice), notice.duration_ms)
    try:
        written = dialplan.export(directory, settings.sounds.directory, tones)
    except OSError as error:
        raise UsageError(f"{directory}: cannot be written: {error.strerror}; name another folder") from error
    for path in written:
        print(path)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"idtone {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None: ...


def main() -> None:
    """Entry point of the `idtone` command."""
    console.run(app)
