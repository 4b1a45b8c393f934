"""Plain-language problems and remedies for pydantic's validation errors."""

import difflib
from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from .translation import Message, template

_MOMENT: Final = template("Write it like 2026-01-10T00:00:00+09:00")
_LIST: Final = (template("is not a list"), template("Write a list: [a, b], or lines that begin with '- '"))
_KEYS: Final = (template("does not have keys and values"), template("Write 'key: value' lines under it"))

_PLAIN: Final = {
    "missing": (template("is missing"), template("Add it")),
    "bool_parsing": (template("is not true or false"), template("Write true or false")),
    "int_parsing": (template("is not a whole number"), template("Write a whole number")),
    "float_parsing": (template("is not a number"), template("Write a number")),
    "datetime_from_date_parsing": (template("is not a date and time"), _MOMENT),
    "datetime_parsing": (template("is not a date and time"), _MOMENT),
    "timezone_aware": (template("has no time zone"), template("Add it, for Japan +09:00")),
    "date_from_datetime_parsing": (template("is not a date"), template("Write it like 2026-01-10")),
    "time_delta_parsing": (
        template("is not a length of time"),
        template("Write it like PT30S (seconds), PT12H (hours) or P1D (days)"),
    ),
    "greater_than": (template("must be more than {limit}"), template("Write a larger value")),
    "greater_than_equal": (template("is less than {limit}"), template("Write a larger value")),
    "less_than": (template("must be less than {limit}"), template("Write a smaller value")),
    "less_than_equal": (template("is more than {limit}"), template("Write a smaller value")),
    "finite_number": (template("is not a number"), template("Write a number")),
    "list_type": _LIST,
    "tuple_type": _LIST,
    "model_type": _KEYS,
    "dict_type": _KEYS,
    "string_type": (template("is not a plain text"), template("Write a text")),
    "enum": (template("is not one of the possible values"), template("Write {expected}")),
    "literal_error": (template("is not one of the possible values"), template("Write {expected}")),
    "string_too_long": (template("has more than {max_length} characters"), template("Write a shorter text")),
    "string_too_short": (template("has fewer than {min_length} characters"), template("Write a longer text")),
    "too_short": (template("has too few entries"), template("Write at least {min_length}")),
    "too_long": (template("has more than {max_length} entries"), template("Remove entries")),
}
"""pydantic's error type → problem and remedy."""
_STRICT: Final = ("greater_than", "less_than")


def in_words(detail: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    """Problem and remedy for a validation error of `model`."""
    location, kind = detail["loc"], detail["type"]
    if kind == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, 1)
        if near:
            hint = Message("Did you mean {name!r}", name=near[0])
        elif known:
            hint = Message("Known here: {names}", names=", ".join(known))
        else:
            hint = Message("Remove it")
        return Message("is not a known key"), hint
    context = detail.get("ctx", {})
    if kind == "value_error" and isinstance(context.get("error"), ValueError):
        problem, remedy = _parts(context["error"])
        return problem, remedy or Message("Correct the value")
    if kind not in _PLAIN:
        return detail["msg"][0].lower() + detail["msg"][1:], Message("Correct the value")
    # The limit from pydantic's message: "1 day", where Python's `str` of the length of time is "1 day, 0:00:00".
    named = context | {"limit": detail["msg"].rpartition(" than " if kind in _STRICT else " to ")[2]}
    problem, remedy = (Message(text, **named) for text in _PLAIN[kind])
    return problem, remedy


def _parts(error: ValueError) -> tuple[str, str]:
    """Problem and remedy from a validator's ValueError: its two arguments or the two sentences of its text."""
    if len(error.args) == 2:
        return error.args[0], error.args[1]
    problem, _, remedy = str(error).partition(". ")
    return problem, remedy


def _keys_at(model: Any, location: Sequence[int | str]) -> list[str]:
    for step in location:
        if isinstance(step, int):
            continue
        field = getattr(model, "model_fields", {}).get(step)
        if field is None:
            return []
        model = _model_in(field.annotation)
    return [f.alias or name for name, f in getattr(model, "model_fields", {}).items()]


def _model_in(annotation: Any) -> Any:
    """Model class in an annotation such as `Model | None` or `list[Model]`, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, getattr(annotation, "__args__", ()))), None)
