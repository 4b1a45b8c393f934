"""Runs the commands of `idtone ledger` and `idtone-evidence`, in this process or in a separate one."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer.testing import CliRunner, Result

from idtone import cli
from idtone.core.errors import IdtoneError

from ...idtone_programs import ledger_words, locate_command
from ..sample_evidence import CALLED, CALLER, FORWARDING

PROGRAM = "import sys; sys.argv[0] = 'idtone'; from idtone.cli import main; main()"
EVIDENCE_PROGRAM = PROGRAM.replace("idtone.cli", "idtone.evidence_cli")
# A background run of the tests ignores the interrupt, and its child processes inherit that.
FOLLOWING = f"""
import signal
from idtone.ledger.commands import calls
signal.signal(signal.SIGINT, signal.default_int_handler)
calls._FOLLOW_S = calls._NEW_NODES_S = 0.1
{PROGRAM}
"""


def run(*arguments: object, typed: str | None = None) -> Result:
    environment = {"COLUMNS": "200", "TZ": "UTC"}
    result = CliRunner().invoke(*locate_command(ledger_words(*arguments)), input=typed, env=environment)
    if isinstance(result.exception, IdtoneError):
        raise result.exception
    for number in (FORWARDING, CALLER, CALLED):
        assert number[1:] not in result.output
    return result


def json_output(*arguments: object, typed: str | None = None) -> Any:
    """The JSON output of a command."""
    return json.loads(run(*arguments, "--json", typed=typed).stdout)


def listed_calls(*arguments: object, typed: str | None = None) -> list[str]:
    """Ids of the calls that a command lists."""
    return [record["call_id"] for record in json_output(*arguments, typed=typed)]


def output_words(result: Result) -> list[list[str]]:
    """Words of each line of the output. A time consists of two words."""
    return [line.split() for line in result.stdout.splitlines()]


def completions(typed: str, **environment: str) -> list[str]:
    asked = {"_IDTONE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    result = CliRunner().invoke(cli.app, [], env=asked | environment, prog_name="idtone")
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.split()


@contextmanager
def follow_list(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Context with a process that runs `idtone ledger list --follow`."""
    command = [sys.executable, "-c", FOLLOWING, "ledger", "list", "--follow", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
