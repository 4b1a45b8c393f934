"""Where the operator's own configuration uses `idtone-called` and Asterisk does not look at its result. Pure.

Dial() reads GOSUB_RESULT after the Gosub() of its option U(), so `idtone-called` can refuse a call there. Queue() runs
the Gosub() of a member and does not read it. FollowMe() has no Gosub() for the party that it calls. Of several U(),
Dial() runs the last one only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idtone.dialplan import CALLED_CONTEXT, FORWARD_CONTEXT, HOOK_FILE

from .configuration import Line
from .findings import Finding, bad, good, unknown

MOST_NAMED: Final = 5
_COMMENT: Final = re.compile(r"(?<!\\);.*")
_BLOCK: Final = re.compile(r";--(?!-)|--;")
_SECTION: Final = re.compile(r"\s*\[([^\]]+)\]")
_VALUE: Final = re.compile(r"\s*([\w-]+)\s*=>?\s*(.*)")
_NAME: Final = re.compile(r"[\w-]*$")
_QUEUE_GOSUB: Final = "membergosub"
_JUMPS: Final = frozenset({"gosub", "gosubif", "goto", "gotoif"})
_FIRST_GOSUB: Final = 6
"""Before it, no argument of Queue() names a Gosub(); its place differs between versions."""


@dataclass(frozen=True, slots=True)
class Use:
    """One place where `idtone-called` is of no use."""

    line: Line
    what: str

    def __str__(self) -> str:
        return f"{self.line.path}, line {self.line.number}: {self.what}"


def uses(dialplan: Sequence[Line], queues: Sequence[Line], followme: Sequence[Line]) -> list[Use]:
    """What is wrong in extensions.conf, queues.conf and followme.conf; each with the files that it includes."""
    dialplan = [line for line in _bare(dialplan) if line.path.name != HOOK_FILE]
    ways = {CALLED_CONTEXT, *_leading_there(dialplan)}
    found: list[Use] = []
    for line in dialplan:
        found += [Use(line, what) for what in dict.fromkeys(_calls_in_vain(line.text, ways))]
    for line in _bare(queues):
        option = _VALUE.match(line.text)
        if option and option[1].lower() == _QUEUE_GOSUB and _context(option[2]) in ways:
            found.append(Use(line, f"{_QUEUE_GOSUB} of a queue"))
    found += [Use(line, "FollowMe()") for line in _bare(followme) if CALLED_CONTEXT in line.text]
    return found


def judge(found: Collection[Use] | None, trouble: str, folder: Path) -> Finding:
    """`found` is None if the files could not be read; `trouble` says why."""
    topic = "hook-use"
    if found is None:
        look = f"Run this as a user who may read {folder}; or name Asterisk's folder: --asterisk-etc DIR"
        return unknown(topic, f"{folder}: {trouble}", look)
    if not found:
        return good(topic, f"no use of {CALLED_CONTEXT} that Asterisk would not look at")
    named = "; ".join(map(str, list(found)[:MOST_NAMED]))
    more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return bad(topic, f"{named}{more}", _REMEDY)


_REMEDY: Final = (
    f"Take {CALLED_CONTEXT} out there, and call each number by a Local channel that goes through {FORWARD_CONTEXT}. In "
    f"extensions.conf: `[idtone-members]`, `exten = _[+0-9].,1,Gosub({FORWARD_CONTEXT},s,1(PJSIP/${{EXTEN}}@TRUNK,"
    "FORWARDING_NUMBER,incoming,60,${EXTEN}))`, `same = n,Hangup(${IDTONE_CAUSE})`. Then in queues.conf: "
    "`member => Local/NUMBER@idtone-members/n`; in followme.conf: `context => idtone-members`, and FollowMe() with the "
    "option l; in place of the other U(): `Dial(Local/NUMBER@idtone-members/n,,U(YOURS))`"
)


def _bare(lines: Sequence[Line]) -> Iterator[Line]:
    """The lines without their comments."""
    inside = False
    for line in lines:
        kept, at = "", 0
        for mark in _BLOCK.finditer(line.text):
            if mark[0] == ";--" and not inside:
                kept += line.text[at : mark.start()]
                inside = True
            elif mark[0] == "--;" and inside:
                at, inside = mark.end(), False
        if not inside:
            kept += line.text[at:]
        yield Line(line.path, line.number, _COMMENT.sub("", kept))


def _leading_there(lines: Sequence[Line]) -> Iterator[str]:
    """The operator's contexts that go to `idtone-called` by a Gosub() or Goto(). Under Dial() that works."""
    context = ""
    for line in lines:
        section = _SECTION.match(line.text)
        if section:
            context = section[1]
        if any(name in _JUMPS and CALLED_CONTEXT in inner for name, inner, _ in _groups(line.text)):
            yield context


def _calls_in_vain(text: str, ways: Collection[str]) -> Iterator[str]:
    """`ways` are the contexts that lead to `idtone-called`."""
    for name, inner, gosubs in _groups(text):
        if name == "queue":
            arguments = inner.split(",")[_FIRST_GOSUB:]
            if CALLED_CONTEXT in inner or any(_context(argument) in ways for argument in arguments):
                yield "the Gosub() of Queue()"
        elif name == "followme" and CALLED_CONTEXT in inner:
            yield "FollowMe()"
        if gosubs and _context(gosubs[-1]) not in ways and any(_context(gosub) in ways for gosub in gosubs):
            yield "another U() after its own"


def _context(gosub: str) -> str:
    """The context that `context^argument`, `context,s,1(argument)` or `context(argument)` names."""
    found = re.match(r"\s*([\w-]+)", gosub)
    return found[1] if found else ""


def _groups(text: str) -> list[tuple[str, str, list[str]]]:
    """The text between each pair of parentheses, with the name before it in lower case, and what the options U()
    directly in it hold. The whole line counts as a group, too: a variable may hold options.
    """
    groups: list[tuple[str, str, list[str]]] = []
    opened: list[tuple[str, int, list[str]]] = [("", 0, [])]
    for at, character in enumerate(text):
        if character in "({":
            name = _NAME.search(text, 0, at)
            opened.append((f"{name[0] if name else ''}{'' if character == '(' else '{'}", at + 1, []))
        elif character in ")}" and len(opened) > 1:
            name_, start, gosubs = opened.pop()
            groups.append((name_.lower(), text[start:at], gosubs))
            if name_.endswith("U"):
                opened[-1][2].append(text[start:at])
    return [*groups, ("", text, opened[0][2])]
