"""The public list of licensed operators as a table with one row per licence."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from idtone.core.japan_time import JAPAN, last_day

COLUMNS: Final = (
    "member", "name_ja", "name_en", "corporate_number", "notification", "web", "mail", "licence", "tone", "directions",
    "valid_from", "valid_through", "grade", "grade_percent", "mark",
)  # fmt: skip
"""Column names. `valid_through` is the last day in Japan. `mark` is `evaluated` or `licensed`."""


def operator_rows(operators: Iterable[Mapping[str, Any]]) -> list[Sequence[str]]:
    """Convert operators in the public list to a heading and one row per licence."""
    return [COLUMNS, *(row for each in operators for row in _rows(each))]


def _rows(operator: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    contact, evaluation = operator.get("contact", {}), operator.get("evaluation", {})
    for licence in operator["licences"]:
        begins = datetime.fromisoformat(licence["valid_from"]).astimezone(JAPAN).date()
        yield (
            operator["member"], operator["name"]["ja"], operator["name"]["en"], operator.get("corporate_number", ""),
            operator.get("notification", ""), contact.get("web", ""), contact.get("mail", ""), licence["id"],
            licence["tone"]["id"], " ".join(licence["directions"]), begins.isoformat(),
            last_day(licence["valid_until"]).isoformat(), evaluation.get("grade", ""), evaluation.get("percent", ""),
            "evaluated" if evaluation else "licensed",
        )  # fmt: skip
