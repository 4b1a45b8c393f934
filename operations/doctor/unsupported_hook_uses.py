"""Places in the operator's configuration where the hook cannot work as documented.

Dial() reads GOSUB_RESULT after the Gosub() in its option U(), so `idtone-called` can refuse a call. Queue() runs a
Gosub() for a member but does not read the result, and FollowMe() has no Gosub() for the called party. If there are
several U() options, Dial() runs only the last one, even if a variable holds the first.

A Local channel that leads to `idtone-forward` cuts off sounds for the caller, unless its dialling side passes on early
media.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idtone.core.translation import Message, joined
from idtone.dialplan import CALLED_CONTEXT, FORWARD_CONTEXT, HOOK_FILE

from .asterisk_config_files import Line
from .findings import Finding, bad, good, unknown, warning

MOST_NAMED: Final = 5
_COMMENT: Final = re.compile(r"(?<!\\);.*")
_BLOCK: Final = re.compile(r";--(?!-)|--;")
_SECTION: Final = re.compile(r"\s*\[([^\]]+)\]")
_VALUE: Final = re.compile(r"\s*([\w-]+)\s*=>?\s*(.*)")
_NAME: Final = re.compile(r"[\w-]*$")
_ASSIGN: Final = frozenset({"", "set", "mset"})
"""Applications that assign variables. A line in [globals] has no application name."""
_ASSIGNED: Final = re.compile(r"(?<!\w)_{0,2}([A-Za-z]\w*)=")
_LOCAL: Final = re.compile(r"@([\w-]+)")
_QUEUE_GOSUB: Final = "membergosub"
_JUMPS: Final = frozenset({"gosub", "gosubif", "goto", "gotoif"})
_FIRST_GOSUB: Final = 6
"""Index of the first Queue() argument that can name a Gosub(). Its exact position depends on the version."""


@dataclass(frozen=True, slots=True)
class UnsupportedUse:
    """One place in the configuration where the hook cannot work."""

    line: Line
    what: str

    def __str__(self) -> str:
        return Message("{path}, line {number}: {what}", path=self.line.path, number=self.line.number, what=self.what)


def uses(dialplan: Sequence[Line], queues: Sequence[Line], followme: Sequence[Line]) -> list[UnsupportedUse]:
    """Places that ignore the result of `idtone-called`.

    The parameters are the lines of extensions.conf, queues.conf and followme.conf with their included files.
    """
    dialplan = _operators(dialplan)
    leading = {CALLED_CONTEXT, *_leading_contexts(dialplan, CALLED_CONTEXT)}
    holding = dict(_variables_with(dialplan, leading))
    found: list[UnsupportedUse] = []
    for line in dialplan:
        ignored = [*_ignored_in(line.text, leading), *_ignored_behind(line.text, holding, leading)]
        found += [UnsupportedUse(line, what) for what in dict.fromkeys(ignored)]
    for line in without_comments(queues):
        option = _VALUE.match(line.text)
        if option and option[1].lower() == _QUEUE_GOSUB and _context(option[2]) in leading:
            found.append(UnsupportedUse(line, Message("{option} of a queue", option=_QUEUE_GOSUB)))
    found += [UnsupportedUse(line, "FollowMe()") for line in without_comments(followme) if CALLED_CONTEXT in line.text]
    return found


def behind_local(dialplan: Sequence[Line], queues: Sequence[Line], followme: Sequence[Line]) -> list[UnsupportedUse]:
    """Places that route a call through a Local channel to `idtone-forward`.

    The parameters are the lines of extensions.conf, queues.conf and followme.conf with their included files.
    """
    dialplan = _operators(dialplan)
    forwarding = set(_leading_contexts(dialplan, FORWARD_CONTEXT))
    found = [
        UnsupportedUse(line, Message("@{context}", context=context))
        for line in (*dialplan, *without_comments(queues))
        for context in dict.fromkeys(_LOCAL.findall(line.text))
        if context in forwarding
    ]
    for line in without_comments(followme):
        option = _VALUE.match(line.text)
        if option and option[1].lower() == "context" and _context(option[2]) in forwarding:
            found.append(UnsupportedUse(line, "FollowMe()"))
    return found


def judge(
    found: Collection[UnsupportedUse] | None, callers: Collection[UnsupportedUse], trouble: str, folder: Path
) -> Finding:
    """Check that the dialplan does not use the hook where it cannot work.

    `found` is None if the files could not be read, and `trouble` is then the reason. `callers` are the places that
    would cut off a sound for the caller.
    """
    topic = "hook-use"
    if found is None:
        look = Message(
            "Run this as a user who may read {folder}; or name Asterisk's folder: --asterisk-etc DIR", folder=folder
        )
        return unknown(topic, Message("{folder}: {trouble}", folder=folder, trouble=trouble), look)
    if found:
        return bad(topic, _named(found), _REMEDY)
    if callers:
        what = Message(
            "policy.notify has the caller hear the sound, but a Local channel may not pass it on: {places}",
            places=_named(callers),
        )
        return warning(topic, what, _CALLED_ONLY)
    return good(topic, Message("Asterisk reads the result of every {context}", context=CALLED_CONTEXT))


def _named(found: Collection[UnsupportedUse]) -> str:
    named = list(map(str, list(found)[:MOST_NAMED]))
    if len(found) > MOST_NAMED:
        named.append(Message("and {count} more", count=len(found) - MOST_NAMED))
    return joined("; ", named)


_CALLED_ONLY: Final = Message(
    "Set policy.notify to `called` for that direction; or call {forward} on the caller's own channel, without a Local "
    "channel before it. Otherwise the evidence of these calls does not say that the sound was played to the caller.",
    forward=FORWARD_CONTEXT,
)


_REMEDY: Final = Message(
    "Remove {context} there, and call each number by a Local channel through {forward}. In "
    "extensions.conf: `[idtone-members]`, `exten = "
    "_[+0-9].,1,Gosub({forward},s,1(PJSIP/${{EXTEN}}@TRUNK,FORWARDING_NUMBER,incoming,60,${{EXTEN}}))`, "
    "`same = n,Hangup(${{IDTONE_CAUSE}})`. Then in queues.conf: `member => "
    "Local/NUMBER@idtone-members/n`; in followme.conf: `context => idtone-members`, and "
    "FollowMe() with the option l; instead of the other U(): "
    "`Dial(Local/NUMBER@idtone-members/n,,U(YOURS))`",
    context=CALLED_CONTEXT,
    forward=FORWARD_CONTEXT,
)


def without_comments(lines: Sequence[Line]) -> Iterator[Line]:
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


def _operators(lines: Sequence[Line]) -> list[Line]:
    """The dialplan without comments and without the hook's own file."""
    return [line for line in without_comments(lines) if line.path.name != HOOK_FILE]


