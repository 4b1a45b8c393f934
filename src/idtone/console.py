"""What every command shares: its options, its JSON, and how it ends.

Exit codes: 0 good, 1 a negative verdict, 2 wrong use or unusable input.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from .errors import IdtoneError

NEGATIVE: Final = 1
UNUSABLE: Final = 2

ConfigOption = Annotated[
    Path | None,
    typer.Option("-c", "--config", envvar="IDTONE_CONFIG", help="Settings file (default: /etc/idtone/idtone.yaml)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def group(summary: str) -> typer.Typer:
    """A command group; called without a command it shows its help."""
    return typer.Typer(help=summary, no_args_is_help=True, pretty_exceptions_enable=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output; text stays readable, unknown types become their text."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=str)
    sys.stdout.write("\n")


def negative() -> NoReturn:
    """End with the exit code of a negative verdict."""
    raise typer.Exit(NEGATIVE)


def run(app: Callable[[], Any]) -> None:
    """Run the command line; an error of ours is one clear message and exit code 2."""
    try:
        app()
    except IdtoneError as error:
        print(f"idtone: {error}", file=sys.stderr)
        sys.exit(UNUSABLE)
