"""Entries for the forms on the office's pages, and the results on the pages and in the history."""

import re

from idtone.console.access.rights import Role
from lab.office.authority.office import Office

HOSTILE = "<script>alert('x')</script>"
STOPPED, OTHER = "0312345677", "0312345676"
ME, SECOND = (Role.OFFICE,), (Role.OFFICE, Role.VIEWER)
SUSPENSION = {
    "action": "suspend-number",
    "entered": STOPPED,
    "reference": "R-7",
    "requested": "2026-11-02T01:10:00+09:00",
    "why": "as asked",
}


def entry(office: Office) -> dict[str, str]:
    """The latest entry of the office's history."""
    return dict(office.json("history show")[-1])


def request_id(text: str) -> str:
    found = re.search(r'name="request" value="(S-[0-9a-f]+)"', text)
    assert found
    return found[1]
