"""The command `idtone-evidence verify operators`, which verifies the public list of licensed operators."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.japan_time import end_words
from idtone.core.terminal import command_line

from ..trust.licensed_operators import read_site


def operators(
    site: Annotated[Path, typer.Argument(metavar="SITE", help="The folder of the public list: operators.json, proof.")],
    trust: Annotated[Path, typer.Option(metavar="FILE", help="The association's root metadata.")],
    as_json: command_line.JsonOption = False,
) -> None:
    """Verify the association's public list of licensed operators, and show it."""
    listed = read_site(site, trust, datetime.now(UTC))
    if as_json:
        command_line.print_json(listed)
        return
    command_line.say(
        "{association}, registry version {registry_version}, issued {issued}",
        association=listed["association"],
        registry_version=listed["registry_version"],
        issued=listed["issued"],
    )
    for operator in listed["operators"]:
        print(f"{operator['name']['ja']} / {operator['name']['en']}")
        for licence in operator["licences"]:
            command_line.say(
                "  {id}: {directions}, until {valid_until}",
                id=licence["id"],
                directions=", ".join(licence["directions"]),
                valid_until=end_words(licence["valid_until"]),
            )
