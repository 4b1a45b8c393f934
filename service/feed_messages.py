"""Translatable messages in the service's status feed, for `idtone status` in Japanese.

JSON carries only a message's English text, so the feed also includes the templates and fields.
"""

from collections.abc import Iterator
from typing import Any, Final

from idtone.core.translation import Message

MESSAGES: Final = "messages"
"""Key of the messages in the feed. The reader removes it."""


def with_messages(feed: dict[str, Any]) -> dict[str, Any]:
    """Copy of the feed with all messages' templates and fields, by their English text."""
    return {**feed, MESSAGES: {str.__str__(each): _written(each) for each in _messages(feed)}}


def restore_messages(feed: dict[str, Any]) -> dict[str, Any]:
    """Replace English texts in the feed with translatable messages. A service of another version may send none."""
    carried = feed.pop(MESSAGES, None)
    known: dict[str, Message] = {}
    for words, written in carried.items() if isinstance(carried, dict) else ():
        try:
            message = _read(written)
        except (KeyError, ValueError, IndexError, TypeError, AttributeError):
            continue
        if message == words:
            known[words] = message
    return {name: _replaced(each, known) for name, each in feed.items()}


def _messages(value: Any) -> Iterator[Message]:
    if isinstance(value, Message) and value:
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _messages(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _messages(each)


def _written(value: Any) -> Any:
    if isinstance(value, Message):
        return {"template": value.template, "fields": {name: _written(each) for name, each in value.fields.items()}}
    return value if value is None or isinstance(value, int | float) else str(value)


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return Message(value["template"], **{name: _read(each) for name, each in value["fields"].items()})
    return value


def _replaced(value: Any, known: dict[str, Message]) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(each, known) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, known) for each in value]
    return known.get(value, value) if isinstance(value, str) else value
