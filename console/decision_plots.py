"""Plots of decisions over the last hour and the last day."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from idtone.core.calls import Outcome
from idtone.core.errors import LedgerError
from idtone.core.japan_time import JAPAN

from .decisions_by_minute import MINUTE, DecisionsByMinute
from .drawings.stacked_plot import StackedPlot, stacked_plot

EVERY_S: Final = 10.0
"""Interval between two plots, in seconds."""


@dataclass(frozen=True, slots=True)
class DecisionPlots:
    """Both plots. They are None before the first count and if the ledger is unreadable (`trouble`)."""

    hour: StackedPlot | None = None
    """Calls per minute in the last hour."""
    day: StackedPlot | None = None
    """Calls per ten minutes in the last day."""
    trouble: LedgerError | None = None


def decision_plots(decided: DecisionsByMinute) -> DecisionPlots:
    now = datetime.now(UTC)
    try:
        counts = decided.counts(now)
    except LedgerError as error:
        return DecisionPlots(trouble=error)
    return DecisionPlots(
        plot_of(counts, now - timedelta(hours=1), now, MINUTE),
        plot_of(counts, now - timedelta(days=1), now, 10 * MINUTE),
    )


def plot_of(counts: Mapping[datetime, Counter[str]], first: datetime, last: datetime, step: timedelta) -> StackedPlot:
    """Plot of calls by outcome. Each point counts the calls from its time until the next point."""
    first = datetime.fromtimestamp(first.timestamp() // step.total_seconds() * step.total_seconds(), UTC)
    places = int((last - first) / step) + 1
    series = {outcome: [0] * places for outcome in Outcome}
    for minute, calls in counts.items():
        place = int((minute - first) / step)
        if 0 <= place < places:
            for outcome, number in calls.items():
                if outcome in series:
                    series[Outcome(outcome)][place] += number
    times = [(first + step * place).astimezone(JAPAN) for place in range(places)]
    return stacked_plot(times, {str(outcome): found for outcome, found in series.items()}, now=last)
