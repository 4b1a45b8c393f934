"""Renders pages from the Jinja2 templates in `templates/`, in the visitor's language."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment

from .static_files import address_of
from .template_environment import environment

HTMX: Final = json.dumps(
    {"includeIndicatorStyles": False, "allowEval": False, "selfRequestsOnly": True, "historyCacheSize": 0}
)
"""htmx settings: no added styles, no evaluated text, no other servers, no pages stored in the browser."""


@cache
def _environment() -> Environment:
    """The template environment. All consoles in this process share its compiled templates."""
    made = environment()
    made.globals.update(static=address_of, htmx_settings=HTMX)
    return made


class Templates:
    def __init__(self) -> None:
        self._shared: dict[tuple[str, str], tuple[object, str]] = {}

    def render(self, name: str, /, **context: Any) -> str:
        return _environment().get_template(name).render(**context)

    def shared(self, name: str, language: str, shown: object, context: Callable[[], Mapping[str, Any]]) -> str:
        """A part without visitor data, rendered only once per `shown` object and language."""
        kept = self._shared.get((name, language))
        if kept is None or kept[0] is not shown:
            kept = self._shared[name, language] = shown, _environment().get_template(name).render(**context())
        return kept[1]


TEMPLATES: Final = web.AppKey("templates", Templates)
