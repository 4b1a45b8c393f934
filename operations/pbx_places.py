"""Where an operator's own lines go: into Asterisk's files, or into those that a distribution leaves to the operator.

A distribution writes its files anew and would lose lines in them. It is recognised by what its files include. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Place:
    """A file for the operator's lines, relative to Asterisk's configuration folder."""

    distribution: str
    """Its name; empty for a plain Asterisk."""
    file: str
    in_section: bool = False
    """The file is included inside the section [general], so its lines need no section of their own."""


DIALPLAN, ARI_USERS, ARI_GENERAL, HTTP, MODULES = (
    "extensions.conf",
    "ari.conf",
    "ari.conf [general]",
    "http.conf",
    "modules.conf",
)
"""What the lines are for. The first word is Asterisk's own file."""

FREEPBX, WAZO, VITALPBX = "FreePBX", "Wazo", "VitalPBX"

_PLACES: Final[Mapping[str, Mapping[str, Place]]] = {
    DIALPLAN: {
        "extensions_custom.conf": Place(FREEPBX, "extensions_custom.conf"),
        "extensions_extra.d/*.conf": Place(WAZO, "extensions_extra.d/90-idtone-hook.conf"),
        "vitalpbx/extensions__*.conf": Place(VITALPBX, "vitalpbx/extensions__90-idtone-hook.conf"),
    },
    ARI_USERS: {
        "ari_additional_custom.conf": Place(FREEPBX, "ari_additional_custom.conf"),
        "ari.d/*.conf": Place(WAZO, "ari.d/90-idtone-user.conf"),
        "vitalpbx/ari__*.conf": Place(VITALPBX, "vitalpbx/ari__90-idtone-user.conf"),
    },
    ARI_GENERAL: {"ari_general_custom.conf": Place(FREEPBX, "ari_general_custom.conf", in_section=True)},
    HTTP: {"http_custom.conf": Place(FREEPBX, "http_custom.conf", in_section=True)},
    MODULES: {"modules_custom.conf": Place(FREEPBX, "modules_custom.conf", in_section=True)},
}
"""What the lines are for → the name in an #include of Asterisk's own file → the operator's file."""
_INCLUDE: Final = re.compile(r"^\s*#(?:try)?include\s+[\"<]?([^\s\">;]+)", re.MULTILINE)


def place_for(purpose: str, main: str) -> Place:
    """`main` is the text of Asterisk's own file for this purpose, empty if it does not exist."""
    included = _INCLUDE.findall(main)
    for name, place in _PLACES[purpose].items():
        if any(each == name or each.endswith(f"/{name}") for each in included):
            return place
    return Place("", purpose.partition(" ")[0])
