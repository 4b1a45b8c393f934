"""Translates user-facing text into Japanese or English.

The environment selects the language; a server selects it for each request (`speak`). The English text is the msgid of
its translation in `config/locale`. A `Message` is an English string for programs, logs and evidence. `translated`
converts it for a terminal.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Iterable
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

DOMAIN: Final = "idtone"
JAPANESE: Final = "ja"
_VARIABLES: Final = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""Environment variables in gettext's order. The first one that is set applies."""
_ENGLISH: Final = frozenset({"en", "C", "POSIX"})
_CHOSEN: Final[ContextVar[str | None]] = ContextVar("language", default=None)


class Message(str):
    """An English text made from a template and fields: `Message("{path} is missing", path=path)`.

    A message keeps its template and fields, so that `translated` can write it in another language. `str` of a message,
    or of an error with a message, keeps them too. `format` and `join` lose them.
    """

    template: str
    fields: dict[str, Any]

    def __new__(cls, template: str, /, **fields: Any) -> Message:
        fields = {name: str(value) if isinstance(value, Exception) else value for name, value in fields.items()}
        self = super().__new__(cls, template.format(**fields))
        self.template, self.fields = template, fields
        return self

    def __str__(self) -> str:
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (self.template,), self.fields


def as_message(text: str) -> Message:
    """Convert a text into a `Message` without fields, so that it is translated as a field of another message.

    A message is returned unchanged.
    """
    return text if isinstance(text, Message) else Message(text.replace("{", "{{").replace("}", "}}"))


def template(text: str) -> str:
    """Mark a text as translatable. Returns it unchanged."""
    return text


def capitalised(text: str) -> str:
    """Capitalize the first letter of an English text. Translations are unchanged."""
    capital = text[:1].upper() + text[1:]
    if not isinstance(text, Message):
        return capital
    message = str.__new__(Message, capital)
    message.template, message.fields = text.template, text.fields
    return message


def joined(separator: str, parts: Iterable[str]) -> Message:
    """Join texts like `separator.join(parts)`, in a form that translates each part separately."""
    fields = {f"part{number}": part for number, part in enumerate(parts)}
    return Message(separator.join(f"{{{name}}}" for name in fields), **fields)


def translated(text: str, /, **fields: Any) -> str:
    """Translate a text into the selected language. Returns the English text if there is no translation.

    If `fields` are given, the text is the template of a `Message`.
    """
    if fields:
        text = Message(text, **fields)
    catalogue = _catalogue()
    if catalogue is None or not text:
        return text
    if not isinstance(text, Message):
        return catalogue.gettext(text)
    shown = {name: _translated_field(name, value, catalogue) for name, value in text.fields.items()}
    return catalogue.gettext(text.template).format(**shown)


def _translated_field(name: str, value: Any, catalogue: gettext.NullTranslations) -> Any:
    """Translate a field of a message.

    Of plain strings, only `reason` is translated, because it holds an error text of the operating system.
    """
    if isinstance(value, Message):
        return translated(value)
    return catalogue.gettext(value) if name == "reason" and isinstance(value, str) and value else value


def paragraphs(text: str) -> list[str]:
    """Split a help text into paragraphs of one line each. The paragraphs are the msgids of their translations."""
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def speak(language: str) -> None:
    """Set the language of this task or thread, `ja` or `en`, overriding the environment."""
    _CHOSEN.set(language)


def is_japanese() -> bool:
    """True if the language is Japanese: the selected one or, by default, that of the environment."""
    return _catalogue() is not None


def translate_libraries() -> None:
    """Make idtone's translations available to libraries that use `gettext`."""
    if is_japanese():
        gettext.bindtextdomain(DOMAIN, str(_folder()))
        gettext.textdomain(DOMAIN)


def _catalogue() -> gettext.NullTranslations | None:
    chosen = _CHOSEN.get()
    return _japanese() if (_asks_for_japanese() if chosen is None else chosen == JAPANESE) else None


@cache
def _japanese() -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, str(_folder()), [JAPANESE])


def _asks_for_japanese() -> bool:
    return _names_japanese(next(filter(None, map(os.environ.get, _VARIABLES)), ""))


@cache
def _names_japanese(variable: str) -> bool:
    for locale in variable.split(":"):
        language = locale.partition(".")[0].partition("@")[0].partition("_")[0]
        if language == JAPANESE or language in _ENGLISH:
            return language == JAPANESE
    return False


def _folder() -> Path:
    """Folder of the translations, found without importing its package."""
    spec = find_spec("idtone.config")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)), "locale")
