"""Runs `idtone tone` for the tests."""

from typer.testing import CliRunner, Result

from idtone.core.errors import IdtoneError
from idtone.tones.commands import app


def run(*arguments: object, exits: int = 0, columns: int = 120) -> Result:
    """Run an `idtone tone` command and return its result. Asserts its exit code `exits`.

    Raises the command's IdtoneError.
    """
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": str(columns)})
    if isinstance(result.exception, IdtoneError):
        raise result.exception
    assert result.exit_code == exits, result.output
    return result
