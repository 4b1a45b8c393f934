"""Runs `idtone` in this process with the settings of a lab service."""

import json
from typing import Any

from typer.testing import CliRunner

from .idtone_programs import locate_command
from .service import Service


def command_json(service: Service, *arguments: object, typed: str = "", code: int | None = 0) -> Any:
    """The JSON output of a command.

    Raises AssertionError if its exit code is not `code`. None allows any exit code.
    """
    command = [*map(str, arguments), "--json"]
    if command[:2] != ["verify", "pack"]:
        command += ["-c", str(service.settings)]
    ended = CliRunner().invoke(*locate_command(command), input=typed)
    assert code in (None, ended.exit_code), f"{command}: {ended.exception!r}\n{ended.output}"
    return json.loads(ended.stdout)
