"""An Asterisk in the reader's own folder, for docs/tutorial.md.

    python -m lab.tutorial_asterisk FOLDER

Creates FOLDER/etc with the files that every Asterisk needs and that the tutorial does not explain. Also creates the
program FOLDER/asterisk, which runs Asterisk with this configuration. The reader's own files (`ari.conf`, `http.conf`,
`extensions.conf`) are not changed.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .asterisk import EMPTY, MODULES
from .asterisk_installation import AsteriskInstallation, AsteriskMissing, find_or_get

OWN_MODULES: Final = [*(name for name in MODULES if "pj" not in name), "app_record"]
"""Modules of the tutorial. Its phones are Local channels, and one of them records what it hears."""


def make(folder: Path, installation: AsteriskInstallation) -> Path:
    """Write the files and return the path of the program."""
    for name in ("etc", "run", "log", "spool", "db", "sounds"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, text in _files(folder, installation).items():
        (folder / "etc" / name).write_text(text)
    program = folder / "asterisk"
    command = [*installation.command, "-C", str(folder / "etc" / "asterisk.conf")]
    program.write_text(f'#!/bin/sh\ncd {shlex.quote(str(folder))} && exec {shlex.join(command)} "$@"\n')
    program.chmod(0o755)
    return program


def _files(folder: Path, installation: AsteriskInstallation) -> Mapping[str, str]:
    return {
        "asterisk.conf": (
            f"[directories]\nastetcdir => {folder}/etc\nastmoddir => {installation.module_directory}\n"
            f"astdatadir => {installation.data_directory}\nastdbdir => {folder}/db\nastkeydir => {folder}/db\n"
            f"astvarlibdir => {folder}/db\nastspooldir => {folder}/spool\nastrundir => {folder}/run\n"
            f"astlogdir => {folder}/log\n"
        ),
        "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in OWN_MODULES),
        "logger.conf": "[logfiles]\nfull = notice,warning,error\n",
        "rtp.conf": "",
        "indications.conf": "[general]\ncountry = jp\n[jp]\ndescription = Japan\nring = 400+15/1000,0/2000\n",
        **dict.fromkeys(EMPTY, ""),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="lab.tutorial_asterisk", description="Make an Asterisk in a folder of your own."
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args().folder.absolute()
    try:
        installation = find_or_get()
    except AsteriskMissing as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    print(f"{make(folder, installation)} runs Asterisk {installation.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
