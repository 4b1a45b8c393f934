"""Dialplan steps on a channel of a real Asterisk, with results in AstDB."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from .asterisk import Asterisk

NOWHERE = "Local/nobody@nowhere"
"""Dial string that reaches no phone."""


def steps(context: str, actions: Sequence[str]) -> str:
    """A context whose extension `go` runs the actions in order, and then records in AstDB that they have ended."""
    lines = [f"[{context}]", "exten = go,1,NoOp()", *(f" same = n,{action}" for action in actions)]
    return "\n".join([*lines, f" same = n,Set(DB({context}/through)=yes)", ""])


@dataclass(frozen=True)
class HookCall:
    """Arguments of the hook. At most one of them may contain an unclosed bracket, and it must be the last."""

    number: str = ""
    called: str = ""
    dial_string: str = NOWHERE

    @property
    def action(self) -> str:
        arguments = [self.dial_string, self.number, *(["", "", self.called] if self.called else [])]
        return f"Gosub(idtone-forward,s,1({','.join(map(_text, arguments))}))"


def _text(text: str) -> str:
    """A dialplan expression that evaluates to the text. Asterisk treats the result like a variable's value."""
    return f"${{URIDECODE({quote(text, safe='')})}}" if text else ""


def hook_calls(context: str, calls: Iterable[HookCall]) -> str:
    """A dialplan that forwards each call and stores the hook's status, reason and source of the decision.

    The dialplan answers the channel, because `channel originate` gives up on a channel that has rung for 30 s.
    """
    actions = ["Answer()"]
    for index, call in enumerate(calls):
        actions.append(call.action)
        actions.append(f"Set(DB({context}/{index})=${{IDTONE_STATUS}} ${{IDTONE_REASON}} ${{IDTONE_VIA}})")
    return steps(context, actions)


@dataclass(frozen=True)
class OwnDial:
    """Arguments of the hook in an operator's own Dial(), which dials a Local channel that answers."""

    number: str
    called: str = ""
    dial_string: str = "Local/answers@lab-answers/n"

    @property
    def action(self) -> str:
        arguments = [_text(self.number), "outgoing", *([_text(self.called)] if self.called else [])]
        return f"Dial({self.dial_string},,gU(idtone-called^{'^'.join(arguments)}))"


def own_dials(context: str, calls: Iterable[OwnDial]) -> str:
    """A dialplan that dials each call and stores the result: `connected` (for less than a second) or `refused`."""
    actions = ["Answer()"]
    for index, call in enumerate(calls):
        actions.append(call.action)
        was_connected = '"${ANSWEREDTIME_MS}" != "" & "${DIALSTATUS}" = "ANSWER"'
        actions.append(f"Set(DB({context}/{index})=${{IF($[{was_connected}]?connected:refused)}})")
    return steps(context, actions)


ANSWERING = """
[lab-answers]
exten = _.,1,Answer()
 same = n,Wait(1)
 same = n,Hangup()
"""
"""A context that answers every extension and hangs up after a second."""


def begin(asterisk: Asterisk, context: str) -> None:
    """Start the context's steps."""
    asterisk.command(f"database deltree {context}")
    asterisk.command(f"channel originate Local/go@{context} application Wait 600")


def results(asterisk: Asterisk, context: str, within_s: float = 60) -> list[str]:
    """Run the context's steps and return their results in order."""
    begin(asterisk, context)
    return written(asterisk, context, within_s)


def written(asterisk: Asterisk, context: str, within_s: float = 60) -> list[str]:
    """Wait until the started steps have ended, and return their results in order."""
    deadline_s = time.monotonic() + within_s
    while "yes" not in asterisk.command(f"database get {context} through"):
        assert time.monotonic() < deadline_s, f"{context} is not through"
        time.sleep(0.05)
    total, found = _shown(asterisk, context)
    while len(found) < total:  # a busy console may omit a line
        assert time.monotonic() < deadline_s, f"{context}: the console shows {len(found)} results of {total}"
        total, found = _shown(asterisk, context)
    del found["through"]
    return [found[str(index)] for index in range(len(found))]


def _shown(asterisk: Asterisk, context: str) -> tuple[int, dict[str, str]]:
    """Number of the context's results, and the results that the console shows."""
    found, total = {}, 0
    for line in asterisk.command(f"database show {context}").splitlines():
        key, separator, value = line.partition(":")
        if separator and key.startswith(f"/{context}/"):
            found[key.strip().rpartition("/")[2]] = value.strip()
        elif line.endswith(" results found."):
            total = int(line.partition(" ")[0])
    return total, found
