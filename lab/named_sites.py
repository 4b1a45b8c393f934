"""The sites by name. `tests/lab/test_site.py` checks their table in CONTRIBUTING.md.

`tests/calls/test_sites.py` tests all promises on a site: on the default in `make test`, on the sites of `OFTEN` in
`make test-breadth`, and on all of `SITES` and `combined_sites()` in `make test-sites`. All other tests of calls run on
the default, `japan`, or on the site in the environment variable `SITE`.
"""

import itertools
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

from .site import BACK, BARE, FORWARD, JAPAN, Site

SITES: Final[Mapping[str, Site]] = {
    "japan": JAPAN,
    "bare": BARE,
    # Time zones: none; half an hour off the full hour, with daylight saving; daylight saving of half an hour, in force
    # while the other has winter time; a quarter of an hour off; and the change itself, in both directions.
    "utc": replace(JAPAN, time_zone="UTC"),
    "newfoundland": replace(JAPAN, time_zone="America/St_Johns", locale="C.UTF-8"),
    "lord-howe": replace(JAPAN, time_zone="Australia/Lord_Howe"),
    "nepal": replace(JAPAN, time_zone="Asia/Kathmandu"),
    "forward": replace(JAPAN, time_zone=FORWARD),
    "back": replace(JAPAN, time_zone=BACK),
    # The machine.
    "root": replace(JAPAN, users="root", umask=0o022),
    "strict": replace(JAPAN, umask=0o077),
    "unsigned": replace(JAPAN, registry="unsigned"),
    "quiet": replace(JAPAN, idle_channels=0),
    "crowded": replace(JAPAN, idle_channels=1_500),
    "named": replace(JAPAN, host_name="pbx01.example.jp"),
    # The network between the phones and Asterisk.
    "ipv6": replace(JAPAN, host="::1"),
    "tcp": replace(JAPAN, transport="tcp"),
    "tls": replace(JAPAN, transport="tls", srtp=True, host="::1"),
    "trusting": replace(JAPAN, trusted=True),
    "lossy": replace(JAPAN, loss=3),
    "slow-disk": replace(JAPAN, disk_ms=300),
}
OFTEN: Final = ("bare", "newfoundland", "back", "crowded", "tls")
"""Sites of `make test-breadth` besides the default. Each differs from it in more than one way."""

_MULTIPLIED: Final[Mapping[str, tuple[Any, ...]]] = {
    "time_zone": ("Asia/Tokyo", "UTC", "America/St_Johns", "Australia/Lord_Howe", FORWARD, BACK),
    "users": ("own", "root"),
    "registry": ("signed", "unsigned"),
    "transport": ("udp", "tls"),
}


def combined_sites() -> dict[str, Site]:
    """All combinations of the values of some dimensions, named after these values."""
    combined = (dict(zip(_MULTIPLIED, values, strict=True)) for values in itertools.product(*_MULTIPLIED.values()))
    return {" ".join(values.values()): replace(JAPAN, **values) for values in combined}


def table() -> list[str]:
    """The rows of the table in CONTRIBUTING.md.

    Each row has a dimension, its default, and its other values by the target that uses them.
    """
    often = {name: SITES[name] for name in OFTEN}
    rows = []
    for dimension in fields(Site):
        known = [getattr(JAPAN, dimension.name)]
        cells = [_text(dimension.name, known[0])]
        for sites in (often, SITES):
            values = dict.fromkeys(getattr(site, dimension.name) for site in sites.values())
            others = [value for value in values if value not in known]
            known += others
            cells.append(", ".join(_text(dimension.name, value) for value in others) or "–")
        rows.append(f"| `{dimension.name}` | {' | '.join(cells)} |")
    return rows


def _text(dimension: str, value: Any) -> str:
    if dimension == "umask":
        return f"{value:03o}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else "the machine's"
