"""The environment variables that set a command's language, and a runner of commands."""

from collections.abc import Callable

import pytest

from idtone.core.terminal import command_line
from lab.idtone_programs import locate_command, program_of

VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


def set_language(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Function that runs a command and returns its exit code, standard output and standard error."""

    def run(*arguments: str, columns: str = "200", **environment: str) -> tuple[int, str, str]:
        set_language(monkeypatch, **environment, COLUMNS=columns)
        program, (app, words) = program_of(arguments), locate_command([*arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.run(lambda: app(words, prog_name=program))
        return int(ended.value.code or 0), *capsys.readouterr()

    return run
