"""Table of members' contacts in the registry."""

from collections.abc import Iterable
from typing import Final

from idtone.registry.model import Member

COLUMNS: Final = ("member", "name_ja", "name_en", "corporate_number", "notification", "web", "mail")


def contact_rows(members: Iterable[Member]) -> list[tuple[str, ...]]:
    """Convert each member to a row with the columns in `COLUMNS`. Missing fields are empty."""
    return [
        (
            each.id, each.name.ja, each.name.en, each.corporate_number or "", each.notification or "",
            (each.contact and each.contact.web) or "", (each.contact and each.contact.mail) or "",
        )
        for each in members
    ]  # fmt: skip
