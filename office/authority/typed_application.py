"""A member's application as the office types it from paper: the same document that a member would write. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, Final

from idtone.core.calls import Direction
from idtone.core.errors import UsageError
from idtone.core.terminal.prompts import entries_of
from idtone.core.translation import Message

from .moments import day, day_after

CHECKS: Final = ("1", "2", "3")
"""The documents by which the applicant was identified, as the form numbers them."""


def application_text(fields: Mapping[str, str], sha256: str | None, name: Callable[[str], str]) -> str:
    """The document, to be read by `parse_application`, which checks the rest. `sha256` is that of the signed pledge;
    `name` names a field in an error. Raises UsageError.
    """

    def said(field: str) -> str:
        return fields.get(field, "").strip()

    pledge: dict[str, Any] = {"signed": day(said("signed"), name("signed")).isoformat()}
    pledge |= {key: said(key) for key in ("document", "signatory") if said(key)}
    if said("until"):
        pledge["until"] = day_after(said("until"), name("until")).isoformat()
    if sha256 is not None:
        pledge["sha256"] = sha256
    application: dict[str, Any] = {
        "id": said("id"),
        "received": day(said("received"), name("received")).isoformat(),
        "member": {"id": said("member"), "name": {"ja": said("name_ja"), "en": said("name_en")}},
        "identity": [_check(number, said, name) for number in CHECKS if said(f"identity_{number}")],
        "pledge": pledge,
    }
    if not application["identity"]:
        raise UsageError(Message("name the document by which the applicant was identified"))
    directions = [each.value for each in Direction if said(each.value)]
    if said("tone"):
        if not directions:
            raise UsageError(Message("choose the directions of the licence"))
        application["licences"] = [{"tone": said("tone"), "directions": directions}]
    if said("numbers"):
        application["numbers"] = entries_of(said("numbers").splitlines())
    return json.dumps({"application": application}, ensure_ascii=False, indent=1) + "\n"  # JSON is YAML


def _check(number: str, said: Callable[[str], str], name: Callable[[str], str]) -> dict[str, str]:
    checked = day(said(f"checked_{number}"), name(f"checked_{number}"))
    return {"document": said(f"identity_{number}"), "checked": checked.isoformat(), "by": said(f"by_{number}")}


def next_id(given: Iterable[str], today: date) -> str:
    """A-2026-0007 after A-2026-0006."""
    year = f"A-{today.year}-"
    numbers = [int(each[len(year) :]) for each in given if each.startswith(year) and each[len(year) :].isdecimal()]
    return f"{year}{max(numbers, default=0) + 1:04}"