def _leading_contexts(lines: Sequence[Line], hook: str) -> Iterator[str]:
    """The operator's contexts from which a Gosub() or Goto() leads to the hook's given context."""
    context = ""
    for line in lines:
        section = _SECTION.match(line.text)
        if section:
            context = section[1]
        if any(name in _JUMPS and hook in inner for name, inner, _ in _groups(line.text)):
            yield context


def _variables_with(lines: Sequence[Line], leading: Collection[str]) -> Iterator[tuple[str, str]]:
    """Variables whose value has a U() that leads to `idtone-called`, each with that U()."""
    for line in lines:
        for name, inner, gosubs in _groups(line.text):
            if name in _ASSIGN and gosubs and _context(gosubs[-1]) in leading:
                for variable in _ASSIGNED.findall(inner.partition("U(")[0]):
                    yield variable, f"U({gosubs[-1]})"


def _ignored_behind(text: str, holding: Mapping[str, str], leading: Collection[str]) -> Iterator[str]:
    """Variables in the text that, replaced by their values, make an application ignore the result."""
    for variable, value in holding.items():
        if f"${{{variable}}}" in text and list(_ignored_in(text.replace(f"${{{variable}}}", value), leading)):
            yield Message("another U() after {variable}", variable=f"${{{variable}}}")


def _ignored_in(text: str, leading: Collection[str]) -> Iterator[str]:
    """The applications in a line that ignore the result. `leading` are the contexts that lead to `idtone-called`."""
    for name, inner, gosubs in _groups(text):
        if name == "queue":
            arguments = inner.split(",")[_FIRST_GOSUB:]
            if CALLED_CONTEXT in inner or any(_context(argument) in leading for argument in arguments):
                yield Message("the Gosub() of Queue()")
        elif name == "followme" and CALLED_CONTEXT in inner:
            yield "FollowMe()"
        if gosubs and _context(gosubs[-1]) not in leading and any(_context(gosub) in leading for gosub in gosubs):
            yield Message("another U() after it")


def _context(gosub: str) -> str:
    """The context that `context^argument`, `context,s,1(argument)` or `context(argument)` names."""
    match = re.match(r"\s*([\w-]+)", gosub)
    return match[1] if match else ""


def _groups(text: str) -> list[tuple[str, str, list[str]]]:
    """Each parenthesised group in the text, as a tuple.

    It consists of the name before the group in lower case, the group's text, and the arguments of the U() options
    directly in it. The complete line is a group too, because a variable may hold options.
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
