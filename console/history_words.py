"""What the history says in English, as messages again, so that a page shows it in the visitor's language. Pure.

A line of the history keeps the words of a change as they were. They are those of `registry.differences`, so its
templates recognise them, and the parts of its lists; other words stay as they are.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final

from idtone.core.translation import Message
from idtone.registry import differences, number_notation

_FIELD: Final = re.compile(r"\{(\w+)(:,)?\}")
_SEPARATOR: Final = re.compile(r"(, |; | > )")
_LONGEST: Final = 5
"""The parts of a list that one template holds at most: a licence, or a pledge."""

_WORD: Final = r"[^\s:,;>()+]+"
_MOMENT: Final = r"[^\s,;()]+"
_TEXT: Final = r"[^,;>]+?"
_DIRECTIONS: Final = "incoming and outgoing|incoming|outgoing"
_PROVED: Final = rf"{_TEXT} until {_MOMENT}, by {_TEXT}, next check {_MOMENT}"
_CERTIFICATION: Final = rf"{_PROVED}(?:, mark {_TEXT} until {_MOMENT})?"
_VALUES: Final = {
    **dict.fromkeys(("id", "identity", "scope", "member", "tone", "reseller", "giver", "taker", "by", "grade"), _WORD),
    **dict.fromkeys(("status", "sha256", "result"), _WORD),
    **dict.fromkeys(("start", "since", "at", "day", "signed", "next_check", "mark_until", "first", "last"), _MOMENT),
    **dict.fromkeys(("number", "mark", "version", "signatory"), _TEXT),
    "certification": _CERTIFICATION,
    "certified": f"(?:; certification {_CERTIFICATION})?",
    "act": "released|assigned",
    "check": rf"not checked|checked {_MOMENT} by {_WORD}: [^;>]+?",
    "count": "[0-9,]+ numbers?",
    "effect": "is suspended|gets no new numbers",
    "directions": _DIRECTIONS,
    "document": "[^;>]+?",
    "key": r"[^\s,;+]+\+[^\s,;]+",
    "kind": "tone|member|licence|log|witness",
    "licence": rf"\w+, tone {_WORD}, (?:{_DIRECTIONS}), from {_MOMENT} until {_MOMENT}",
    "pledge": rf"signed {_MOMENT}(?:, (?:by|version|SHA-256|until) {_TEXT})*",
    "reference": r"\S+",
    "span": rf"{_MOMENT}(?: to {_MOMENT} \([0-9,]+ numbers?\))?",
    "until": rf"{_MOMENT}|(?: until {_MOMENT})?",
    "valid": rf"(?:valid )?from {_MOMENT} until {_MOMENT}",
    "words": _PROVED,
}
"""Field → what it can hold; any other field holds any text."""


def recognised(text: str) -> str:
    """A message with the same English text, or the text itself."""
    return text if isinstance(text, Message) else _recognised(text)


@lru_cache(maxsize=4096)
def _recognised(text: str) -> str:
    return _whole(text) or _list(text) or text


def _whole(text: str) -> Message | None:
    """The text by one template."""
    for pattern, template in patterns():
        if found := pattern.fullmatch(text):
            counts = {name for name, form in _FIELD.findall(template) if form}
            fields = {
                name: int(value.replace(",", "")) if name in counts else _recognised(value)
                for name, value in found.groupdict().items()
            }
            return Message(template, **fields)
    return None


def _list(text: str) -> Message | None:
    """The text as a list, if a template holds one of its parts or more."""
    pieces = _SEPARATOR.split(text)  # parts, and what separates them, in turns
    found: list[str] = []
    start = 0
    while start < len(pieces):
        part, taken = next(_parts(pieces, start), (pieces[start], 1))
        found.append(part)
        start += taken
    if not any(isinstance(each, Message) for each in found):
        return None
    fields = {f"part{number}": part for number, part in enumerate(found)}
    return Message("".join(f"{{{name}}}" for name in fields), **fields)


def _parts(pieces: list[str], start: int) -> Iterator[tuple[Message, int]]:
    """What a template makes of the pieces from here on, the longest first, and how many pieces it is.

    Some templates begin with the separator: `, certification …`.
    """
    for end in range(len(pieces), start, -2):  # there is a part more than separators
        is_part = 0 < end - start <= min(2 * _LONGEST, len(pieces) - 1)
        if is_part and (message := _whole("".join(pieces[start:end]))):
            yield message, end - start


@cache
def patterns() -> list[tuple[re.Pattern[str], str]]:
    """Those with the most words of their own first."""
    sources = "\n".join(
        inspect.getsource(each) for each in (differences, number_notation.masked, number_notation.counted)
    )
    tree = ast.parse(sources.replace("from __future__ import annotations", ""))
    templates = {each for node in ast.walk(tree) if isinstance(node, ast.Call) for each in _templates(node)}
    own = {each: _FIELD.sub("", each) for each in templates}
    telling = (each for each in own if own[each].strip() or each == "{kind} {key}")
    ordered = sorted(telling, key=lambda each: (-len(own[each]), each))
    return [(re.compile(_expression(each), re.DOTALL), each) for each in ordered]


def _templates(call: ast.Call) -> Iterator[str]:
    """Of a `Message(…)` or `template(…)`, whose template may depend on a condition."""
    if isinstance(call.func, ast.Name) and call.func.id in ("Message", "template") and call.args:
        first = call.args[0]
        for each in (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,):
            if isinstance(each, ast.Constant):
                yield str(each.value)


def _expression(template: str) -> str:
    parts, end = [], 0
    for found in _FIELD.finditer(template):
        value = "[0-9,]+" if found[2] else _VALUES.get(found[1], ".*?")
        parts += [re.escape(template[end : found.start()]), f"(?P<{found[1]}>{value})"]
        end = found.end()
    return "".join([*parts, re.escape(template[end:])])
