"""What Asterisk's expressions, as the hook uses them, make of each metacharacter: measured on the dialplan alone.

The hook is written by this table: what is not here as harmless does not see a text that came from outside.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import pytest

from ..lab.asterisk import Asterisk
from .metacharacters import META

TEXTS: Final = {
    name: text
    for name, octets in META.items()
    for text in [octets.split(b"\0")[0].decode("utf-8", "replace")]
    if len(text) < 100 and "\ufffd" not in text
} | {
    f"{name} after digits": f"0312345678{text}110" for name, text in {"CR LF": "\r\n", "quote": '"', "at": "@"}.items()
}

EMERGENCY: Final = re.compile(r"(184|186)?(110|118|119)")


def kept(more: str) -> Callable[[str], str]:
    return lambda text: "".join(character for character in text if character.isascii() and character in more)


EXPRESSIONS: Final[dict[str, Callable[[str], str]]] = {
    "${X}": lambda text: text,
    "${FILTER(0-9,${X})}": kept("0123456789"),
    "${FILTER(0-9+@\\;,${X})}": kept("0123456789+@;"),
    "${FILTER(a-z,${X})}": kept("abcdefghijklmnopqrstuvwxyz"),
    "${CUT(X,@,1)}": lambda text: text.partition("@")[0],
    "${CUT(X,\\;,1)}": lambda text: text.partition(";")[0],
    "${URIENCODE(${X})}": lambda text: quote(text, safe="-_.!~*'()"),
    "${LEN(${X})}": lambda text: str(len(text.encode())),
    '${REGEX("^(184|186)?(110|118|119)$" ${X})}': lambda text: str(int(bool(EMERGENCY.fullmatch(text)))),
    '${REGEX("^(184|186)?(110|118|119)$" 110${X})}': lambda text: str(int(bool(EMERGENCY.fullmatch(f"110{text}")))),
    "${IF($[${LEN(${X})} = 0]?none:some)}": lambda text: "some" if text else "none",
}
"""Expression over the variable X → what it is for every X."""

SPLIT: Final = {
    "a comma": ("a", "", "", "b"),
    "commas": ("a", "", "", ""),
    "a quote": ("a", '",b'),
    "two quotes": ("a", '""', "b"),
    "an opening parenthesis": ("a", "(,b"),
    "a closing parenthesis": ("a", ")", "b"),
    "an opening bracket": ("a", "[,b"),
    "a closing bracket": ("a", "]", "b"),
    "a backslash": ("a", "\\,b"),
    "a backslash before a comma": ("a", "\\,", "b"),
    "a semicolon": ("a", ";", "b"),
    "an ampersand": ("a", "&", "b"),
    "a bar": ("a", "|", "b"),
    "a caret": ("a", "^", "b"),
    "a variable": ("a", "${IDTONE_SOUNDS}", "b"),
    "an expression": ("a", "$[1+1]", "b"),
    "LF": ("a", "\n", "b"),
}
"""Text → the arguments that `Gosub(split,s,1(a,TEXT,b))` finds: what a dialplan passes on that filters nothing."""


def dialplan() -> str:
    lines = ["[go]", "exten = go,1,NoOp()"]
    for (row, text), (column, expression) in itertools.product(enumerate(TEXTS.values()), enumerate(EXPRESSIONS)):
        if column == 0:
            encoded = "".join(f"%{octet:02x}" for octet in text.encode())
            lines.append(f" same = n,Set(X=${{URIDECODE({encoded})}})")
        lines.append(f" same = n,Set(V={expression})")
        lines.append(f" same = n,Set(DB(found/{row}-{column})=<${{URIENCODE(${{V}})}}>)")
        if column == 0:
            lines.append(f" same = n,Set(ROW={row})")
            lines.append(" same = n,Gosub(split,s,1(a,${X},b))")
    lines.append(" same = n,Set(DB(found/through)=<yes>)")
    arguments = ":".join(f"${{URIENCODE(${{ARG{number}}})}}" for number in range(1, 6))
    lines += ["[split]", f"exten = s,1,Set(DB(found/split-${{ROW}})=<${{ARGC}}:{arguments}>)", " same = n,Return()"]
    return "\n".join([*lines, ""])


@pytest.fixture(scope="module")
def found(installation, tmp_path_factory) -> dict[str, str]:
    """What Asterisk made of all, and its complaints under an empty name."""
    scratch = tmp_path_factory.mktemp("expressions")
    with Asterisk(installation, scratch, {"extensions.conf": dialplan()}) as asterisk:
        asterisk.command("channel originate Local/go@go application Wait 1")
        deadline_s = time.monotonic() + 20
        while "/found/through" not in (listed := asterisk.command("database show found")):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        values = dict(re.findall(r"^/found/(\S+)\s*: <(.*)>\s*$", listed, re.MULTILINE))
        ours = [line for line in asterisk.complaints() if "func_" in line or "pbx" in line or "ast_expr" in line]
        return values | {"": "\n".join(ours)}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_what_it_says_for_every_text(found, expression):
    column = list(EXPRESSIONS).index(expression)
    wrong = {
        name: (found[f"{row}-{column}"], quote(EXPRESSIONS[expression](text), safe="-_.!~*'()"))
        for row, (name, text) in enumerate(TEXTS.items())
        if found[f"{row}-{column}"] != quote(EXPRESSIONS[expression](text), safe="-_.!~*'()")
    }
    assert not wrong


def test_no_text_is_an_error_to_asterisk(found):
    assert found[""] == ""


@pytest.mark.parametrize("name", SPLIT)
def test_what_gosub_makes_of_a_text_among_its_arguments(found, name):
    row = list(TEXTS).index(name)
    _, *arguments = found[f"split-{row}"].split(":")
    wanted = [quote(argument, safe="-_.!~*'()") for argument in SPLIT[name]]
    assert arguments == [*wanted, *[""] * (5 - len(wanted))]
