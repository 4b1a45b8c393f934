"""Calls as HTML table rows.

Rows are rendered in the long-read process, so the event loop only has to send them.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from idtone.core.translation import speak, template, translated
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.store.call_search import CallPlace

from .operator.call_words import line_of
from .template_environment import environment, labelled

COLUMNS: Final = (
    template("Time"),
    template("Call"),
    template("Direction"),
    template("Forwarding number"),
    template("Outcome and reason"),
    template("Member and licence"),
    template("Sound"),
    template("End"),
)
_LINES: Final = environment().get_template("calls_lines.html")
_LINES.render(lines=())  # loads and compiles the imported templates once for all processes that the server forks


class ShownCalls(NamedTuple):
    """A page of calls.

    `lines` are table rows, newest call first. `newest` and `oldest` are the places of the newest and oldest calls on
    the page. `reached` is the same as in FoundCalls.
    """

    lines: Markup = Markup()
    calls: int = 0
    newest: CallPlace | None = None
    oldest: CallPlace | None = None
    reached: CallPlace | None = None


NO_CALLS: Final = ShownCalls()


def lines_of(records: Sequence[Record], language: str, *, node: str = "", requests: bool = False) -> Markup:
    """The table rows of calls.

    `node` names the node that recorded the calls, or is empty for this node. If `requests` is True, each row has a link
    to request its evidence.
    """
    if not records:
        return Markup()
    speak(language)
    rows = _LINES.render(lines=[line_of(record, node) for record in records], requests=requests)
    return labelled(rows, [translated(column) for column in COLUMNS])
