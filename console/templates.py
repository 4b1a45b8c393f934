"""Renders the pages from the files in `templates/` (Jinja2), in the visitor's language."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment

from .menu import menu_of
from .static_files import address_of
from .template_environment import environment

if TYPE_CHECKING:
    from .page import Visit

HTMX: Final = json.dumps(
    {"includeIndicatorStyles": False, "allowEval": False, "selfRequestsOnly": True, "historyCacheSize": 0}
)
"""htmx adds no style, evaluates no text, contacts no other server, and stores no page in the browser."""


@cache
def _environment() -> Environment:
    """The template environment. All consoles of this process share its compiled templates."""
    made = environment()
    made.globals.update(static=address_of, htmx_settings=HTMX)
    return made


class Templates:
    def __init__(self) -> None:
        self._shared: dict[tuple[str, str], tuple[object, str]] = {}

    def page(self, name: str, visit: Visit, context: Mapping[str, Any]) -> str:
        return _environment().get_template(name).render(visit=visit, menu=menu_of(visit), **context)

    def fragment(self, name: str, visit: Visit, context: Mapping[str, Any]) -> str:
        return _environment().get_template(name).render(visit=visit, **context)

    def shared(self, name: str, language: str, shown: object, context: Callable[[], Mapping[str, Any]]) -> str:
        """A part of a page without data of a visitor. It is rendered only once for each object `shown` and language."""
        kept = self._shared.get((name, language))
        if kept is None or kept[0] is not shown:
            kept = self._shared[name, language] = shown, _environment().get_template(name).render(**context())
        return kept[1]
