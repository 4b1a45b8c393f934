"""The programs that idtone installs, and the commands of each."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import typer.main
import typer.testing

from idtone.agi.plain_agi_help import agi
from idtone.cli import app as node
from idtone.core.terminal import command_line
from idtone.core.translation import is_japanese
from idtone.evidence_cli import app as evidence
from idtone.fleet_cli import app as fleet
from idtone.office_cli import app as office
from idtone.operations.failure_mail import failed

PROGRAMS: Final[dict[str, typer.Typer]] = {
    "idtone": node,
    "idtone-evidence": evidence,
    "idtone-fleet": fleet,
    "idtone-office": office,
    "idtone-agi": command_line.lone_command(agi),
    "idtone-failed": command_line.lone_command(failed),
}


_make: Final = typer.main.get_command
_made: Final = cache(_make)


def cache_commands() -> None:
    """Make this process build the command tree of each program once, and not for each command of the tests."""
    typer.main.get_command = typer.testing._get_command = _kept


def _kept(program: typer.Typer) -> Any:
    """The command of a program, from the cache.

    A Japanese command is built each time, because its help is translated when it is built.
    """
    return _make(program) if is_japanese() else _made(program)


def command_tree(program: str) -> Any:
    """The root of a program's groups and commands, or the program's only command."""
    return _made(PROGRAMS[program])


def known_words(program: str, words: Sequence[str]) -> int:
    """Number of leading words that name a group or command of a program."""
    commands, known = getattr(command_tree(program), "commands", {}), 0
    for word in words:
        if word not in commands:
            break
        commands, known = getattr(commands[word], "commands", {}), known + 1
    return known


def program_of(words: Sequence[str]) -> str:
    """The program that has the command of these words, or `idtone` if no program has it.

    The first word may name the program.
    """
    if words and words[0] in PROGRAMS:
        return words[0]
    return max(PROGRAMS, key=lambda name: known_words(name, words))


def locate_command(words: Sequence[str]) -> tuple[typer.Typer, list[str]]:
    """The program that has the command of these words, and the words of the command."""
    program, named = program_of(words), bool(words) and words[0] in PROGRAMS
    return PROGRAMS[program], [*words[named:]]


def ledger_words(*words: object) -> list[str]:
    """The words of a command of `idtone ledger` (with `ledger`) or of `idtone-evidence`.

    The first of `words` may contain several words, as in `"hold list"`.
    """
    given = [*str(words[0]).split(), *map(str, words[1:])]
    with_noun = ["ledger", *given]
    return with_noun if known_words("idtone", with_noun) > known_words("idtone-evidence", given) else given
