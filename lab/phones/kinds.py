"""The kinds of other vendors' phones, by name."""

from collections.abc import Mapping
from typing import Final

from .baresip import Baresip
from .browser import Browser
from .linphone import Linphone
from .program import Aiortc, Pjsua, Program
from .sipp import Sipp

KINDS: Final[Mapping[str, type[Program]]] = {
    kind.name: kind for kind in (Pjsua, Baresip, Linphone, Aiortc, Browser, Sipp)
}
