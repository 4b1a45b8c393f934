"""Rows for a table of nodes, for the terminal and the console."""

from dataclasses import dataclass
from typing import Final

from idtone.core.translation import Message, template

from .findings import clock_ahead_s
from .node_states import Condition, Node, Totals

NONE: Final = "–"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    is_number: bool = False


COLUMNS: Final = (
    Column(template("node")),
    Column(template("state")),
    Column(template("calls"), True),
    Column(template("calls/s"), True),
    Column(template("sent"), True),
    Column(template("registry"), True),
    Column(template("suspensions"), True),
    Column(template("version")),
    Column(template("Asterisk")),
    Column(template("clock"), True),
    Column(template("lag"), True),
)


def row_of(node: Node) -> tuple[str, ...]:
    """A node's values in the order of `COLUMNS`.

    If the node is not reporting now, only values that are still true are shown.
    """
    state = node.state
    if state is None:
        return (node.name, node.condition.value, *[NONE] * (len(COLUMNS) - 2))
    calls = state.calls
    is_now = node.present is not None
    live: tuple[str, ...] = (NONE,) * 3
    if is_now:
        live = (f"{calls.in_progress:,}", _rate(calls.a_second), ratio(calls.sent, calls.with_sound))
    return (
        node.name,
        node.condition.value,
        *live,
        f"{state.registry.version:,}",
        f"{state.registry.suspensions_in_force:,}",
        state.instance.version,
        (state.ari.asterisk or NONE).partition("+")[0],
        clock_text(node),
        NONE if not is_now else lag_text(state.replication.unreplicated_steps),
    )


def total_row(total: Totals) -> tuple[str, ...]:
    """The fleet's totals in the order of `COLUMNS`."""
    return (
        Message("{reporting} of {nodes} nodes report", reporting=total.reporting, nodes=total.nodes),
        "", f"{total.in_progress:,}", _rate(total.calls_a_second), ratio(total.sent, total.with_sound),
        "", "", "", "", "", f"{total.unreplicated_steps:,}",
    )  # fmt: skip


def clock_text(node: Node) -> str:
    """A node's clock offset as text, such as `+0.7 s` if its clock is ahead of PostgreSQL's."""
    state = node.present
    if state is None or state.clock is None:
        return NONE
    ahead_s = -clock_ahead_s(state)
    return f"{ahead_s:+.1f} s" if abs(ahead_s) >= 0.05 else "±0 s"


def lag_text(steps: int | None) -> str:
    """The number of steps that PostgreSQL lacks, as text."""
    return NONE if steps is None else f"{steps:,}"


def ratio(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else NONE


def _rate(a_second: float | None) -> str:
    return NONE if a_second is None else f"{a_second:.1f}"


def is_bad(node: Node) -> bool:
    """True if the node's condition is itself a fault."""
    return node.condition is not Condition.SERVING
