"""Stores a history entry's messages as templates with fields, so that they can be shown in any language.

A `Message` is stored as its English template and its fields: `{"text": "evaluation of {member} is removed", "fields":
{"member": "m-0001"}}`. A field can itself be a message. Plain text is stored unchanged.
"""

from string import Formatter
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from idtone.core.translation import Message


def message_to_json(words: Any) -> Any:
    """JSON form of a message or plain text. Integers stay integers, because a template may format them."""
    if isinstance(words, Message):
        return {
            "text": words.template,
            "fields": {name: message_to_json(value) for name, value in words.fields.items()},
        }
    return words if isinstance(words, int) else str(words)


def message_from_json(value: Any) -> str:
    """Restore a message or plain text from its JSON form. Raises ValueError."""
    if isinstance(value, str):
        return value
    match value:
        case {"text": str(text), "fields": dict(given), **more} if not more:
            fields = {name: each if isinstance(each, int) else message_from_json(each) for name, each in given.items()}
        case _:
            raise ValueError("neither a text nor a template with its fields")
    for _, name, form, _ in Formatter().parse(text):
        if name is not None and (not name.isidentifier() or name not in fields or "{" in (form or "")):
            raise ValueError("a template without its fields")  # `{a.b}` would look into an object
    return Message(text, **fields)


Words = Annotated[str, PlainValidator(message_from_json), PlainSerializer(str.__str__, return_type=str)]
"""Type of a pydantic field that holds a message.

The model's JSON contains the English text; the history file contains the form that `message_to_json` returns.
"""
