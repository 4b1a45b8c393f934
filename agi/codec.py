"""Commands to Asterisk and its responses, as octets; nothing is sent or awaited here.

pyst2 does it. Its AGI class is for programs that are run by Asterisk, one a call, and would in a service install a
handler for SIGHUP, print telephone numbers to standard error, wait on standard input, and let a quote end an argument.
`AgiCodec` is all that this package knows of it.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import Any, Final

from asterisk.agi import AGI, AGIAppError, AGIError, AGIResultHangup

from idtone.errors import AgiError

LONGEST_COMMAND: Final = 2047
"""Octets with the line end. Asterisk takes a longer one for two: AGI_BUF_LEN of res_agi.c was 2048 for long; 22.10 has
room for 8191."""
LONGEST_RESPONSE: Final = 16384
HANGUP: Final = b"HANGUP\n"
"""Comes at any time over a network, once: the channel is no more. Asterisk still answers, and sets variables."""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_RESPONSE: Final = re.compile(rb"[1-9][0-9]{2}[ -][^\x00-\x1f\x7f]*\n")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
_DEAD: Final = 511


@dataclass(frozen=True, slots=True)
class AgiResponse:
    """`200 result=1 (data)`. `data` may be a telephone number and stays out of the repr."""

    code: int
    result: str = ""
    data: str = field(default="", repr=False)

    @property
    def hung_up(self) -> bool:
        """The channel is no more, and so the command was not carried out."""
        return self.code == _DEAD or self.result == "-1"


class _Silence:
    def write(self, text: str) -> None:
        """pyst2 tells standard error each line, with the numbers in it."""


class _Line:
    """One line to read. pyst2 reads on after some, and at the end of a file for ever."""

    def __init__(self, line: str) -> None:
        self._lines = iter([line])

    def readline(self) -> str:
        for line in self._lines:
            return line
        raise EOFError


class AgiCodec:
    """Stateless, but for the scraps of a command that is being made."""

    def __init__(self) -> None:
        # Not by its constructor: that is what installs the handler and reads standard input.
        self._agi: Any = AGI.__new__(AGI)
        self._agi.stderr = _Silence()

    def noop(self) -> bytes:
        """Answered with result 0."""
        return self._command("NOOP")

    def set_variable(self, name: str, value: str) -> bytes:
        """Answered with result 1. Raises AgiError where `name` is none, or where `value` does not fit a line."""
        if not _VARIABLE.fullmatch(name):
            raise AgiError("the name of a channel variable has letters, digits and underscores only")
        return self._command("SET VARIABLE", name, value)

    def get_full_variable(self, expression: str) -> bytes:
        """Have `expression`, with its `${…}`, worked out; answered with result 1 and the value as data."""
        return self._command("GET FULL VARIABLE", expression)

    def warn(self, message: str) -> bytes:
        """Have Asterisk write `message` into its log, where VERBOSE would not be seen by default."""
        return self._command("EXEC", "Log", f"WARNING,{message}")

    def response(self, line: bytes) -> AgiResponse:
        """Read one line. Raises AgiError for what is no response, and for one that refuses the command."""
        if len(line) > LONGEST_RESPONSE or not _RESPONSE.fullmatch(line):
            raise AgiError("what should be Asterisk's response is none")
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
            raise AgiError(f"Asterisk refuses a command (code {code})") from None
        if not result:
            raise AgiError("Asterisk's response has no result")
        return AgiResponse(code, result, data)

    def carried_out(self, line: bytes, result: str) -> bool:
        """Whether a command was, by its response; False where the channel hung up. Raises AgiError for any other."""
        response = self.response(line)
        if not response.hung_up and response.result != result:
            raise AgiError("Asterisk did not carry out a command")
        return not response.hung_up

    def _command(self, command: str, *words: str) -> bytes:
        if any(_CONTROL.search(word) for word in words):
            raise AgiError(f"{command}: an argument holds a control character")
        self._agi.stdout = made = io.StringIO()
        self._agi.send_command(command, *(f'"{_escaped(word)}"' for word in words))
        line = made.getvalue().encode()
        if len(line) > LONGEST_COMMAND:
            raise AgiError(f"{command} is longer than {LONGEST_COMMAND} octets")
        return line


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"')
