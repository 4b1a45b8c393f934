"""Translatable messages for Typer's usage errors, which exist only in English."""

import re
from functools import cache
from typing import Final

from ..translation import Message, template

_TEMPLATES: Final = (
    template("{problem}. Did you mean {names}?"),
    template("No such option: {name} (Possible options: {names})"),
    template("No such option: {name}"),
    template("Missing argument {name}."),
    template("Missing option {name}."),
    template("Option {name} requires an argument."),
    template("Option {name} does not take a value."),
    template("Got unexpected extra argument(s) ({names})"),
    template("Invalid value for {name}: {problem}"),
    template("Value error, {problem}"),
    template("File"),
    template("Directory"),
    template("Path"),
    template("{label} {name} does not exist."),
    template("{label} {name} is a file."),
    template("{label} {name} is a directory."),
    template("{label} {name} is not readable."),
    template("{label} {name} is not writable."),
    template("{value} is not one of {names}."),
    template("Input should be a valid integer, unable to parse string as an integer"),
    template("Input should be a valid number, unable to parse string as a number"),
    template("Input should be greater than or equal to {limit}"),
    template("Input should be less than or equal to {limit}"),
    template("Input should be greater than {limit}"),
    template("Input should be less than {limit}"),
)
"""Templates of Typer's errors. The first one that matches is used."""


def usage_message(text: str) -> str:
    """Translatable message for one of Typer's error texts. Unknown text is returned unchanged."""
    for known in _TEMPLATES:
        if found := _pattern(known).fullmatch(text):
            return Message(known, **{name: usage_message(value) for name, value in found.groupdict().items()})
    return text


@cache
def _pattern(known: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(known)), re.DOTALL)
