"""Shared options of the `idtone-office misuse` commands."""

from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.core.errors import DocumentError, Fault, NumberError
from idtone.core.numbers import Number, parse_japanese
from idtone.core.translation import Message
from idtone.core.yaml_documents import read_text

RulesOption = Annotated[
    Path | None,
    typer.Option("--rules", metavar="FILE", help="The limits, a changed copy of the shipped misuse.yaml."),
]
FindingArgument = Annotated[str, typer.Argument(metavar="FINDING", help="The finding's id, as `scan` prints it.")]

_REMEDY: Final = Message("write the number in full, or remove the line")
_SIZE_LIMIT: Final = 1024 * 1024


def read_numbers(path: Path) -> list[Number]:
    """Read telephone numbers from a file, one per line. `#` begins a comment. Raises DocumentError."""
    found, faults = [], []
    for place, line in enumerate(read_text(path, size_limit=_SIZE_LIMIT).splitlines(), 1):
        if text := line.partition("#")[0].strip():
            try:
                found.append(parse_japanese(text))
            except NumberError as error:
                faults.append(Fault(str(path), place, 1, "", error.problem, error.remedy or _REMEDY))
    if faults:
        raise DocumentError(faults)
    return found
