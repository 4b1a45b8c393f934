"""Encodes AGI commands and decodes Asterisk's responses, without I/O.

`AgiCodec` uses pyst2, whose AGI class is made for a program that Asterisk starts for each call. In a service, that
class would install a SIGHUP handler, print telephone numbers to standard error, wait on standard input, and not escape
quotes. `AgiCodec` avoids this.
"""

import io
import re
from dataclasses import dataclass, field
from typing import Any, Final

from asterisk.agi import AGI, AGIAppError, AGIError, AGIResultHangup

from idtone.core.errors import AgiError

LONGEST_COMMAND: Final = 2047
"""Maximum length of a command in octets, including its line end. Asterisk reads a longer line as two: AGI_BUF_LEN in
res_agi.c is 2048 in older versions and 8192 in 22.10.
"""
LONGEST_RESPONSE: Final = 16384
HANGUP: Final = b"HANGUP\n"
"""The line that Asterisk sends once, at any time, when the channel hangs up. Asterisk still executes commands
afterwards.
"""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_RESPONSE: Final = re.compile(rb"[1-9][0-9]{2}[ -][^\x00-\x1f\x7f]*\n")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
_DEAD: Final = 511


@dataclass(frozen=True, slots=True)
class AgiResponse:
    """A response such as `200 result=1 (data)`. `data` may be a telephone number, so the repr omits it."""

    code: int
    result: str = ""
    data: str = field(default="", repr=False)

    @property
    def hung_up(self) -> bool:
        """True if the channel had hung up and Asterisk did not execute the command."""
        return self.code == _DEAD or self.result == "-1"


class _Silence:
    def write(self, text: str) -> None:
        """Discard the text, because pyst2 prints every line, including telephone numbers, to standard error."""


class _Line:
    """Input with a single line. Otherwise, pyst2 would read on after some responses and loop at the end of a file."""

    def __init__(self, line: str) -> None:
        self._lines = iter([line])

    def readline(self) -> str:
        for line in self._lines:
            return line
        raise EOFError


class AgiCodec:
    """Encodes AGI commands and decodes responses with pyst2. Instances have no state."""

    def __init__(self) -> None:
        # Without its constructor, which installs the signal handler and reads standard input.
        self._agi: Any = AGI.__new__(AGI)
        self._agi.stderr = _Silence()

    def noop(self) -> bytes:
        """Command that does nothing. Asterisk answers with result 0."""
        return self._command("NOOP")

    def set_variable(self, name: str, value: str) -> bytes:
        """Command that sets a channel variable. Asterisk answers with result 1.

        Raises AgiError if `name` is not a valid name or the command is too long for one line.
        """
        if not _VARIABLE.fullmatch(name):
            raise AgiError("the name of a channel variable has letters, digits and underscores only")
        return self._command("SET VARIABLE", name, value)

    def get_full_variable(self, expression: str) -> bytes:
        """Command that evaluates an expression such as `${EXTEN}`. Asterisk answers with result 1 and the value."""
        return self._command("GET FULL VARIABLE", expression)

    def warn(self, message: str) -> bytes:
        """Command that writes a warning to Asterisk's log, which omits VERBOSE messages by default."""
        return self._command("EXEC", "Log", f"WARNING,{message}")

    def response(self, line: bytes) -> AgiResponse:
        """Parse a response line. Raises AgiError if it is malformed or Asterisk rejected the command."""
        if len(line) > LONGEST_RESPONSE or not _RESPONSE.fullmatch(line):
            raise AgiError("Asterisk's response is malformed")
        try:
            self._agi.stdin = _Line(line.decode("utf-8"))
        except UnicodeDecodeError:
            raise AgiError("Asterisk's response is not UTF-8") from None
        code = int(line[:3])
        try:
            result, data = self._agi.get_result()["result"]
        except AGIResultHangup:
            return AgiResponse(code, "-1", "hangup")
        except AGIAppError:
            return AgiResponse(code, "-1")
        except (AGIError, EOFError):
            if code == _DEAD:
                return AgiResponse(code)
            raise AgiError(f"Asterisk refused a command (code {code})") from None
        if not result:
            raise AgiError("Asterisk's response has no result")
        return AgiResponse(code, result, data)

    def executed(self, line: bytes, result: str) -> bool:
        """True if Asterisk executed the command; False if the channel hung up.

        Raises AgiError for a result other than `result`.
        """
        response = self.response(line)
        if not response.hung_up and response.result != result:
            raise AgiError("Asterisk did not execute a command")
        return not response.hung_up

    def _command(self, command: str, *words: str) -> bytes:
        if any(_CONTROL.search(word) for word in words):
            raise AgiError(f"{command}: an argument contains a control character")
        self._agi.stdout = made = io.StringIO()
        self._agi.send_command(command, *(f'"{_escaped(word)}"' for word in words))
        line = made.getvalue().encode()
        if len(line) > LONGEST_COMMAND:
            raise AgiError(f"{command} is longer than {LONGEST_COMMAND} octets")
        return line


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"')
