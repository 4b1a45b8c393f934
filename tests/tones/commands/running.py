"""Runs `idtone tone` for the tests."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from idtone.errors import IdtoneError
from idtone.tones.commands import app


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, IdtoneError):
        raise result.exception
    return result
