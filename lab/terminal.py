"""The command line in this process, with typed input and the output of the commands."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from idtone.core.terminal import command_line

from .idtone_programs import locate_command


class Terminal:
    def run(self, *words: object, typed: str = "") -> tuple[int, Any, str]:
        """Run a command and return its exit code, standard output (parsed with `--json`) and standard error.

        The first of `words` may contain several words, as in `"licence renew"`.
        """
        app, arguments = locate_command([*str(words[0]).split(), *map(str, words[1:])])
        code, out, err = 0, io.StringIO(), io.StringIO()
        before, sys.stdin = sys.stdin, io.StringIO(typed)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                command_line.run(lambda: app(arguments))
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            sys.stdin = before
        told, error = out.getvalue(), err.getvalue()
        assert "Traceback" not in error
        return code, json.loads(told) if "--json" in words and told else told, error

    def output(self, *words: object, typed: str = "", code: int = 0) -> Any:
        """Run a command and return its standard output. Asserts the exit code."""
        ended, out, error = self.run(*words, typed=typed)
        assert ended == code, error
        return out

    def json(self, *words: object, typed: str = "", code: int = 0) -> Any:
        """Run a command with `--json` and return its parsed output. Asserts the exit code."""
        return self.output(*words, "--json", typed=typed, code=code)

    def error(self, *words: object, typed: str = "") -> str:
        """Run a command that must be refused, and return its error in one line."""
        code, out, error = self.run(*words, typed=typed)
        assert (code, out) == (command_line.UNUSABLE, ""), error
        return " ".join(error.split())
