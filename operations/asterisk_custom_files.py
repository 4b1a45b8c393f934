"""The Asterisk configuration files that are reserved for the operator's own lines.

Distributions such as FreePBX rewrite their own files, so lines added to them would be lost. The #includes in those
files show which distribution it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CustomFile:
    """A configuration file for the operator's lines, relative to Asterisk's configuration folder."""

    distribution: str
    """The distribution's name; empty for a plain Asterisk."""
    file: str
    in_section: bool = False
    """True if [general] includes the file, so that its lines need no section."""


DIALPLAN, ARI_USERS, ARI_GENERAL, HTTP, MODULES = (
    "extensions.conf",
    "ari.conf",
    "ari.conf [general]",
    "http.conf",
    "modules.conf",
)
"""What the lines configure. Each value begins with the name of Asterisk's own file."""

FREEPBX, WAZO, VITALPBX = "FreePBX", "Wazo", "VitalPBX"

_PLACES: Final[Mapping[str, Mapping[str, CustomFile]]] = {
    DIALPLAN: {
        "extensions_custom.conf": CustomFile(FREEPBX, "extensions_custom.conf"),
        "extensions_extra.d/*.conf": CustomFile(WAZO, "extensions_extra.d/90-idtone-hook.conf"),
        "vitalpbx/extensions__*.conf": CustomFile(VITALPBX, "vitalpbx/extensions__90-idtone-hook.conf"),
    },
    ARI_USERS: {
        "ari_additional_custom.conf": CustomFile(FREEPBX, "ari_additional_custom.conf"),
        "ari.d/*.conf": CustomFile(WAZO, "ari.d/90-idtone-user.conf"),
        "vitalpbx/ari__*.conf": CustomFile(VITALPBX, "vitalpbx/ari__90-idtone-user.conf"),
    },
    ARI_GENERAL: {"ari_general_custom.conf": CustomFile(FREEPBX, "ari_general_custom.conf", in_section=True)},
    HTTP: {"http_custom.conf": CustomFile(FREEPBX, "http_custom.conf", in_section=True)},
    MODULES: {"modules_custom.conf": CustomFile(FREEPBX, "modules_custom.conf", in_section=True)},
}
"""Purpose → name that Asterisk's own file includes → the operator's file."""
_INCLUDE: Final = re.compile(r"^\s*#(?:try)?include\s+[\"<]?([^\s\">;]+)", re.MULTILINE)


def custom_file_for(purpose: str, main: str) -> CustomFile:
    """The file to which the operator's lines for a given purpose belong.

    `main` is the text of Asterisk's own file for that purpose, or empty if it does not exist.
    """
    included = _INCLUDE.findall(main)
    for name, place in _PLACES[purpose].items():
        if any(each == name or each.endswith(f"/{name}") for each in included):
            return place
    return CustomFile("", purpose.partition(" ")[0])
